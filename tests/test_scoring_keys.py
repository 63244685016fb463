"""Keys that come twice are found, whatever they are, in bounded memory."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxhybrid.scoring import keys

KEYS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60),
    st.lists(st.integers(0, 30), max_size=60),
    st.lists(st.text(max_size=2), max_size=60),
    st.lists(st.binary(max_size=2), max_size=60),
    st.lists(st.dates(), max_size=60),
)

COUNTS = st.one_of(st.lists(st.integers(-3, 3), max_size=30), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30))


@pytest.mark.parametrize("held", [3, 1 << 20])
@given(drawn=KEYS, cut=st.integers(1, 20))
def test_a_key_that_comes_twice_is_found_and_no_other(held: int, drawn: list[object], cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch, closing(keys.Keys()) as found:
        patch.setattr(keys, "_HELD", held)  # beyond so many hashes are on disk
        column = pa.array(drawn, None if drawn else pa.int64())
        for start in range(0, len(drawn), cut):
            found.add(column.slice(start, cut))
        hashes = found.twice()
    twice = keys.first_twice(((key, "file", row) for row, key in enumerate(keys.values_of(column))), hashes)
    expected = {key for key, count in Counter(drawn).items() if count > 1}
    if twice is None:
        assert not expected
    else:
        key, _, first, _, second = twice
        assert keys.values_of(column)[first] == key
        assert drawn[first] in expected
        assert drawn[first] == drawn[second]


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.time64("ns"), pa.date64()])
@given(drawn=COUNTS)
def test_a_time_that_comes_twice_is_found_in_whatever_year(kind: pa.DataType, drawn: list[int]) -> None:
    column = pa.array(drawn, pa.int64()).view(kind)
    with closing(keys.Keys()) as found:
        found.add(column)
        hashes = found.twice()
    twice = keys.first_twice(((key, "file", row) for row, key in enumerate(keys.values_of(column))), hashes)
    assert (twice is not None) == (len(set(drawn)) < len(drawn))
    if twice is not None:
        assert keys.shown(twice[0], kind)

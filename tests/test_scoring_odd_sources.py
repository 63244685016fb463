"""Sources as others write them: odd types of Parquet, texts that look like times, files that are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import onnxhybrid as oh
from tests.scoring import results, score
from tests.test_scoring_sources import FLOAT, TEXT, same


@pytest.mark.parametrize(
    "key",
    [
        pa.array(["a", "b", "c"]).dictionary_encode(),
        pa.array(["a", "b", "c"], pa.string_view()),
        pa.array([b"a", b"b", b"c"], pa.binary_view()),
        pa.array([1, 2, 3], pa.time32("ms")),
        pa.array([1, 2, 30_000_000], pa.date32()),
        pa.array([1, 2, 2**62], pa.timestamp("us")),
    ],
    ids=lambda key: str(key.type),
)
def test_keys_are_found_twice_and_kept_in_whatever_type_they_are(tmp_path: Path, key: pa.Array) -> None:
    pq.write_table(pa.table({"id": key, "a": [1.0, 2.0, 3.0]}), tmp_path / "rows.parquet")
    score(same(("a", FLOAT, ["n"])), tmp_path / "rows.parquet", tmp_path / "out")
    assert pq.read_table(tmp_path / "out").column("id").combine_chunks().equals(key)
    twice = pa.concat_arrays([key, key.slice(2, 1)])
    pq.write_table(pa.table({"id": twice, "a": [1.0, 2.0, 3.0, 4.0]}), tmp_path / "twice.parquet")
    with pytest.raises(oh.Error, match=r"OH644\] twice\.parquet, column 'id', row 3: .* comes twice; row 2"):
        score(same(("a", FLOAT, ["n"])), tmp_path / "twice.parquet", tmp_path / "none")


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_texts_are_fed_in_whatever_form_they_are_stored(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"id": [1, 2], "t": pa.array(["a", "é\0b"]).cast(kind)}), tmp_path / "rows.parquet")
    score(same(("t", TEXT, ["n"])), tmp_path / "rows.parquet", tmp_path / "out")
    assert results(tmp_path / "out").column("t_out").to_pylist() == ["a", "é\0b"]


def test_a_file_that_is_named_in_several_ways_is_scored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"a": [1.0, 2.0]}), tmp_path / "rows.parquet")
    monkeypatch.chdir(tmp_path)
    names = ["rows.parquet", "./rows.parquet", str(tmp_path / "rows.parquet"), str(tmp_path / "*.parquet")]
    assert score(same(("a", FLOAT, ["n"])), names, tmp_path / "out", key=None).rows == 2


def test_texts_of_json_that_look_like_times_stay_texts(tmp_path: Path) -> None:
    texts = ["2020-01-01", "2020-01-01T00:00:00", "2020-01-01T00:00:00Z", *["2020-01-02"] * 9000, "soon"]
    lines = [json.dumps({"id": f"2020-01-01 {number}", "t": text, "k": [text]}) for number, text in enumerate(texts)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    score(same(("t", TEXT, ["n"])), tmp_path / "rows.jsonl", tmp_path / "out", keep=["k"], batch=512)
    found = results(tmp_path / "out")
    assert found.column("t_out").to_pylist() == texts
    assert found.column("k").to_pylist() == [[text] for text in texts]


def test_an_archive_gives_texts_whole_and_vectors_of_no_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", id=np.arange(2), t=np.array(["a\0b", "é"]), v=np.zeros((2, 0), np.float32))
    score(same(("t", TEXT, ["n"]), ("v", FLOAT, ["n", "m"])), tmp_path / "rows.npz", tmp_path / "out")
    assert results(tmp_path / "out").column("t_out").to_pylist() == ["a\0b", "é"]
    assert results(tmp_path / "out").column("v_out").to_pylist() == [[], []]


@pytest.mark.parametrize(
    ("name", "text"),
    [("rows.csv", "id,a\n"), ("rows.csv", "id,a\n\n\n")],
)
def test_a_text_without_rows_gives_none(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert score(same(("a", FLOAT, ["n"])), tmp_path / name, tmp_path / "out").rows == 0


def damaged(path: Path, at: float = 0.5) -> Path:
    raw = bytearray(path.read_bytes())
    middle = int(len(raw) * at)
    raw[middle : middle + 500] = b"\xff" * 500
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("name", ["rows.parquet", "rows.npz", "packed.npz"])
def test_a_file_that_is_damaged_in_its_middle_is_told(tmp_path: Path, name: str) -> None:
    numbers, path = np.arange(60_000, dtype=np.float32), tmp_path / name
    if name == "rows.parquet":
        pq.write_table(pa.table({"a": pa.array(numbers).cast(pa.float64())}), path, compression="gzip")
    else:
        (np.savez if name == "rows.npz" else np.savez_compressed)(path, a=numbers)
    with pytest.raises(oh.Error, match=rf"OH64[23]\] {name}"):
        score(same(("a", FLOAT, ["n"])), damaged(path), tmp_path / "out", key=None)


def test_what_is_no_column_is_told_for_every_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "1.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array([1.0])] * 2, ["a", "a"]), tmp_path / "2.parquet")
    np.savez(tmp_path / "wide.npz", a=np.ones(2, np.longdouble))
    (tmp_path / "latin.jsonl").write_bytes('{"a": "é"}\n'.encode("latin-1"))
    (tmp_path / "quote.csv").write_bytes(b'"a\n' + b"1\n" * 700_000)
    (tmp_path / "in" / "day=1").mkdir(parents=True)
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "in" / "day=1" / "1.parquet")
    number, text = same(("a", FLOAT, ["n"])), same(("a", TEXT, ["n"]))
    for model, source, told in (
        (number, "*.parquet", "[OH641] 2.parquet: two columns are called 'a'"),
        (number, "wide.npz", "[OH641] wide.npz: the array 'a' is of"),
        (text, "latin.jsonl", "[OH642] latin.jsonl, column 'a', row 0: it is no text in UTF-8"),
        (number, "quote.csv", "[OH643] quote.csv: a quote is opened in its first line and never closed"),
        (number, "in", "by a pattern, as in 'folder/**/*.parquet'"),
    ):
        with pytest.raises(oh.Error) as caught:
            score(model, str(tmp_path / source), tmp_path / "out", key=None)
        assert told in str(caught.value)

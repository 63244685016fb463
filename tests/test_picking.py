"""The better of two answers that were computed side by side."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import onnxhybrid as oh
from onnxhybrid.runtime import Picker
from tests.strategies import dense

SURE = oh.judge.max_probability("probs") >= 0.6


def answer(*rows: list[float]) -> dict[str, Any]:
    return {"text": np.array(["local"] * len(rows)), "probs": np.array(rows, np.float32)}


def test_the_local_answer_is_picked_where_the_judge_accepts_it_and_the_other_where_not() -> None:
    better = Picker(SURE)
    sure, unsure = answer([0.9, 0.1]), answer([0.5, 0.5])
    assert better(sure, "remote") is sure
    assert better(unsure, "remote") == "remote"


def test_every_row_has_to_be_accepted() -> None:
    assert not Picker(SURE).accepts(answer([0.9, 0.1], [0.5, 0.5]))


def test_a_threshold_may_be_given_with_the_answers() -> None:
    better = Picker(oh.judge.max_probability("probs") >= oh.Input("threshold", default=0.6))
    assert not better.accepts(answer([0.5, 0.5]))
    assert better.accepts(answer([0.5, 0.5]), threshold=np.array([0.4], np.float32))


@given(arrays.arrays(np.float32, (2, 3), elements=st.floats(0, 1, width=32)), st.floats(0, 1, width=32))
def test_a_picker_picks_what_a_cascade_answers(x: Any, threshold: float) -> None:
    local, remote = (dense("m", "x", "probs", (3, 5), seed=seed, softmax=True) for seed in (1, 2))
    accept = oh.judge.max_probability("probs") >= float(threshold)
    (by_graph,) = oh.Session(oh.cascade(local, remote, accept=accept)).run(None, {"x": x})
    answers = [dict(zip(["probs"], oh.Session(model).run(None, {"x": x}), strict=True)) for model in (local, remote)]
    np.testing.assert_allclose(Picker(accept)(*answers)["probs"], by_graph, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_floats_of_another_width_are_judged_as_in_a_cascade(dtype: Any) -> None:
    assert Picker(SURE).accepts({"probs": np.array([[0.75, 0.25]], dtype)})


def test_what_is_no_judge_is_refused() -> None:
    for value in (dense("m", "x", "y", (3, 5)), "judge", None):
        with pytest.raises(oh.ComposeError) as failure:
            Picker(value)  # type: ignore[arg-type]
        assert failure.value.code == "OH208"


@pytest.mark.parametrize("local", [{}, {"text": np.array(["a"])}, {"probs": np.array(["a"], object)}, {"probs": None}])
def test_an_answer_that_the_judge_cannot_read_is_a_coded_error(local: dict[str, Any]) -> None:
    with pytest.raises(oh.Error) as failure:
        Picker(SURE)(local, "remote")
    assert failure.value.code == "OH540"

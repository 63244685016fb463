"""What users draw for their own tests runs, and cascades of what is drawn equal their parts run by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid.testing.strategies import DTYPES, SHAPES, feeds, judges, models
from tests.strategies import Array, run


@settings(max_examples=30)
@given(st.data())
def test_every_drawn_model_runs_on_what_is_drawn_for_it(data: st.DataObject) -> None:
    model = data.draw(models())
    given_ = data.draw(feeds(model))
    values = run(model, given_)
    assert [spec.name for spec in model.outputs] == list(values)
    for spec in model.outputs:
        (verdict,) = oh.Session(data.draw(judges(spec))).run(None, {spec.name: values[spec.name]})
        assert verdict.dtype == bool


@settings(max_examples=20)
@given(st.data())
def test_drawn_models_in_a_chain_equal_themselves_one_after_the_other(data: st.DataObject) -> None:
    dtype, shape = data.draw(st.sampled_from(DTYPES)), data.draw(st.sampled_from(SHAPES))
    x, y, z = (oh.TensorSpec(name, dtype, shape) for name in "xyz")
    a, b = data.draw(models([x], [y])), data.draw(models([y], [z]))
    given_ = data.draw(feeds(a))
    same(run(oh.chain(a, b), given_), run(b, run(a, given_)))


def same(ours: Mapping[str, Array], by_hand: Mapping[str, Array]) -> None:
    assert list(ours) == list(by_hand)
    for name, value in by_hand.items():
        assert ours[name].dtype == value.dtype
        np.testing.assert_array_equal(ours[name], value)


def by_rows(local: oh.Model, remote: oh.Model, judge: oh.Model, fed: Mapping[str, Any]) -> dict[str, Array]:
    """Run local; judge; run remote on the refused rows; put its answers in their places."""
    answers = run(local, fed)
    (verdict,) = oh.Session(judge).run(None, {spec.name: answers[spec.name] for spec in judge.inputs})
    refused = ~verdict.all(axis=tuple(range(1, verdict.ndim)))
    if refused.any():
        for name, rows in run(remote, {name: value[refused] for name, value in fed.items()}).items():
            answers[name] = answers[name].copy()
            answers[name][refused] = rows
    return answers


@settings(max_examples=40)
@given(st.data())
def test_a_cascade_of_rows_equals_its_parts_run_by_hand(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([shape for shape in SHAPES if shape and not isinstance(shape[0], int)]))
    names = ("x", "z y", "t0", "größe")
    x, z, y, w = (oh.TensorSpec(name, data.draw(st.sampled_from(DTYPES)), shape) for name in names)
    local, remote = data.draw(models([x], [y, w])), data.draw(models([z, x], [w, y]))
    judge = data.draw(judges(data.draw(st.sampled_from([y, w]))))
    composed = oh.cascade(local, remote, accept=judge, rows=True)
    fed = data.draw(feeds(composed))
    same(run(composed, fed), by_rows(local, remote, judge, fed))


def test_without_hypothesis_the_message_says_what_to_install() -> None:
    code = "import sys; sys.modules['hypothesis'] = None; import onnxhybrid.testing.strategies"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'onnxhybrid[testing]'" in ended.stderr

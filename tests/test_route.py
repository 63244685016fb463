"""`route`: the model that a number names runs and no other, and a number that names none is an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import onnxhybrid as oh
from tests.remotes import adder
from tests.strategies import dense, local_models, of_graph, rows, run

X = rows(2, 3, 1)
MODELS = [dense("m", "x", "y", (3, 3), seed=seed) for seed in range(5)]


@given(st.lists(local_models(), min_size=1, max_size=4), st.data())
def test_a_route_equals_the_model_that_its_index_names(models: list[oh.Model], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(models) - 1))
    ours = run(oh.route("which", models), {"x": X, "which": np.array(index)})
    np.testing.assert_array_equal(ours["y"], run(models[index], {"x": X})["y"])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_an_index_out_of_range_is_an_error_and_never_a_wrong_branch(count: int) -> None:
    session = oh.Session(oh.route("which", MODELS[:count]))
    for index in (-1, -count, count, 2**31, 2**62, -(2**63)):
        with pytest.raises(oh.Error, match="OH545") as caught:
            session.run(None, {"x": X, "which": np.array(index)})
        assert caught.value.message == f"the index of a route of {count} is from 0 to {count - 1}"
    assert len(session.run(None, {"x": X, "which": np.array(count - 1)})) == 1


def test_a_constant_index_out_of_range_is_the_same_error() -> None:
    session = oh.Session(oh.route("which", MODELS).bind(which=7))
    with pytest.raises(oh.Error, match="OH545"):
        session.run(None, {"x": X})


def _whole(dtype: str, shape: Any = None) -> oh.Model:
    """A float32 input as whole numbers."""
    values = [oh.TensorSpec("f", "float32", shape).to_value_info(), oh.TensorSpec("i", dtype, shape).to_value_info()]
    node = helper.make_node("Cast", ["f"], ["i"], to=values[1].type.tensor_type.elem_type)
    return of_graph(helper.make_graph([node], "whole", values[:1], values[1:]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_a_model_may_be_the_index(dtype: str) -> None:
    session = oh.Session(oh.route(_whole(dtype), MODELS))
    for index in (0, 3, 4):
        for shape in ((), (1,), (1, 1)):
            (ours,) = session.run(None, {"x": X, "f": np.full(shape, index, np.float32)})
            np.testing.assert_array_equal(ours, run(MODELS[index], {"x": X})["y"])
    with pytest.raises(oh.Error, match=r"OH545.* whole number"):
        session.run(None, {"x": X, "f": np.zeros(2, np.float32)})


def test_an_index_that_a_model_reads_too_is_one_input() -> None:
    model = _whole("float64").rename({"f": "g"})
    with pytest.raises(oh.ComposeError, match="OH212"):
        oh.route("g", [model, model])
    said = of_graph(
        helper.make_graph(
            [helper.make_node("Add", ["which", "which"], ["y"])],
            "twice",
            [oh.TensorSpec("which", "int32", (1,)).to_value_info()],
            [oh.TensorSpec("y", "int32", (1,)).to_value_info()],
        )
    )
    assert run(oh.route("which", [said, said, said]), {"which": np.array([2], np.int32)})["y"].tolist() == [4]


def test_only_the_model_that_is_named_calls_out() -> None:
    nobody = adder("http://127.0.0.1:9", retries=0)
    local = dense("l", "x", "y", (3, 2))
    session = oh.Session(oh.route("which", [nobody, local, nobody]))
    np.testing.assert_array_equal(session.run(None, {"x": X, "which": np.array(1)})[0], run(local, {"x": X})["y"])
    with pytest.raises(oh.RemoteRefused):
        session.run(None, {"x": X, "which": np.array(2)})


def test_many_models_can_be_routed_to() -> None:
    models = [dense("m", "x", "y", (3, 3), seed=seed) for seed in range(70)]
    session = oh.Session(oh.route("which", models))
    for index in (0, 1, 34, 35, 68, 69):
        (ours,) = session.run(None, {"x": X, "which": np.array(index)})
        np.testing.assert_array_equal(ours, run(models[index], {"x": X})["y"])


@settings(max_examples=20)
@given(local_models(), local_models(), local_models(), st.integers(0, 1), st.integers(0, 2), st.booleans())
def test_routes_nest_in_everything(a: oh.Model, b: oh.Model, c: oh.Model, one: int, two: int, accepted: bool) -> None:
    sure = oh.judge.logit_max("y") >= (-1e30 if accepted else 1e30)
    inner = oh.cascade(oh.route("one", [a, b]), oh.ensemble([b, c], "max"), accept=sure)
    outer = oh.route("two", [oh.switch("s", a, b), inner, oh.ensemble([oh.route("one", [a, b]), c])])
    feeds = {"x": X, "one": np.array(one), "two": np.array(two), "s": np.array(accepted)}
    ya, yb, yc = (run(model, {"x": X})["y"] for model in (a, b, c))
    routed = (ya, yb)[one]
    by_hand = [ya if accepted else yb, routed if accepted else np.maximum(yb, yc), (routed + yc) / 2][two]
    np.testing.assert_allclose(run(outer, feeds)["y"], by_hand, rtol=1e-6)


A = MODELS[0]


@pytest.mark.parametrize(
    ("code", "index", "models"),
    [
        ("OH205", "i", []),
        ("OH205", "i", A),
        ("OH205", "i", {"a": A}),
        ("OH205", "i", [A, "b.onnx"]),
        ("OH205", 3, [A]),
        ("OH206", "i", [A, dense("b", "x", "z", (3, 3))]),
        ("OH206", "i", [A, _whole("int64").rename({"f": "x", "i": "y"})]),
        ("OH212", "x", [A, A]),
        ("OH212", A, [A, A]),
        ("OH212", _whole("int64", (2,)), [A]),
        ("OH212", _whole("int64", (0,)), [A]),
        ("OH212", oh.parallel(a=_whole("int64"), b=_whole("int64")), [A]),
        ("OH202", "i", [A, dense("b", "x", "y", (4, 3))]),
        ("OH210", "y", [A, A]),
    ],
)
def test_what_cannot_be_routed_is_a_coded_error(code: str, index: Any, models: Any) -> None:
    with pytest.raises(oh.ComposeError) as caught:
        oh.route(index, models)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)

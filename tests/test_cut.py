"""Cutting: a model cut in two and chained again is the model, and what cannot be cut is told why."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import Array, local_models, of_graph, rows, run

X = rows(4, 3, 1)


def unchecked(value: Any) -> Any:
    return value


def same(ours: dict[str, Array], by_hand: dict[str, Array]) -> None:
    assert list(ours) == list(by_hand)
    for name, value in by_hand.items():
        np.testing.assert_array_equal(ours[name], value)


def floats(*names: str, shape: tuple[int | str | None, ...] = ("n", 3)) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]


def nodes(*rows: tuple[str, str, str]) -> list[onnx.NodeProto]:
    """Nodes written as (operator, inputs, outputs); a node is called like its first output."""
    return [helper.make_node(op, i.split(), o.split(), name=f"make_{o.split()[0]}") for op, i, o in rows]


def graph_of(
    made: list[onnx.NodeProto], inputs: str = "x", outputs: str = "y", weights: tuple[str, ...] = (), **more: Any
) -> oh.Model:
    constants = [numpy_helper.from_array(np.full(3, n + 2, np.float32), name) for n, name in enumerate(weights)]
    return of_graph(helper.make_graph(made, "g", floats(*inputs.split()), floats(*outputs.split()), constants), **more)


# x -> a -> b -> y, and a -> y
RESIDUAL = graph_of(
    nodes(("Mul", "x w", "a"), ("Neg", "a", "b"), ("Add", "a b2", "c"), ("Mul", "c w", "y")), weights=("w", "b2")
)


@given(local_models(inputs=("x", "z"), outputs=("y", "u")), st.data())
def test_a_model_cut_in_two_and_chained_again_is_the_model(model: oh.Model, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.sampled_from([spec.name for spec in model.tensors()]), min_size=1, unique=True))
    feeds = {"x": X, "z": rows(4, 3, 2)}
    try:
        head, tail = oh.split(model, at=at)
    except oh.ComposeError as problem:
        assert problem.code == "OH237"
        return
    assert [value.name for value in head.outputs] == at
    assert [value.name for value in head.inputs] == ["x", "z"]
    assert [value.name for value in tail.inputs] == at
    by_hand = run(tail, run(head, feeds))
    same(by_hand, run(model, feeds))
    same(run(oh.chain(head, tail), feeds), by_hand)


@given(local_models(inputs=("x", "z"), outputs=("y", "u")), st.data())
def test_the_inputs_are_a_cut_and_so_are_all_outputs(model: oh.Model, data: st.DataObject) -> None:
    feeds = {"x": X, "z": rows(4, 3, 2)}
    for at in (["z", "x"], ["u", "y"]):
        same(run(oh.chain(*oh.split(model, at=at)), feeds), run(model, feeds))

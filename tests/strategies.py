"""Models made of a few standard operators, and what is needed to run them by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh

Array = npt.NDArray[Any]


def run(model: oh.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a local model, by a plain session of ONNX Runtime; the model also passes onnx's own checker."""
    proto = model.to_proto()
    onnx.checker.check_model(proto)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    known = {argument.name for argument in (*session.get_inputs(), *session.get_overridable_initializers())}
    values = session.run(None, {name: feed for name, feed in feeds.items() if name in known})
    return dict(zip([output.name for output in session.get_outputs()], values, strict=True))


def dense(
    name: str,
    source: str,
    target: str,
    columns: tuple[int, int],
    *,
    seed: int = 0,
    opset: int = 17,
    softmax: bool = False,
    rows: str | int | None = "n",
) -> oh.Model:
    """`target = source @ w + b`, (n, columns[0]) -> (n, columns[1]); inner names are the same in all such models."""
    random = np.random.default_rng(seed)
    weight = random.normal(size=columns).astype(np.float32)
    bias = random.normal(size=columns[1]).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", [source, "weight"], ["product"], name="matmul"),
        helper.make_node("Add", ["product", "bias"], ["sum" if softmax else target], name="add"),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["sum"], [target], name="softmax", axis=-1))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, [rows, columns[0]])],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, [rows, columns[1]])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    return of_graph(graph, opset=opset)


def of_graph(graph: onnx.GraphProto, *, opset: int = 17, **more: Any) -> oh.Model:
    """A Model of a graph."""
    imports = [helper.make_opsetid("", opset)]
    return oh.Model.from_proto(helper.make_model(graph, **{"opset_imports": imports, "ir_version": 8, **more}))


def rows(count: int, columns: int, seed: int = 0) -> Array:
    """Some float32 rows."""
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


_UNARY = ("Relu", "Neg", "Abs", "Tanh", "Identity", "Sigmoid")


@st.composite
def local_models(
    draw: st.DrawFn, inputs: Sequence[str] = ("x",), outputs: Sequence[str] = ("y",), width: int = 3
) -> oh.Model:
    """Models of float32[n, width] tensors: a few layers with weights, tensors called alike, perhaps nested graphs.

    Outputs may be inputs or inner tensors themselves; opsets, graph names and names of sizes vary.
    """
    taken = list(inputs)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    for position in range(draw(st.integers(1, 4))):
        source = draw(st.sampled_from(taken))
        target = f"t{position}"
        kind = draw(st.sampled_from((*_UNARY, "Scale", "If")))
        if kind == "Scale":
            weight = draw(st.lists(st.integers(-3, 3), min_size=width, max_size=width))
            weights.append(numpy_helper.from_array(np.array(weight, np.float32), f"w{position}"))
            nodes.append(helper.make_node("Mul", [source, f"w{position}"], [target], name=f"n{position}"))
        elif kind == "If":
            nodes += _if(source, target, position)
        else:
            nodes.append(helper.make_node(kind, [source], [target], name=f"n{position}"))
        taken.append(target)
    for name in outputs:
        nodes.append(helper.make_node("Identity", [draw(st.sampled_from(taken))], [name], name=f"out_{name}"))
    size = draw(st.sampled_from(("n", "rows", "t0", None)))

    def declared(names: Sequence[str]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, width]) for name in names]

    graph = helper.make_graph(
        nodes, draw(st.sampled_from(("g", "model", "t0"))), declared(inputs), declared(outputs), weights
    )
    return of_graph(graph, opset=draw(st.sampled_from((13, 15, 17, 18))))


def _if(source: str, target: str, position: int) -> list[onnx.NodeProto]:
    """An If whose branches read an outer tensor and have inner tensors of one name."""

    def branch(name: str, operator: str) -> onnx.GraphProto:
        value = helper.make_tensor_value_info(f"inner{position}_{name}", TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operator, [source], [value.name], name="same")], name, [], [value])

    truth = numpy_helper.from_array(np.array(position % 2 == 0), "truth")
    constant = helper.make_node("Constant", [], [f"c{position}"], name=f"constant{position}", value=truth)
    chosen = helper.make_node(
        "If",
        [f"c{position}"],
        [target],
        name=f"if{position}",
        then_branch=branch("a", "Neg"),
        else_branch=branch("b", "Abs"),
    )
    return [constant, chosen]

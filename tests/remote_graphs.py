"""Random graphs with several remote calls, in the main graph, in branches and in bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.model.remote_spec import DOMAIN
from tests.servers.echo import remote

FLOATS = ("n", 3)


class Pen:
    """Writes nodes whose tensors are all float32 (n, 3), each under a name of its own."""

    def __init__(self, draw: st.DrawFn, url: str) -> None:
        self._draw, self._url = draw, url
        self._count = 0
        self.weights: list[TensorProto] = []

    def name(self, kind: str) -> str:
        """A new name."""
        self._count += 1
        return f"{kind}{self._count}"

    def graph(self, known: Sequence[str], size: int, depth: int) -> tuple[list[NodeProto], list[ValueInfoProto], str]:
        """Nodes of a graph that knows these tensors, the declarations they need, and what they end in."""
        nodes: list[NodeProto] = []
        values: list[ValueInfoProto] = []
        tensors = list(known)
        kinds = ("Call", "Call", "Unary", "Add", "Scale", "Text", "Sequence", "Drawn", *(("If", "Loop") * (depth > 0)))
        for _ in range(size):
            kind = self._draw(st.sampled_from(kinds))
            source, other = self._draw(st.sampled_from(tensors)), self._draw(st.sampled_from(tensors))
            target = self.name(kind.lower())
            write: Callable[..., list[NodeProto]] = getattr(self, f"_{kind.lower()}")
            nodes += write(source, other, target, tensors, depth)
            if kind == "Call":
                values.append(helper.make_tensor_value_info(target, TensorProto.FLOAT, None))
            tensors.append(target)
        return nodes, values, tensors[-1]

    def _call(self, source: str, other: str, target: str, *_: object) -> list[NodeProto]:
        model = remote(self._url, self._draw(st.sampled_from("abc")))
        node = NodeProto()
        node.CopyFrom(model.skeleton.graph.node[0])
        node.name = self._draw(st.sampled_from((target, "")))
        node.input[:], node.output[:] = [source], [target]
        return [node]

    def _unary(self, source: str, other: str, target: str, *_: object) -> list[NodeProto]:
        kind = self._draw(st.sampled_from(("Neg", "Abs", "Identity", "Relu")))
        return [helper.make_node(kind, [source], [target], name=target)]

    def _add(self, source: str, other: str, target: str, *_: object) -> list[NodeProto]:
        return [helper.make_node("Add", [source, other], [target], name=target)]

    def _scale(self, source: str, other: str, target: str, *_: object) -> list[NodeProto]:
        self.weights.append(numpy_helper.from_array(np.array([2, 3, 4], np.float32), self.name("weight")))
        return [helper.make_node("Mul", [source, self.weights[-1].name], [target], name=target)]

    def _text(self, source: str, other: str, target: str, *_: object) -> list[NodeProto]:
        text = self.name("text")
        return [
            helper.make_node("Cast", [source], [text], to=TensorProto.STRING),
            helper.make_node("Cast", [text], [target], to=TensorProto.FLOAT),
        ]

    def _sequence(self, source: str, other: str, target: str, *_: object) -> list[NodeProto]:
        both, last = self.name("both"), self.name("last")
        return [
            helper.make_node("SequenceConstruct", [source, other], [both]),
            helper.make_node("Constant", [], [last], value_int=-1),
            helper.make_node("SequenceAt", [both, last], [target]),
        ]

    def _drawn(self, source: str, other: str, target: str, *_: object) -> list[NodeProto]:
        """A shape that is known before the run, and what is made from it."""
        shape, zeros = self.name("shape"), self.name("zeros")
        return [
            helper.make_node("Constant", [], [shape], value_ints=[1, 3]),
            helper.make_node("ConstantOfShape", [shape], [zeros]),
            helper.make_node("Add", [zeros, source], [target]),
        ]

    def _inner(self, known: Sequence[str], name: str, depth: int) -> GraphProto:
        nodes, values, end = self.graph(known, self._draw(st.integers(1, 3)), depth - 1)
        result = helper.make_tensor_value_info(self.name("result"), TensorProto.FLOAT, None)
        nodes.append(helper.make_node("Identity", [end], [result.name]))
        return helper.make_graph(nodes, name, [], [result], value_info=values)

    def _if(self, source: str, other: str, target: str, known: Sequence[str], depth: int) -> list[NodeProto]:
        branches = {f"{name}_branch": self._inner(known, name, depth) for name in ("then", "else")}
        return [helper.make_node("If", [self._draw(st.sampled_from("cd"))], [target], name=target, **branches)]

    def _loop(self, source: str, other: str, target: str, known: Sequence[str], depth: int) -> list[NodeProto]:
        number, going, state = self.name("number"), self.name("going"), self.name("state")
        body = self._inner([*known, state], "body", depth)
        still = self.name("still")
        body.node.append(helper.make_node("Identity", [going], [still]))
        body.input.extend(
            (
                helper.make_tensor_value_info(number, TensorProto.INT64, []),
                helper.make_tensor_value_info(going, TensorProto.BOOL, []),
                helper.make_tensor_value_info(state, TensorProto.FLOAT, None),
            )
        )
        body.output.insert(0, helper.make_tensor_value_info(still, TensorProto.BOOL, []))
        times = self.name("times")
        constant = helper.make_node("Constant", [], [times], value_int=self._draw(st.integers(0, 2)))
        return [constant, helper.make_node("Loop", [times, "", source], [target], name=target, body=body)]


@st.composite
def remote_graphs(draw: st.DrawFn, url: str, depth: int = 2) -> oh.Model:
    """Models of x, w: float32 (n, 3) and c, d: bool, with calls to the models a, b and c of an echo server."""
    pen = Pen(draw, url)
    nodes, values, end = pen.graph(["x", "w"], draw(st.integers(2, 7)), depth)
    made = [name for node in nodes for name in node.output if node.op_type not in ("Constant", "SequenceConstruct")]
    floats = [name for name in made if name.startswith(("call", "add", "scale", "if", "loop", "unary"))]
    outputs = sorted({end, *draw(st.lists(st.sampled_from(floats or [end]), max_size=2))})
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, draw(st.sampled_from((FLOATS, None)))) for name in "xw"
    ]
    inputs += [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in "cd"]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    known = [value for value in values if value.name not in outputs]
    graph = helper.make_graph(nodes, "g", inputs, results, pen.weights, value_info=known)
    imports = [helper.make_opsetid("", draw(st.sampled_from((13, 16, 17, 21)))), helper.make_opsetid(DOMAIN, 1)]
    model: onnx.ModelProto = helper.make_model(graph, ir_version=9, opset_imports=imports)
    return oh.Model.from_proto(model)

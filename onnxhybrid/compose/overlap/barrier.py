"""Barriers: tensors as they are, but not before calls were begun. Made of standard operators, and taken out again.

ONNX Runtime computes nodes in an order of its own, which only data can force. A barrier is a Reshape to the tensor's
own shape, which its kernel does in place, for every element type; what is appended to the shape is the shape of the
ticket, a scalar: nothing, but known only when there is a ticket. No optimizer of ONNX Runtime sees through it.

    gate = Shape(ticket)      # of several tickets: Concat(gate, Shape(ticket))
    late = Reshape(tensor, Concat(Shape(tensor), gate))

What is no tensor passes an If that does the same whatever its condition is: whether the gate has a size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onnx import GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

from onnxhybrid.model.dtypes import is_container, type_name
from onnxhybrid.model.naming import Names

ANY_TYPE = 16
"""The standard opset from which on If and Identity take what is no tensor."""


def gate(tickets: Iterable[str], before: str | None, names: Names) -> tuple[list[NodeProto], str]:
    """The nodes of a gate that is open when all these tickets and the gate before are there, and its tensor."""
    nodes, current = [], before
    for ticket in tickets:
        nodes.append(_node("Shape", [ticket], f"{ticket}/gate", names))
        if current is not None:
            nodes.append(_node("Concat", [current, nodes[-1].output[0]], f"{ticket}/gates", names, axis=0))
        current = nodes[-1].output[0]
    assert current is not None
    return nodes, current


def barrier(tensor: str, kind: TypeProto, opened: str, names: Names) -> list[NodeProto]:
    """The nodes that give a tensor behind a gate; the last one's output is it."""
    if is_container(type_name(kind)):
        return _passage(tensor, kind, opened, names)
    shape = _node("Shape", [tensor], f"{opened}/{tensor}/shape", names)
    gated = _node("Concat", [shape.output[0], opened], f"{opened}/{tensor}/shape/gated", names, axis=0)
    return [shape, gated, _node("Reshape", [tensor, gated.output[0]], f"{opened}/{tensor}", names)]


def _passage(tensor: str, kind: TypeProto, opened: str, names: Names) -> list[NodeProto]:
    def branch(label: str) -> GraphProto:
        same = _node("Identity", [tensor], f"{opened}/{tensor}/{label}", names)
        value = ValueInfoProto(name=same.output[0])
        value.type.CopyFrom(kind)
        return helper.make_graph([same], label, [], [value])

    size = _node("Size", [opened], f"{opened}/{tensor}/size", names)
    condition = _node("Cast", [size.output[0]], f"{opened}/{tensor}/condition", names, to=TensorProto.BOOL)
    branches = {"then_branch": branch("then"), "else_branch": branch("else")}
    return [size, condition, _node("If", [condition.output[0]], f"{opened}/{tensor}", names, **branches)]


def _node(operator: str, inputs: list[str], output: str, names: Names, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [names.tensor(output)], name=names.node(output), **attributes)

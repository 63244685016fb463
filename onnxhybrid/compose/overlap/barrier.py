"""Barriers: nodes of standard operators that hold a tensor back until remote calls have begun.

ONNX Runtime computes nodes in an order of its own, which only the data that they read can force. A barrier is a Reshape
of a tensor to its own shape, with the shape of the call's ticket appended. The ticket is a scalar, so its shape is
empty and appends nothing, but it is not there before the call has begun. The kernel of Reshape copies nothing, takes
every element type, and no optimizer of ONNX Runtime removes the node.

    gate = Shape(ticket)      # of several tickets: Concat(gate, Shape(ticket))
    late = Reshape(tensor, Concat(Shape(tensor), gate))

Reshape takes tensors only. A sequence or an optional passes through an If whose branches both pass it on, and whose
condition is made of the gate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onnx import GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

from onnxhybrid.model.dtypes import is_container, type_name
from onnxhybrid.model.naming import Names

ANY_TYPE = 16
"""The first standard opset whose If and Identity take sequences and optionals."""


def gate(tickets: Iterable[str], before: str | None, names: Names) -> tuple[list[NodeProto], str]:
    """The nodes of a gate, and its tensor: it is computed when these tickets and the gate before are there."""
    nodes, current = [], before
    for ticket in tickets:
        nodes.append(_node("Shape", [ticket], f"{ticket}/gate", names))
        if current is not None:
            nodes.append(_node("Concat", [current, nodes[-1].output[0]], f"{ticket}/gates", names, axis=0))
        current = nodes[-1].output[0]
    assert current is not None
    return nodes, current


def barrier(tensor: str, kind: TypeProto, opened: str, names: Names) -> list[NodeProto]:
    """The nodes that hold a tensor back behind a gate; the last one gives it."""
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

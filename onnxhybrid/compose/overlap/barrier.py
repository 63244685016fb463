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

from onnxhybrid.compose.part import Names
from onnxhybrid.model.dtypes import is_container, type_name
from onnxhybrid.model.graphs import attribute_graphs

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


class Barriers:
    """The barriers that a graph holds."""

    def __init__(self, nodes: Iterable[NodeProto], tickets: Iterable[str]) -> None:
        """Find them.

        Args:
            nodes: the graph's nodes, sorted.
            tickets: the tickets that they may be made of.
        """
        self.originals: dict[str, str] = {}
        """Tensor behind a barrier -> the tensor."""
        self.made: set[str] = set()
        """What the nodes before the last ones of barriers give."""
        self._tickets, self._gates = set(tickets), set[str]()
        self._sources: dict[str, NodeProto] = {}
        for node in nodes if self._tickets else ():
            if node.domain in ("", "ai.onnx") and len(node.output) == 1:
                self._see(node)

    def _see(self, node: NodeProto) -> None:
        if self._is_gate(node):
            self._gates.add(node.output[0])
            self.made.add(node.output[0])
        elif found := self._reshaped(node) or self._passed(node):
            tensor, *made = found
            self.originals[node.output[0]] = self.originals.get(tensor, tensor)
            self.made.update(made)
        self._sources[node.output[0]] = node

    def _is_gate(self, node: NodeProto) -> bool:
        sources = {"Shape": self._tickets, "Concat": self._gates}.get(node.op_type, set())
        return bool(node.input) and all(name in sources for name in node.input) and _is_whole(node)

    def _reshaped(self, node: NodeProto) -> tuple[str, ...]:
        """What the Reshape of a barrier passes, and what is made for it; nothing where the node is none."""
        if node.op_type == "Reshape" and len(node.input) == 2:
            tensor, shape = node.input
            own, opened = self._inputs(shape, "Concat", 2)
            if opened in self._gates and self._inputs(own, "Shape", 1) == (tensor,) and _is_whole(self._sources[own]):
                return tensor, shape, own
        return ()

    def _passed(self, node: NodeProto) -> tuple[str, ...]:
        """The same for the If of a barrier."""
        if node.op_type == "If" and len(node.input) == 1:
            (size,) = self._inputs(node.input[0], "Cast", 1)
            (opened,) = self._inputs(size, "Size", 1)
            passed = {_identity(branch) for branch in attribute_graphs(node)}
            if opened in self._gates and len(passed) == 1 and (tensor := passed.pop()):
                return tensor, node.input[0], size
        return ()

    def _inputs(self, name: str, operator: str, count: int) -> tuple[str, ...]:
        """The inputs of the node that writes a tensor, if it is this operator with so many; empty names otherwise."""
        node = self._sources.get(name)
        fits = node is not None and node.op_type == operator and len(node.input) == count
        return tuple(node.input) if node is not None and fits else ("",) * count


def _is_whole(node: NodeProto) -> bool:
    """Not a Shape of a few dimensions."""
    return node.op_type != "Shape" or not node.attribute


def _identity(graph: GraphProto) -> str:
    """What a graph of one Identity node gives; nothing where it is another."""
    given = [value.name for value in graph.output]
    nodes = [node for node in graph.node if node.op_type == "Identity" and list(node.output) == given]
    return nodes[0].input[0] if nodes and len(graph.node) == len(nodes[0].input) == 1 else ""

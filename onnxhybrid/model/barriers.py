"""Finds barriers: nodes that hold a tensor back until remote calls have begun (see compose.overlap.barrier)."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import GraphProto, NodeProto

from onnxhybrid.model.graphs import attribute_graphs


class Barriers:
    """The barriers that a graph holds."""

    def __init__(self, nodes: Iterable[NodeProto], tickets: Iterable[str]) -> None:
        """Find them.

        Args:
            nodes: the graph's nodes, sorted.
            tickets: the tickets that they may be made of.
        """
        self.originals: dict[str, str] = {}
        """The tensor that a barrier gives -> the tensor that it takes."""
        self.made: set[str] = set()
        """The tensors inside of barriers: what all their nodes but the last one write."""
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
        """The tensor that a barrier's Reshape passes on, and those inside of the barrier; none if it is no barrier."""
        if node.op_type == "Reshape" and len(node.input) == 2:
            tensor, shape = node.input
            own, opened = self._inputs(shape, "Concat", 2)
            if opened in self._gates and self._inputs(own, "Shape", 1) == (tensor,) and _is_whole(self._sources[own]):
                return tensor, shape, own
        return ()

    def _passed(self, node: NodeProto) -> tuple[str, ...]:
        """The same of a barrier that ends in an If."""
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
    """Whether a node is no Shape, or one of all dimensions."""
    return node.op_type != "Shape" or not node.attribute


def _identity(graph: GraphProto) -> str:
    """The tensor that a graph passes on, if one Identity is all of it; otherwise an empty name."""
    given = [value.name for value in graph.output]
    nodes = [node for node in graph.node if node.op_type == "Identity" and list(node.output) == given]
    return nodes[0].input[0] if nodes and len(graph.node) == len(nodes[0].input) == 1 else ""

"""How the nodes and tensors of a graph hang together, as a graphsurgeon graph.

Only the wiring is there: what graphsurgeon reads and writes by itself loses metadata, documentation and quantization
annotations, so the content stays in the protobuf, and each node here knows its position in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx_graphsurgeon as gs
from onnx import GraphProto, NodeProto

from onnxhybrid.model.graphs import reads

Steps = dict[str, "tuple[str, int] | None"]
"""tensor -> the tensor and the position of the node that it was reached from; None for a start"""


class Wiring:
    """The wiring of a main graph. A node reads what its nested graphs take from outside, too."""

    def __init__(self, graph: GraphProto) -> None:
        """Wire up a graph, which is not changed and not kept."""
        self._nodes = list(graph.node)
        self._tensors: dict[str, gs.Variable] = {}
        for position, node in enumerate(graph.node):
            inputs = [self._tensor(name) for name in dict.fromkeys(reads(node))]
            outputs = [self._tensor(name) for name in node.output if name]
            gs.Node(node.op_type, attrs={"position": position}, inputs=inputs, outputs=outputs)

    def _tensor(self, name: str) -> gs.Variable:
        if name not in self._tensors:
            self._tensors[name] = gs.Variable(name)
        return self._tensors[name]

    def behind(self, tensors: Iterable[str], stop: Collection[str] = ()) -> list[int]:
        """The positions, in order, of the nodes that `tensors` need; nothing behind `stop` is looked at."""
        found: set[int] = set()
        pending = [name for name in tensors if name not in stop]
        while pending:
            for node in self._tensor(pending.pop()).inputs:
                if (position := node.attrs["position"]) not in found:
                    found.add(position)
                    pending += [tensor.name for tensor in node.inputs if tensor.name not in stop]
        return sorted(found)

    def ahead(self, tensors: Iterable[str], stop: Collection[str] = ()) -> Steps:
        """The tensors that depend on `tensors`, these included; nothing that only `stop` leads to."""
        steps: Steps = dict.fromkeys(name for name in tensors if name not in stop)
        pending = list(steps)
        for name in pending:  # it grows while it is walked
            for node in self._tensor(name).outputs:
                fresh = [t.name for t in node.outputs if t.name not in steps and t.name not in stop]
                steps.update(dict.fromkeys(fresh, (name, node.attrs["position"])))
                pending += fresh
        return steps

    def path(self, steps: Steps, end: str) -> str:
        """The way to a tensor that `ahead` found, as in `x -> Conv(conv1) -> … -> y`."""
        words = [repr(end)]
        step = steps[end]
        while step is not None:
            name, position = step
            words += [label(self._nodes[position]), repr(name)]
            step = steps[name]
        words.reverse()
        return " -> ".join(words if len(words) <= _LONG else [*words[:4], "…", *words[-3:]])


_LONG = 11  # words of a path that is still read at a glance


def label(node: NodeProto) -> str:
    """A node for a message: what it does, and its name if it has one."""
    return f"{node.op_type}({node.name})" if node.name else node.op_type

"""Keeps BatchNormalization from overwriting a tensor that other parts read.

In training mode ONNX Runtime writes the new statistics into the memory of the old ones, even if these are an input of
the graph, unless the new ones are outputs of the graph. In a composition they often are not.
"""

from __future__ import annotations

from onnx import GraphProto, NodeProto, helper

from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import tensor_names

_STATISTICS = (3, 4)
"""Which inputs are overwritten."""


def protect(graph: GraphProto) -> None:
    """Give such nodes of a graph copies to overwrite."""
    if not any(map(_overwrites, graph.node)):
        return
    taken = tensor_names(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        for position in _STATISTICS if _overwrites(node) else ():
            copy = taken.take(f"{node.input[position]}/copy")
            # ONNX Runtime would remove an Identity.
            nodes.append(helper.make_node("Sum", [node.input[position]], [copy], name=copy))
            node.input[position] = copy
        nodes.append(node)
    replace(graph.node, nodes)


def _overwrites(node: NodeProto) -> bool:
    return node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute)

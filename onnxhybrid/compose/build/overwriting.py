"""Keeps a node from computing in the memory of a tensor that other parts read.

BatchNormalization in training mode writes its new statistics over the old ones in ONNX Runtime, also where these are an
input of the graph, as soon as the new ones are no output of the graph; in a composition they often are none.
"""

from __future__ import annotations

from onnx import GraphProto, NodeProto, helper

from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import tensor_names

_STATISTICS = (3, 4)
"""Which inputs are overwritten."""


def protect(graph: GraphProto) -> None:
    """Let such nodes of a graph overwrite copies."""
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

"""Keeps BatchNormalization from overwriting a tensor that other parts read.

In training mode ONNX Runtime writes the new statistics into the memory of the old ones, even if these are an input of
the graph, unless the new ones are outputs of the graph. In a composition they often are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnx import GraphProto, NodeProto, TensorProto, helper

from onnxhybrid.model.graphs import nested_graphs
from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import Taken, tensor_names

_STATISTICS = (3, 4)
"""Which inputs are overwritten."""


def protect(graph: GraphProto) -> None:
    """Let such nodes of a graph, and of those inside of it, overwrite copies."""
    for inner in nested_graphs(graph):
        if any(map(_overwrites, inner.node)):
            taken = tensor_names(graph)
            replace(inner.node, [each for node in inner.node for each in _protected(node, taken)])


def _protected(node: NodeProto, taken: Taken) -> Iterator[NodeProto]:
    """The node, after those that copy what it overwrites.

    ONNX Runtime removes an Identity, and computes once what follows from weights alone: the next run would find that
    copy overwritten. So the copies need a shape that follows from the node's data, of which they take no element.
    """
    if _overwrites(node):
        never, one, none, count, shape = (taken.take(f"{node.output[0]}/{name}") for name in _NAMES)
        yield helper.make_node("Constant", [], [never], name=never, value=_NEVER)
        yield helper.make_node("Constant", [], [one], name=one, value=_ONE)
        yield helper.make_node("Compress", [node.input[0], never], [none], name=none)
        yield helper.make_node("Shape", [none], [count], name=count)
        yield helper.make_node("Add", [count, one], [shape], name=shape)
        for position in _STATISTICS:
            copy = taken.take(f"{node.input[position]}/copy")
            yield helper.make_node("Expand", [node.input[position], shape], [copy], name=copy)
            node.input[position] = copy
    yield node


_NAMES = ("never", "one", "none", "count", "shape")
_NEVER = helper.make_tensor("never", TensorProto.BOOL, [1], [False])
_ONE = helper.make_tensor("one", TensorProto.INT64, [1], [1])


def _overwrites(node: NodeProto) -> bool:
    return node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute)

"""The one step between opsets that is taken in nested graphs too: axes were an attribute, and became an input."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from onnx import FunctionProto, GraphProto, NodeProto, helper, numpy_helper

from onnxhybrid.model.graphs import nested_graphs
from onnxhybrid.model.naming import free_name, tensor_names
from onnxhybrid.model.opsets import standard
from onnxhybrid.model.schemas import operator_keeps_meaning

_SINCE = {
    **dict.fromkeys(("ReduceSum", "Squeeze", "Unsqueeze"), 13),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"), 18),
    **dict.fromkeys(("ReduceMin", "ReduceProd", "ReduceSumSquare"), 18),
}
"""operator -> the opset since which axes are an input. Source: https://github.com/onnx/onnx/blob/main/docs/Changelog.md"""


def only_axes_moved(operator: str, old: int, new: int) -> bool:
    """Whether all that changed between two opsets is where an operator takes its axes from."""
    since = _SINCE.get(operator, 0)
    return (
        old < since <= new
        and operator_keeps_meaning(operator, old, since - 1)
        and operator_keeps_meaning(operator, since, new)
    )


def move_axes(graph: GraphProto, operators: set[str]) -> None:
    """Turn the axes of these operators into inputs, in nested graphs too."""
    taken = tensor_names(graph)
    for inner in nested_graphs(graph):
        nodes: list[NodeProto] = []
        for node in inner.node:
            if node.op_type in operators and not standard(node.domain):
                nodes += _input_for(node, taken)
            nodes.append(node)
        if len(nodes) > len(inner.node):
            copies = GraphProto(node=nodes)
            del inner.node[:]
            inner.node.extend(copies.node)


def input_axes(function: FunctionProto, operators: Collection[str] = _SINCE) -> None:
    """Turn the axes of these operators into inputs, in a function's own nodes."""
    taken = {name for node in function.node for name in (*node.input, *node.output)} | set(function.input)
    nodes: list[NodeProto] = []
    for node in function.node:
        if node.op_type in operators and not standard(node.domain):
            nodes += _input_for(node, taken)
        nodes.append(node)
    copies = FunctionProto(node=nodes)
    del function.node[:]
    function.node.extend(copies.node)


def _input_for(node: NodeProto, taken: set[str]) -> list[NodeProto]:
    """Let a node read its axes; the node that gives them, if it has any."""
    axes = [attribute for attribute in node.attribute if attribute.name == "axes"]
    if not axes:
        return []
    name = free_name(f"{node.output[0]}/axes", taken)
    taken.add(name)
    value = numpy_helper.from_array(np.array(axes[0].ints, np.int64))
    node.attribute.remove(axes[0])
    node.input.append(name)
    return [helper.make_node("Constant", [], [name], name=name, value=value)]

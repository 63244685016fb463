"""Axes that were an attribute and became an input, in a function that is being made."""

from __future__ import annotations

import numpy as np
from onnx import FunctionProto, NodeProto, helper, numpy_helper

from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import free_name
from onnxhybrid.model.opsets import standard

REDUCTIONS = tuple(
    f"Reduce{name}" for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
)
"""Operators whose axes are an input since opset 18."""

EARLIER = ("ReduceSum", "Squeeze", "Unsqueeze")
"""Operators whose axes are an input since opset 13."""


def input_axes(function: FunctionProto) -> None:
    """Turn the axes of the function's own nodes into inputs."""
    taken = {name for node in function.node for name in (*node.input, *node.output)} | set(function.input)
    nodes: list[NodeProto] = []
    for node in function.node:
        if node.op_type in (*REDUCTIONS, *EARLIER) and not standard(node.domain):
            nodes += _input_for(node, taken)
        nodes.append(node)
    replace(function.node, nodes)


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

"""Softmax, LogSoftmax and Hardmax before opset 13: over all axes from one on, as if these were one."""

from __future__ import annotations

from onnx import NodeProto, helper

from onnxhybrid.model.alignment.scope import Scope
from onnxhybrid.model.alignment.stages import Stage, attribute, drop


def softmax_to_13(node: NodeProto, scope: Scope) -> Stage:
    """Over the last axis as it is; over several of them through a matrix."""
    axis, given, asked = attribute(node, "axis", 1), node.input[0], node.output[0]
    drop(node, "axis")
    rank = scope.rank(given)
    if axis == -1 or (rank is not None and axis == rank - 1):
        node.attribute.append(helper.make_attribute("axis", -1))
        return Stage()
    shape, matrix, result = (scope.name(f"{asked}/{name}") for name in ("shape", "matrix", "result"))
    node.attribute.append(helper.make_attribute("axis", 1))
    node.input[0], node.output[0] = matrix, result
    return Stage(
        [
            helper.make_node("Shape", [given], [shape], name=shape),
            helper.make_node("Flatten", [given], [matrix], name=matrix, axis=axis),
        ],
        [helper.make_node("Reshape", [result, shape], [asked], name=asked)],
    )

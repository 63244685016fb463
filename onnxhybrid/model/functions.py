"""What a model-local function is known by."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto

from onnxhybrid.model.opsets import standard

Key = tuple[str, str, str]
"""Domain, name and overload"""


def key_of(function: FunctionProto) -> Key:
    """What the nodes that call a function name."""
    return standard(function.domain), function.name, function.overload


def called(node: NodeProto) -> Key:
    """What a node calls, if there is such a function."""
    return standard(node.domain), node.op_type, node.overload

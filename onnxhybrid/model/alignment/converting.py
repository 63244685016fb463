"""The version converter of onnx, for the operators that have no steps of their own."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, checker, helper, shape_inference, version_converter

from onnxhybrid.model.fragile import hide, show
from onnxhybrid.model.graphs import attribute_graphs, nodes_of
from onnxhybrid.model.messages import replace
from onnxhybrid.model.opsets import opsets_of, set_opsets

_MISCONVERTED = frozenset({"Attention", "GroupNormalization", "Hardmax", "Resize", "Upsample"})
"""Operators whose conversion by onnx gives other values, or a model that does not load."""

_REFUSALS = (
    RuntimeError,
    TypeError,  # a version that onnx's own numbers do not hold
    ValueError,
    checker.ValidationError,
    version_converter.ConvertError,
    shape_inference.InferenceError,
)


class Unconverted(Exception):  # the caller says what follows
    """Why the converter is not used, or what it said."""


def converted(model: ModelProto, version: int, operators: list[str]) -> None:
    """Let the converter rewrite the main graph of a model, in place; nodes of a domain that it does not know stay.

    Raises:
        Unconverted: it cannot, or is known to give something else.
    """
    if any(True for node in model.graph.node for _ in attribute_graphs(node)):
        raise Unconverted("the version converter does not enter nested graphs")
    if _MISCONVERTED.intersection(operators):
        raise Unconverted("the version converter does not keep what it means")
    try:
        plain = _convertible(model)
        hide(plain)
        result = version_converter.convert_version(plain, version)
    except _REFUSALS as problem:
        raise Unconverted(str(problem).partition("\n")[0]) from None
    show(result)
    replace(model.graph.node, result.graph.node)
    known = {tensor.name for tensor in model.graph.initializer}
    model.graph.initializer.extend(t for t in result.graph.initializer if t.name not in known)


def _convertible(model: ModelProto) -> ModelProto:
    """What the converter can read: one domain, and as inputs the weights that are sparse or lie elsewhere."""
    plain = ModelProto(ir_version=model.ir_version)
    plain.graph.CopyFrom(model.graph)
    set_opsets(plain, {node.domain: 1 for node in nodes_of(model.graph.node)} | opsets_of(model.opset_import))
    inside = [tensor for tensor in plain.graph.initializer if tensor.data_location != TensorProto.EXTERNAL]
    outside = [
        (t.name, t.data_type, t.dims) for t in plain.graph.initializer if t.data_location == TensorProto.EXTERNAL
    ]
    outside += [(s.values.name, s.values.data_type, s.dims) for s in plain.graph.sparse_initializer]
    known = {value.name for value in plain.graph.input}
    for name, kind, dims in outside:
        if name not in known:
            plain.graph.input.append(helper.make_tensor_value_info(name, kind, list(dims)))
    plain.graph.ClearField("sparse_initializer")
    replace(plain.graph.initializer, inside)
    return plain

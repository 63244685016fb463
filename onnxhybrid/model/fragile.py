"""Operators that onnx cannot look at: its inference ends the process where the type of what they read is unknown.

It is unknown behind operators that onnx does not know, remote calls among them. Seen with onnx 1.23: RegexFullMatch,
DictVectorizer and the LabelEncoder of ai.onnx.ml 1.
"""

from __future__ import annotations

from onnx import ModelProto, shape_inference

from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.opsets import opsets_of, set_opsets, standard

_FRAGILE = frozenset({("", "RegexFullMatch"), ("ai.onnx.ml", "DictVectorizer")})
_FRAGILE_IN_ML_1 = _FRAGILE | {("ai.onnx.ml", "LabelEncoder")}
_HIDDEN = "onnxhybrid.hidden/"
"""Before the domain of an operator that onnx shall not recognize."""


def inferred(model: ModelProto, *, data_prop: bool = False) -> ModelProto:
    """A copy of the model with what onnx infers.

    Raises what onnx's `infer_shapes` does.
    """
    if not any((standard(node.domain), node.op_type) in _FRAGILE_IN_ML_1 for node in all_nodes(model)):
        return shape_inference.infer_shapes(model, data_prop=data_prop)
    plain = ModelProto()
    plain.CopyFrom(model)
    for node in all_nodes(plain):
        if node.op_type == "RegexFullMatch" and not standard(node.domain):
            node.op_type = "IsNaN"  # a bool for each element, too
    hide(plain)
    typed = shape_inference.infer_shapes(plain, data_prop=data_prop)
    for node, own in zip(all_nodes(typed), all_nodes(model), strict=True):
        node.op_type, node.domain = own.op_type, own.domain
    set_opsets(typed, opsets_of(model.opset_import))
    return typed


def hide(model: ModelProto) -> None:
    """Give the operators that onnx cannot look at a domain that it does not know, in place."""
    imports = opsets_of(model.opset_import)
    fragile = _FRAGILE_IN_ML_1 if imports.get("ai.onnx.ml") == 1 else _FRAGILE
    for node in all_nodes(model):
        if (standard(node.domain), node.op_type) in fragile:
            node.domain = _HIDDEN + node.domain
            imports[node.domain] = 1
    set_opsets(model, imports)


def show(model: ModelProto) -> None:
    """Give hidden operators their domains back, in place."""
    for node in all_nodes(model):
        node.domain = node.domain.removeprefix(_HIDDEN)

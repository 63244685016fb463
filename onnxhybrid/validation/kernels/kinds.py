"""The types of tensors, spelled as ONNX Runtime spells them: what is declared, and what onnx infers."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, helper

from onnxhybrid.model.fragile import inferred
from onnxhybrid.model.graphs import attribute_graphs, value_infos

_ELEMENTS: dict[int, str] = {number: name.lower() for name, number in TensorProto.DataType.items() if number}

Kinds = Mapping[str, TypeProto]
"""Tensor -> its type; what nobody knows is not in it"""


def typed(model: ModelProto) -> ModelProto:
    """The model with what onnx infers; as it is where onnx cannot."""
    try:
        return inferred(model)
    except Exception:  # noqa: BLE001  # whatever onnx raises: no type is known but those that are declared
        return model


def walk(graph: GraphProto, outer: Kinds | None = None) -> Iterator[tuple[NodeProto, Kinds]]:
    """Every node of a graph and of those inside of it, with the types of all that it sees."""
    kinds = ChainMap(dict(_own(graph)), *([dict(outer)] if outer else []))
    for node in graph.node:
        yield node, kinds
        for inner in attribute_graphs(node):
            yield from walk(inner, kinds)


def _own(graph: GraphProto) -> Iterator[tuple[str, TypeProto]]:
    for tensor in graph.initializer:
        yield tensor.name, helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, helper.make_sparse_tensor_type_proto(sparse.values.data_type, sparse.dims)
    for name, value in value_infos(graph).items():
        if spelled(value.type):
            yield name, value.type


def spelled(kind: TypeProto) -> str:
    """A type as schemas spell it; nothing for one that is not known."""
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        return _around("tensor", _element(kind.tensor_type.elem_type))
    if which == "sparse_tensor_type":
        return _around("sparse_tensor", _element(kind.sparse_tensor_type.elem_type))
    if which == "sequence_type":
        return _around("seq", spelled(kind.sequence_type.elem_type))
    if which == "optional_type":
        return _around("optional", spelled(kind.optional_type.elem_type))
    if which == "map_type" and (value := spelled(kind.map_type.value_type)):
        return f"map({_element(kind.map_type.key_type)},{value})"
    return ""


def _around(kind: str, inner: str) -> str:
    return f"{kind}({inner})" if inner else ""


def _element(number: int) -> str:
    """`float`, `double`, `int64`, `float8e4m3fn`: TensorProto's own words in lower case."""
    return _ELEMENTS.get(number, "")

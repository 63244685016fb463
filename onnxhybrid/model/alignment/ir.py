"""The IR version that holds a model."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto, TensorProto

from onnxhybrid.model.graphs import all_nodes, value_infos


def least_ir(model: ModelProto, held: int) -> int:
    """The least IR version that holds what the model uses. Source: the IR version history in onnx.proto.

    Args:
        model: the skeleton.
        held: an IR version that holds all nodes of it, such as the greatest of its parts.
    """
    nodes = _node_needs(model) if held >= 10 else ()  # no node of an older file can need more
    return max(4, *_ir_needs(model), *nodes)


def _ir_needs(model: ModelProto) -> Iterator[int]:
    yield 8 if model.functions else 4
    types = {tensor.data_type for tensor in model.graph.initializer}
    types.update(v.type.tensor_type.elem_type for v in value_infos(model.graph).values())
    yield max((_TYPE_IR.get(kind, 4) for kind in types), default=4)
    if any(function.overload or function.attribute_proto for function in model.functions):
        yield 10


def _node_needs(model: ModelProto) -> Iterator[int]:
    for node in all_nodes(model):
        if node.overload or node.metadata_props:
            yield 10
        if node.device_configurations:
            yield 11


_TYPE_IR = {
    **dict.fromkeys(range(TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2FNUZ + 1), 9),
    TensorProto.UINT4: 10,
    TensorProto.INT4: 10,
    TensorProto.FLOAT4E2M1: 11,
    TensorProto.FLOAT8E8M0: 12,
    TensorProto.UINT2: 13,
    TensorProto.INT2: 13,
}

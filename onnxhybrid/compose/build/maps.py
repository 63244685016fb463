"""Outputs that are maps, as ZipMap makes them of a classifier's scores: an If gives none, so that runs behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

from onnxhybrid.model import Model
from onnxhybrid.model.alignment import GLUE_OPSET
from onnxhybrid.model.graphs import all_nodes, reads
from onnxhybrid.model.messages import copied
from onnxhybrid.model.naming import free_name, rename_tensors, tensor_names
from onnxhybrid.model.opsets import opsets_of, set_opsets
from onnxhybrid.model.remote_spec import attributes_of

_SCORES = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
"""What ZipMap reads."""


@dataclass(frozen=True)
class Maps:
    """What was taken from the ends of several models: output -> its ZipMap, and its type."""

    nodes: Mapping[str, tuple[NodeProto, TypeProto]]

    def put_back(self, model: Model) -> Model:
        """The composition of what was left of the models, with the maps as its outputs."""
        if not self.nodes:
            return model
        proto = copied(model.skeleton)
        for value in proto.graph.output:
            if value.name in self.nodes:
                node, kind = self.nodes[value.name]
                scores = free_name(f"{value.name}/scores", tensor_names(proto.graph))
                rename_tensors(proto.graph, {value.name: scores})
                proto.graph.value_info.append(ValueInfoProto(name=scores, type=_SCORES))
                value.name = node.output[0]
                value.type.CopyFrom(kind)
                proto.graph.node.append(_named(node, scores, {other.name for other in all_nodes(proto)}))
        return Model(proto, model.weights)


def without_maps(*models: Any) -> tuple[tuple[Any, ...], Maps]:
    """The models with scores for each output that is a map in all of them, made by a ZipMap of the same labels.

    Args:
        *models: what a combinator was given; where one of them is no Model, nothing is changed.
    """
    if not models or not all(isinstance(model, Model) for model in models):
        return models, Maps({})
    first, *others = map(_made, models)
    shared = {
        name: (node, kind)
        for name, (node, kind) in first.items()
        if all(name in other and attributes_of(node) == attributes_of(other[name][0]) for other in others)
    }
    return tuple(_opened(model, shared) if shared else model for model in models), Maps(shared)


def _made(model: Model) -> dict[str, tuple[NodeProto, TypeProto]]:
    """The outputs that a ZipMap of the main graph makes and nothing else reads."""
    graph = model.skeleton.graph
    kinds = {value.name: value.type for value in graph.output}
    found = [node for node in graph.node if _is_zipmap(node) and node.output[0] in kinds]
    taken = {name for node in graph.node for name in reads(node)} if found else set()
    return {node.output[0]: (node, kinds[node.output[0]]) for node in found if node.output[0] not in taken}


def _is_zipmap(node: NodeProto) -> bool:
    return (node.domain, node.op_type) == ("ai.onnx.ml", "ZipMap") and len(node.input) == len(node.output) == 1


def _opened(model: Model, names: Mapping[str, object]) -> Model:
    """The model with an Identity in the place of each ZipMap."""
    proto = copied(model.skeleton)
    for node in proto.graph.node:
        if _is_zipmap(node) and node.output[0] in names:
            node.CopyFrom(helper.make_node("Identity", node.input, node.output, name=node.name))
    for value in proto.graph.output:
        if value.name in names:
            value.type.CopyFrom(_SCORES)
    set_opsets(proto, {"": GLUE_OPSET, **opsets_of(proto.opset_import)})
    return Model(proto, model.weights)


def _named(node: NodeProto, scores: str, taken: set[str]) -> NodeProto:
    behind = copied(node)
    behind.input[0] = scores
    behind.name = free_name(node.name or f"{node.output[0]}/ZipMap", taken)
    return behind

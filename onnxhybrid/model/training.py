"""What a model says of its training (training_info), kept true while the model changes, or left out with a warning.

Source: TrainingInfoProto in onnx.proto. A step of training runs the model's graph and `algorithm` as one graph, so that
they share their names; the keys of both bindings are names of it, too. `initialization` is a graph of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TrainingInfoProto

from onnxhybrid.diagnostics import warn
from onnxhybrid.model.graphs import nodes_of, reads
from onnxhybrid.model.naming import GraphTree, Taken, tensor_names

_DOMAIN = "ai.onnx.preview.training"


def trained_names(model: ModelProto) -> set[str]:
    """Every tensor name of the graph of a step of training, the names of the model's own graph aside."""
    names: set[str] = set()
    for info in model.training_info:
        names |= GraphTree(info.algorithm).tensor_names()
        names.update(entry.key for entry in (*info.initialization_binding, *info.update_binding))
    return names


def all_names(model: ModelProto) -> Taken:
    """Every tensor name of the model's graph and of its training."""
    return Taken(tensor_names(model.graph) | trained_names(model))


def training_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node of the graphs of the training, at any depth."""
    for info in model.training_info:
        for graph in (info.initialization, info.algorithm):
            yield from nodes_of(graph.node)


def rename_trained(model: ModelProto, names: Mapping[str, str]) -> None:
    """Let the training follow when tensors of the model's graph get other names.

    Args:
        model: the model.
        names: old -> new; where it moves a name of the training out of the way, that is a name of its own.
    """
    for info in model.training_info:
        GraphTree(info.algorithm).rename_tensors(names)
        for node in nodes_of(info.algorithm.node):
            _rename_named(node, names)
        for entry in (*info.initialization_binding, *info.update_binding):
            entry.key = names.get(entry.key, entry.key)
        for entry in info.update_binding:
            entry.value = names.get(entry.value, entry.value)


def _rename_named(node: NodeProto, names: Mapping[str, str]) -> None:
    for attribute in _naming(node):
        attribute.s = names.get(attribute.s.decode(), attribute.s.decode()).encode()
        attribute.strings[:] = [names.get(text.decode(), text.decode()).encode() for text in attribute.strings]


def _named(node: NodeProto) -> Iterator[str]:
    for attribute in _naming(node):
        yield from (text.decode() for text in (attribute.s, *attribute.strings) if text)


def _naming(node: NodeProto) -> list[AttributeProto]:
    """The attributes of a node whose texts are names of tensors."""
    if (node.domain, node.op_type) != (_DOMAIN, "Gradient"):
        return []
    return [attribute for attribute in node.attribute if attribute.name in ("xs", "y", "zs")]


def drop_broken(model: ModelProto, done: str) -> None:
    """Leave the training out if it names what the model's graph no longer has.

    Args:
        model: the model.
        done: what was done to it, for the warning.
    """
    lost = sorted({name for info in model.training_info for name in _lost(model.graph, info)})
    if lost:
        drop(model, f"{done} took {lost[0]!r} away, which it names")


def _lost(graph: GraphProto, info: TrainingInfoProto) -> set[str]:
    """The names that a step of training needs, and that neither its graph nor the model's has."""
    step = info.algorithm
    weights = _weights(graph) | _weights(step)
    there = {value.name for value in (*graph.input, *step.input)} | weights
    there.update(name for node in (*graph.node, *step.node) for name in node.output)
    needed = {name for node in step.node for name in (*reads(node), *_named(node))}
    needed.update(value.name for value in step.output)
    needed.update(entry.value for entry in info.update_binding)
    bound = {entry.key for entry in (*info.initialization_binding, *info.update_binding)}
    return (needed - there) | (bound - weights)


def _weights(graph: GraphProto) -> set[str]:
    return {tensor.name for tensor in graph.initializer} | {tensor.values.name for tensor in graph.sparse_initializer}


def drop(model: ModelProto, why: str) -> None:
    """Leave the training out, and say so to whoever called onnxhybrid."""
    if model.training_info:
        model.ClearField("training_info")
        warn("OH117", f"the training_info of {model.graph.name!r} is left out: {why}")

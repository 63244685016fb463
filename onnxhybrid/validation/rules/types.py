"""The rule about the element types of what nodes read and give."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TypeProto, defs, shape_inference

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.attributes import without_flawed
from onnxhybrid.model.fragile import hide
from onnxhybrid.model.functions import called, key_of
from onnxhybrid.model.graphs import nested_graphs
from onnxhybrid.model.messages import copied
from onnxhybrid.model.opsets import Opsets, opsets_of, standard
from onnxhybrid.model.schemas import since_version
from onnxhybrid.validation.kernels.kinds import Kinds, spelled, typed, walk
from onnxhybrid.validation.kernels.signature import mismatches
from onnxhybrid.validation.subject import Subject, label

_DEFINED = ("", "ai.onnx.ml")
_OPERATOR = re.compile(r"\(op_type:(\w+)")

_REPLACED = frozenset({"Constant"})
"""What a session replaces by its value, whatever type is declared for it."""


def well_typed(subject: Subject) -> Iterator[Finding]:
    """OH130: nodes read what their operators take, and give what is declared."""
    model, opsets = subject.skeleton, opsets_of(subject.skeleton.opset_import)
    own = {key_of(function) for function in model.functions}
    declared = {name: kind for graph in nested_graphs(model.graph) for name, kind in _declared(graph)}
    plain = typed(_undeclared(model, opsets, own))
    _declare_unknown(plain, model)
    for node, kinds in walk(plain.graph):
        if called(node) in own or not _is_standard(node, opsets):
            continue
        for text in (*mismatches(node, kinds, opsets[standard(node.domain)]), *_given(node, kinds, declared)):
            yield Finding("OH130", text, label(node))
    if (complaint := _complaint(plain)) is not None:
        yield Finding("OH130", complaint)


def _complaint(model: ModelProto) -> str | None:
    """Why onnx finds no types and sizes for the nodes, where it is not because of what it does not know."""
    sound = copied(without_flawed(model))
    hide(sound)
    try:
        shape_inference.infer_shapes(sound, strict_mode=True)
    except shape_inference.InferenceError as problem:
        told = " ".join(str(problem).split())
        operator = _OPERATOR.search(told)
        return told if operator and not _is_function(operator[1]) else None
    except Exception:  # noqa: BLE001  # of another kind, and no word about the nodes
        return None
    return None


def _schemas() -> Iterator[Any]:
    return iter(defs.get_all_schemas_with_history())


@functools.cache
def _is_function(operator: str) -> bool:
    """Whether the standard defines an operator by others, among which onnx then finds faults that are none."""
    return operator == "Constant" or any(
        schema.name == operator and (schema.has_function or schema.has_context_dependent_function)
        for schema in _schemas()
    )


def _is_standard(node: NodeProto, opsets: Opsets) -> bool:
    domain = standard(node.domain)
    return domain in _DEFINED and since_version(domain, node.op_type, opsets.get(domain, 0)) > 0


def _declared(graph: GraphProto) -> Iterator[tuple[str, str]]:
    return ((value.name, spelled(value.type)) for value in (*graph.value_info, *graph.output))


def _undeclared(model: ModelProto, opsets: Opsets, own: set[tuple[str, str, str]]) -> ModelProto:
    """The model without what it declares of the outputs of standard operators, so that onnx infers all of these."""
    plain = copied(model)
    for graph in nested_graphs(plain.graph):
        nodes = (node for node in graph.node if called(node) not in own and _is_standard(node, opsets))
        written = {name for node in nodes for name in node.output}
        for values in (graph.value_info, graph.output):
            for value in values:
                if value.name in written:
                    value.ClearField("type")
    return plain


def _declare_unknown(plain: ModelProto, model: ModelProto) -> None:
    """Give back, in place, the declared element types of what onnx infers nothing of, as of most of ai.onnx.ml."""
    for graph, before in zip(nested_graphs(plain.graph), nested_graphs(model.graph), strict=True):
        known = {value.name for value in (*graph.value_info, *graph.output) if spelled(value.type)}
        declared = {value.name: value.type for value in (*before.value_info, *before.output)}
        for name, kind in declared.items():
            if name not in known and spelled(kind):
                _declare(graph, name, kind)


def _declare(graph: GraphProto, name: str, kind: TypeProto) -> None:
    value = next((each for each in (*graph.output, *graph.value_info) if each.name == name), None)
    target = graph.value_info.add(name=name) if value is None else value
    target.type.CopyFrom(kind)
    if target.type.HasField("tensor_type"):
        target.type.tensor_type.ClearField("shape")


def _given(node: NodeProto, kinds: Kinds, declared: Mapping[str, str]) -> Iterator[str]:
    if node.op_type in _REPLACED:
        return
    for name in node.output:
        given = spelled(kinds[name]) if name in kinds else ""
        if given and declared.get(name) and declared[name] != given:
            yield f"it gives {given}, and its output {name!r} is declared as {declared[name]}"

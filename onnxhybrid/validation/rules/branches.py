"""Rules about If nodes and what is inside of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from onnx import GraphProto, NodeProto, TensorProto, helper

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.dtypes import type_name
from onnxhybrid.validation.subject import Scope, Subject, branches, captured, is_standard, place

HEAVY = 1024
"""Bytes from which on a branch's own weights are worth a word; smaller ones are shapes, axes and scalars."""

_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")


def same_types(subject: Subject) -> Iterator[Finding]:
    """OH121: both branches give what the If gives, with the same types."""
    for node, scope in subject.ifs():
        if (pair := branches(node)) is None:
            yield Finding("OH121", "an If needs a then_branch and an else_branch", place(node, scope))
            continue
        counts = [len(branch.output) for branch in pair]
        if counts != [len(node.output)] * 2:
            text = f"the branches give {counts[0]} and {counts[1]} outputs, and the If has {len(node.output)}"
            yield Finding("OH121", text, place(node, scope))
            continue
        for name, then, otherwise in zip(node.output, pair[0].output, pair[1].output, strict=True):
            kinds = type_name(then.type), type_name(otherwise.type)
            if kinds[0] != kinds[1] and "undefined" not in kinds:
                text = f"{name!r} is {kinds[0]} in then_branch and {kinds[1]} in else_branch"
                yield Finding("OH121", text, place(node, scope))


def reachable(subject: Subject) -> Iterator[Finding]:
    """OH120: no condition is a constant."""
    for node, scope in subject.ifs():
        if node.input and node.input[0] in _constants(scope):
            yield Finding("OH120", f"the condition {node.input[0]!r} is a constant", place(node, scope))


def decided_by_data(subject: Subject) -> Iterator[Finding]:
    """OH125: a condition depends on what the model is given, and no comparison is of a tensor with itself."""
    alive: dict[int, set[str]] = {}
    for scope in subject.scopes:
        living = alive[id(scope)] = _living(scope, alive.get(id(scope.outer), set()))
        for node in scope.nodes:
            if is_standard(node, *_COMPARISONS) and len(set(node.input)) == 1:
                yield Finding("OH125", f"{node.op_type} compares {node.input[0]!r} with itself", place(node, scope))
            if is_standard(node, "If") and not set(node.input) & (living | _constants(scope)):
                text = f"the condition {node.input[0]!r} depends on no input of the model"
                yield Finding("OH125", text, place(node, scope))


def no_shadows(subject: Subject) -> Iterator[Finding]:
    """OH122: no name inside a graph hides one of the graphs around it."""
    for scope in subject.scopes:
        own = _defined(scope)
        visible: set[str] = set()
        inner: Scope | None = scope
        while inner is not None and inner.outer is not None:
            visible |= _before(inner.outer, inner.position)
            inner = inner.outer
        for name in sorted(own & visible):
            yield Finding("OH122", f"{name!r} is also the name of another tensor in a graph around it", scope.where)


def shared_weights(subject: Subject) -> Iterator[Finding]:
    """OH123: weights lie in the main graph, and not in branches."""
    for node, scope in subject.ifs():
        size = sum(map(_weights, branches(node) or ()))
        if size >= HEAVY:
            yield Finding("OH123", f"its branches hold {size:,} bytes of weights of their own", place(node, scope))


def _constants(scope: Scope) -> set[str]:
    """The constants that a scope sees: initializers that are no inputs, and Constant nodes."""
    found: set[str] = set()
    current: Scope | None = scope
    while current is not None:
        found |= {tensor.name for tensor in current.initializers} - current.inputs
        found |= {name for node in current.nodes if is_standard(node, "Constant") for name in node.output}
        current = current.outer
    return found


def _living(scope: Scope, outer: set[str]) -> set[str]:
    """The tensors, those of the graphs around included, that depend on inputs, on servers or on chance."""
    living = outer | scope.inputs
    for node in scope.nodes:
        foreign = node.domain not in ("", "ai.onnx") or is_standard(node, *_RANDOM)
        if foreign or not living.isdisjoint(captured([node])):
            living.update(node.output)
    return living


def _defined(scope: Scope) -> set[str]:
    return _named(scope, scope.nodes)


def _named(scope: Scope, nodes: Iterable[NodeProto]) -> set[str]:
    named = {tensor.name for tensor in scope.initializers} | scope.inputs
    return (named | {name for node in nodes for name in node.output}) - {""}


def _before(scope: Scope, position: int) -> set[str]:
    """What a scope has defined when the node at a position runs."""
    return _named(scope, scope.nodes[:position])


def _weights(graph: GraphProto) -> int:
    """The bytes of a graph's own tensors of some size; those in an If inside of it are that If's finding."""
    tensors = [*graph.initializer]
    for node in graph.node:
        if is_standard(node, "Constant"):
            tensors += [entry.t for entry in node.attribute if entry.HasField("t")]
    return sum(size for size in map(_size, tensors) if size >= HEAVY)


def _size(tensor: TensorProto) -> int:
    if tensor.data_type == TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    try:
        return int(math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, TypeError):
        return 0

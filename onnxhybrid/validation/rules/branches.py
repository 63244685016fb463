"""Rules about If nodes and what is inside of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from onnx import GraphProto, TensorProto, helper

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
        if node.input and _is_constant(node.input[0], scope):
            yield Finding("OH120", f"the condition {node.input[0]!r} is a constant", place(node, scope))


def decided_by_data(subject: Subject) -> Iterator[Finding]:
    """OH125: a condition depends on what the model is given, and no comparison is of a tensor with itself."""
    alive: dict[int, set[str]] = {}
    for scope in subject.scopes:
        living = _living(scope, alive)
        for node in scope.nodes:
            if is_standard(node, *_COMPARISONS) and node.input and len(set(node.input)) == 1:
                yield Finding("OH125", f"{node.op_type} compares {node.input[0]!r} with itself", place(node, scope))
            undecided = is_standard(node, "If") and node.input and not any(map(living, node.input))
            if undecided and not _is_constant(node.input[0], scope):
                text = f"the condition {node.input[0]!r} depends on no input of the model"
                yield Finding("OH125", text, place(node, scope))


def no_shadows(subject: Subject) -> Iterator[Finding]:
    """OH122: no name inside a graph hides one of the graphs around it."""
    for scope in subject.scopes:
        for name in sorted(name for name in scope.positions if _is_visible(name, scope)):
            yield Finding("OH122", f"{name!r} is also the name of another tensor in a graph around it", scope.where)


def shared_weights(subject: Subject) -> Iterator[Finding]:
    """OH123: weights lie in the main graph, and not in branches."""
    for node, scope in subject.ifs():
        size = sum(map(_weights, branches(node) or ()))
        if size >= HEAVY:
            yield Finding("OH123", f"its branches hold {size:,} bytes of weights of their own", place(node, scope))


def _is_constant(name: str, scope: Scope) -> bool:
    """Whether a scope sees a constant of this name."""
    return any(name in current.constants for current in scope.around)


def _living(scope: Scope, alive: dict[int, set[str]]) -> Callable[[str], bool]:
    """Tells which tensors, those of the graphs around included, depend on inputs, on servers or on chance.

    Args:
        scope: the scope.
        alive: those of the scopes before, by their identity; the scope's own are added.
    """
    own = alive[id(scope)] = set(scope.inputs)
    tables = [alive[id(current)] for current in scope.around]

    def is_living(name: str) -> bool:
        return any(name in table for table in tables)

    for node in scope.nodes:
        foreign = node.domain not in ("", "ai.onnx") or is_standard(node, *_RANDOM)
        if foreign or any(map(is_living, captured([node]))):
            own.update(node.output)
    return is_living


def _is_visible(name: str, scope: Scope) -> bool:
    """Whether a graph around a scope has defined a tensor when the scope's node runs."""
    return any(
        current.outer is not None and current.outer.positions.get(name, current.position) < current.position
        for current in scope.around
    )


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

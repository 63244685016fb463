"""Operators that onnx cannot look at: its inference ends the process where the type of what they read is unknown.

It is unknown behind operators that onnx does not know, remote calls among them. The table was found by inferring every
operator of onnx 1.21 to 1.23 behind one of an unknown domain; `tests/test_fragile.py` does the same with the installed
onnx. An operator of a later opset than those releases have is treated as one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import GraphProto, ModelProto, ValueInfoProto, shape_inference

from onnxhybrid.model.attributes import HIDDEN, without_flawed
from onnxhybrid.model.graphs import all_nodes, attribute_graphs, nested_graphs
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.schemas import since_version

_FRAGILE = frozenset(
    {
        ("", "EyeLike"),
        ("", "RegexFullMatch"),
        ("ai.onnx.ml", "DictVectorizer"),
        ("ai.onnx.ml", "LabelEncoder"),
        ("ai.onnx.ml", "TreeEnsemble"),
    }
)
_LOOKED_AT = {"": 28, "ai.onnx.ml": 5, "ai.onnx.preview.training": 1}
"""The newest opset of each domain whose operators were looked at."""

_MOST_LISTED = 20_000_000

_ROUNDS = 8
"""How many such operators in a row get a type; behind them it stays unknown."""


def inferred(model: ModelProto, *, data_prop: bool = False) -> ModelProto:
    """A copy of the model with what onnx infers.

    Of nodes that say what their operators do not take nothing is inferred, and nothing at all where there are so many
    branches among so many tensors that onnx, which lists all of these for each, would take minutes.

    Raises what onnx's `infer_shapes` does.
    """
    if _is_entangled(model.graph):
        return copied(model)
    sound = without_flawed(model)
    typed = _inferred(sound, data_prop)
    if sound is not model:
        show(typed)
    return typed


def _is_entangled(graph: GraphProto) -> bool:
    return sum(1 for _ in nested_graphs(graph)) * (len(graph.node) + len(graph.initializer)) > _MOST_LISTED


def _inferred(model: ModelProto, data_prop: bool) -> ModelProto:
    hidden = _fragile_nodes(model)
    if not hidden:
        return shape_inference.infer_shapes(model, data_prop=data_prop)
    typed = _inferred_without(hidden, model, data_prop)
    for _ in range(_ROUNDS):
        unread = hidden - {position for position, known in enumerate(_readable(typed.graph, set())) if known}
        if unread == hidden:
            break
        hidden = unread
        typed = _inferred_without(hidden, model, data_prop)
    return typed


def hide(model: ModelProto) -> None:
    """Give the operators that onnx cannot look at a domain that it does not know, in place."""
    _hide(model, _fragile_nodes(model))


def show(model: ModelProto) -> None:
    """Give hidden operators their domains back, in place."""
    for node in all_nodes(model):
        node.domain = node.domain.removeprefix(HIDDEN)
    for scope in (model, *model.functions):
        own = [entry for entry in scope.opset_import if not entry.domain.startswith(HIDDEN)]
        if len(own) < len(scope.opset_import):
            replace(scope.opset_import, own)


def _fragile_nodes(model: ModelProto) -> set[int]:
    """The positions, among all nodes, of those that onnx cannot look at."""
    newest = dict.fromkeys(_LOOKED_AT, 0)
    for scope in (model, *model.functions):
        for domain, version in opsets_of(scope.opset_import).items():
            newest[domain] = max(version, newest.get(domain, 0))
    return {
        position
        for position, node in enumerate(all_nodes(model))
        if _is_fragile(standard(node.domain), node.op_type, newest.get(standard(node.domain), 0))
    }


def _is_fragile(domain: str, operator: str, version: int) -> bool:
    if (domain, operator) in _FRAGILE:
        return True
    return version > _LOOKED_AT.get(domain, 0) and since_version(domain, operator, version) > _LOOKED_AT.get(domain, 0)


def _inferred_without(hidden: set[int], model: ModelProto, data_prop: bool) -> ModelProto:
    """What onnx infers when it does not look at these nodes."""
    plain = copied(model)
    matches = {n for n, node in enumerate(all_nodes(plain)) if n in hidden and node.op_type == "RegexFullMatch"}
    for position, node in enumerate(all_nodes(plain)):
        if position in matches:
            node.op_type = "IsNaN"  # a bool for each element, too
    _hide(plain, hidden - matches)
    typed = shape_inference.infer_shapes(plain, data_prop=data_prop)
    show(typed)
    for node, own in zip(all_nodes(typed), all_nodes(model), strict=True):
        node.op_type = own.op_type
    return typed


def _hide(model: ModelProto, positions: set[int]) -> None:
    domains = set()
    for position, node in enumerate(all_nodes(model)):
        if position in positions:
            node.domain = HIDDEN + node.domain
            domains.add(node.domain)
    for scope in (model, *model.functions):
        for domain in sorted(domains):
            scope.opset_import.add(domain=domain, version=1)


def _readable(graph: GraphProto, outer: set[str]) -> Iterator[bool]:
    """For each node of a graph and of those inside of it: whether the types of all that it reads are known."""
    known = outer - {name for node in graph.node for name in node.output}
    known.update(_typed((*graph.input, *graph.value_info, *graph.output)))
    known.update(tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield bool(node.input) and known.issuperset(node.input)
        for inner in attribute_graphs(node):
            yield from _readable(inner, known)


def _typed(values: Iterable[ValueInfoProto]) -> Iterator[str]:
    return (value.name for value in values if value.type.WhichOneof("value"))

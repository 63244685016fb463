"""Bounds the requests of a cascade's remote: who sends its refused rows alone has said that they are independent.

A call is bounded where what it sends are these rows beyond doubt, one for one. Behind a Transpose, say, the first axis
may be another than that of the rows, and nothing has been said of that. Nor may rows go along whole with each request,
as those of an input do whose first size has a name of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, helper

from onnxhybrid.library import protocols
from onnxhybrid.model import Model
from onnxhybrid.model.batching import BATCH, BATCH_BYTES, INDEPENDENT, cut_problem, is_fixed, listed, with_rows
from onnxhybrid.model.graphs import all_nodes, nested_graphs, nodes_of
from onnxhybrid.model.inlining import without_functions
from onnxhybrid.model.messages import copied
from onnxhybrid.model.naming import GraphTree, free_name
from onnxhybrid.model.proof import first_sizes
from onnxhybrid.model.remote_spec import INVOKE, RemoteSpec, attributes_of, blobs_of, is_remote
from onnxhybrid.model.sequential import make_sequential


def sliced(remote: Model, rows: Collection[str]) -> Model:
    """The remote with bounds for the requests of those calls that send its rows, and say nothing of bounds themselves.

    Args:
        remote: the remote part of a cascade.
        rows: its inputs that have rows.
    """
    bounded = {place for place, node in enumerate(all_nodes(remote.skeleton)) if _is_open(node)}
    if bounded and not _are_direct(remote.skeleton, bounded, rows):
        bounded &= _with_rows(remote.skeleton, rows)
    if not bounded:
        return remote
    proto = copied(remote.skeleton)
    for place, node in enumerate(all_nodes(proto)):
        if place in bounded:
            node.attribute.extend(helper.make_attribute(*entry) for entry in INDEPENDENT.attributes().items())
    return Model(proto, remote.weights)


def _is_open(node: NodeProto) -> bool:
    """Whether the calls of a node can be cut, and it does not say how."""
    call = _Call.of(node)
    said = {attribute.name for attribute in node.attribute}
    return call is not None and call.is_cut and said.isdisjoint((BATCH, BATCH_BYTES))


@dataclass(frozen=True)
class _Call:
    """What is known of a call without its graph.

    Attributes:
        sent: the tensors that it sends row by row.
        along: those of any size that go along whole.
        answers: those that it gives, which have as many rows.
        is_cut: whether its requests can be slices; otherwise each is a row.
    """

    sent: list[str]
    along: list[str]
    answers: list[str]
    is_cut: bool

    @classmethod
    def of(cls, node: NodeProto) -> _Call | None:
        """The call of a node; None where it makes none, or none that gives a row for each that it is sent."""
        if not is_remote(node):
            return None
        try:
            spec = RemoteSpec.of(node)
        except ValueError:
            return None
        form = protocols().get(spec.protocol, {"batch": "whole"})["batch"]
        values, whole = attributes_of(node), blobs_of(node)
        inputs = listed(spec.inputs, values.get("input_shapes"))
        outputs = listed(spec.outputs, values.get("output_shapes"))
        if form == "whole" or cut_problem(spec.protocol, INDEPENDENT, inputs, outputs, whole):
            return None
        travelling = list(node.input)[len(node.input) - len(spec.inputs) :]
        chosen = with_rows(inputs, whole) if form == "request" else [True] * len(inputs)
        each = list(zip(travelling, inputs, chosen, strict=False))
        sent = [tensor for tensor, _, has_rows in each if has_rows]
        along = [tensor for tensor, (_, shape), has_rows in each if not has_rows and not is_fixed(shape)]
        answers = list(node.output)[: len(spec.outputs)] if node.op_type == INVOKE else []
        return cls(sent, along, answers, form == "request")


def _are_direct(model: ModelProto, places: Collection[int], rows: Collection[str]) -> bool:
    """Whether the nodes at these places are outside of functions, and send inputs as they are: nothing is to prove."""
    calls = [_Call.of(node) for place, node in enumerate(nodes_of(model.graph.node)) if place in places]
    given, cut = {value.name for value in model.graph.input}, set(rows)
    return len(calls) == len(places) and all(
        call is not None and cut.issuperset(call.sent) and (given - cut).issuperset(call.along) for call in calls
    )


def _with_rows(model: ModelProto, rows: Collection[str]) -> set[int]:
    """The calls that send the rows of a model's inputs, each by its place among all nodes.

    One in a function does so where it does wherever the function is called.
    """
    traced = _traced(model)
    size = free_name("rows", GraphTree(traced.graph).size_names())
    ambiguous = _in_several_graphs(traced)
    proven = set(rows) - ambiguous
    _declare(traced, proven, size)
    while True:
        verdicts, answers = _verdicts(traced, proven, size)
        answers -= ambiguous
        if answers <= proven:
            return {place for place, each in verdicts.items() if all(each)}
        proven |= answers
        _declare(traced, answers, size)


def _in_several_graphs(model: ModelProto) -> set[str]:
    """The names that several graphs give to tensors of their own, as branches of an If may."""
    seen: set[str] = set()
    again: set[str] = set()
    for graph in nested_graphs(model.graph):
        own = {*(value.name for value in graph.input), *(name for node in graph.node for name in node.output if name)}
        again |= seen & own
        seen |= own
    return again


def _traced(model: ModelProto) -> ModelProto:
    """A copy in which each call is a node of a graph that says its place, without functions around calls or halves."""
    traced = copied(model)
    for place, node in enumerate(all_nodes(traced)):
        if is_remote(node):
            node.doc_string = str(place)
    with contextlib.suppress(ValueError):  # what is called in functions is not found, then
        traced = without_functions(traced, is_remote)
    make_sequential(traced.graph)
    return traced


def _verdicts(traced: ModelProto, proven: Collection[str], size: str) -> tuple[dict[int, list[bool]], set[str]]:
    """Whether calls send rows, by place, and the answers of those that do. `size` is the first of what has rows."""
    verdicts: dict[int, list[bool]] = {}
    answers: set[str] = set()
    for graph, sizes in first_sizes(traced):
        for node in graph.node:
            call = _Call.of(node)
            if call is None:
                continue
            known = {tensor: size if tensor in proven else sizes.get(tensor) for tensor in (*call.sent, *call.along)}
            sends_rows = all(known[tensor] == size for tensor in call.sent) and all(
                known[tensor] not in (size, None) for tensor in call.along
            )
            verdicts.setdefault(int(node.doc_string), []).append(sends_rows)
            answers.update(call.answers if sends_rows else ())
    return verdicts, answers


def _declare(model: ModelProto, tensors: Collection[str], size: str) -> None:
    """Give the first size of tensors this name, in place."""
    for graph in nested_graphs(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            dims = value.type.tensor_type.shape.dim
            if value.name in tensors and len(dims):
                dims[0].dim_param = size

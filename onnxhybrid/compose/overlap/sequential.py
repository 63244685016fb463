"""The form of a model in which each remote call is one Invoke node, wherever it can be."""

from __future__ import annotations

from collections import Counter

from onnx import GraphProto, ModelProto, NodeProto

from onnxhybrid.compose.overlap.barrier import Barriers
from onnxhybrid.compose.overlap.halves import is_operator, ticket_of, whole
from onnxhybrid.model import Model
from onnxhybrid.model.graphs import all_nodes, nested_graphs, nodes_of, reads
from onnxhybrid.model.naming import rename_tensors
from onnxhybrid.model.remote_spec import AWAIT, BEGIN


def is_overlapped(model: Model) -> bool:
    """Whether calls of the model are begun in one node and awaited in another."""
    return any(is_operator(node, BEGIN) for node in all_nodes(model.skeleton))


def sequential(model: Model) -> Model:
    """The model with Invoke for each Begin and Await of one graph, and without the barriers between them.

    What it gives is the same. A call that is begun in one graph and awaited in another stays as it is. For whoever
    rewrites remote calls: `overlap` does the opposite.
    """
    if not is_overlapped(model):
        return model
    proto = ModelProto()
    proto.CopyFrom(model.skeleton)
    tickets = {ticket_of(node) for node in nodes_of(proto.graph.node) if is_operator(node, BEGIN)}
    for graph in nested_graphs(proto.graph):
        _take_barriers(graph, tickets)
    for graph in nested_graphs(proto.graph):
        _unite(graph)
    return Model(proto, model.weights)


def _take_barriers(graph: GraphProto, tickets: set[str]) -> None:
    """Let every node read the tensors themselves, and no Await wait for anything but its ticket."""
    for node in graph.node:
        if is_operator(node, AWAIT):
            del node.input[1:]
    barriers = Barriers(graph.node, tickets)
    public = {value.name for value in graph.output}
    originals = {late: tensor for late, tensor in barriers.originals.items() if late not in public}
    read, kept = {*public}, []
    for node in reversed(graph.node):
        idle = barriers.made.issuperset(node.output) and read.isdisjoint(node.output)
        if not idle and originals.keys().isdisjoint(node.output):
            read.update(originals.get(name, name) for name in reads(node))
            kept.append(node)
    _keep(graph, kept[::-1])
    rename_tensors(graph, originals)


def _unite(graph: GraphProto) -> None:
    """Make one node of each Begin and the one Await that reads its ticket, if nothing else does."""
    readers = Counter(name for node in graph.node for name in reads(node))
    readers.update(value.name for value in graph.output)
    alone = {ticket_of(node) for node in graph.node if is_operator(node, BEGIN) and readers[ticket_of(node)] == 1}
    waits = {ticket_of(node): node for node in graph.node if is_operator(node, AWAIT) and ticket_of(node) in alone}
    united = []
    for node in graph.node:
        wait = waits.get(ticket_of(node))
        if wait is None:
            united.append(node)
        elif is_operator(node, BEGIN):
            united.append(whole(node, wait))
    _keep(graph, united)


def _keep(graph: GraphProto, nodes: list[NodeProto]) -> None:
    """Let the graph have these nodes, and declarations of their tensors only."""
    if len(nodes) == len(graph.node):
        return
    del graph.node[:]
    graph.node.extend(nodes)
    known = {name for node in nodes for name in node.output}
    known.update(value.name for value in (*graph.input, *graph.output, *graph.initializer))
    values = [value for value in graph.value_info if value.name in known]
    del graph.value_info[:]
    graph.value_info.extend(values)

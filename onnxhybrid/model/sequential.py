"""Undoes overlapping in a graph: a Begin and its Await become one Invoke again, wherever they can."""

from __future__ import annotations

from collections import Counter

from onnx import GraphProto, ModelProto, NodeProto

from onnxhybrid.model.barriers import Barriers
from onnxhybrid.model.graphs import all_nodes, nested_graphs, nodes_of, reads
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import rename_tensors
from onnxhybrid.model.remote_spec import AWAIT, BEGIN, DOMAIN, INVOKE

TYPES = "output_types"
"""The attribute that Begin has and Invoke has not."""


def is_operator(node: NodeProto, *operators: str) -> bool:
    """Whether the node is one of these operators of the remote domain."""
    return node.domain == DOMAIN and node.op_type in operators


def ticket_of(node: NodeProto) -> str:
    """The ticket that a Begin gives or an Await reads; empty for other nodes."""
    names = node.output if is_operator(node, BEGIN) else node.input if is_operator(node, AWAIT) else ()
    return names[0] if names else ""


def whole(begin: NodeProto, wait: NodeProto) -> NodeProto:
    """The Invoke node that does what a Begin and its Await do."""
    invoke = copied(begin)
    invoke.op_type = INVOKE
    replace(invoke.attribute, [attribute for attribute in begin.attribute if attribute.name != TYPES])
    invoke.output[:] = wait.output
    return invoke


def is_overlapped(model: ModelProto) -> bool:
    """Whether calls of the model are begun in one node and awaited in another."""
    imports = [*model.opset_import, *(entry for function in model.functions for entry in function.opset_import)]
    if all(entry.domain != DOMAIN for entry in imports):
        return False  # without a look at each node
    return any(is_operator(node, BEGIN) for node in all_nodes(model))


def make_sequential(graph: GraphProto) -> None:
    """Write Invoke for each Begin and Await of one graph, in place, and take out the barriers between them."""
    tickets = {ticket_of(node) for node in nodes_of(graph.node) if is_operator(node, BEGIN)}
    for inner in nested_graphs(graph):
        _take_barriers(inner, tickets)
    for inner in nested_graphs(graph):
        _unite(inner)


def _take_barriers(graph: GraphProto, tickets: set[str]) -> None:
    """Take barriers out, and all inputs of an Await but its ticket."""
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
    """Give the graph these nodes, and drop declarations of other tensors."""
    if len(nodes) == len(graph.node):
        return
    replace(graph.node, nodes)
    known = {name for node in nodes for name in node.output}
    known.update(value.name for value in (*graph.input, *graph.output, *graph.initializer))
    replace(graph.value_info, [value for value in graph.value_info if value.name in known])

"""Walks over graphs: nested graphs, nodes and tensors, wherever they are."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from onnxhybrid.model.messages import replace

_KINDS = AttributeProto
_NO_GRAPH = frozenset(AttributeProto.AttributeType.values()) - {_KINDS.UNDEFINED, _KINDS.GRAPH, _KINDS.GRAPHS}


def attribute_graphs(node: NodeProto) -> list[GraphProto]:
    """The graphs that a node (If, Loop, Scan, …) holds."""
    found: list[GraphProto] = []
    for attribute in node.attribute[:]:  # a slice is read several times faster, and this is asked of each node
        if attribute.type not in _NO_GRAPH:
            found.extend(_graphs(attribute))
    return found


def _graphs(attribute: AttributeProto) -> Iterator[GraphProto]:
    """By what is there, since files leave out the type."""
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def nested_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and all graphs inside its nodes, outer before inner."""
    pending = [graph]
    while pending:
        current = pending.pop()
        yield current
        for node in current.node:
            if graphs := attribute_graphs(node):
                pending += graphs


def depth(graph: GraphProto) -> int:
    """How many levels of graphs there are, the graph itself the first."""
    levels, level = 0, [graph]
    while level:
        levels += 1
        level = [inner for outer in level for node in outer.node for inner in attribute_graphs(node)]
    return levels


def nodes_of(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and all nodes of their nested graphs."""
    for node in nodes:
        yield node
        for inner in attribute_graphs(node):
            yield from nodes_of(inner.node)


def reads(node: NodeProto) -> Iterator[str]:
    """The names of the tensors that a node reads, those that its nested graphs take from outside included."""
    yield from filter(None, node.input)
    for inner in attribute_graphs(node):
        yield from captured(inner)


def captured(graph: GraphProto) -> Iterator[str]:
    """The names that a nested graph takes from the graphs around it."""
    own = {value.name for value in graph.input}
    own.update(tensor.name for tensor in graph.initializer)
    own.update(sparse.values.name for sparse in graph.sparse_initializer)
    own.update(name for node in graph.node for name in node.output)
    for node in graph.node:
        yield from (name for name in reads(node) if name not in own)
    yield from (value.name for value in graph.output if value.name not in own)


def sort_nodes(graph: GraphProto) -> None:
    """Bring the nodes of a graph, and of those nested in it, into an order in which each comes after what it reads.

    Nodes that are in order stay where they are; those of a cycle stay at the end.
    """
    if _is_sorted(graph):
        return  # as nearly every file is, and this is asked at each load
    for node in graph.node:
        for inner in attribute_graphs(node):
            sort_nodes(inner)
    producers = {name: position for position, node in enumerate(graph.node) for name in node.output if name}
    needs = [sorted({producers[name] for name in reads(node) if name in producers}) for node in graph.node]
    if all(not need or need[-1] < position for position, need in enumerate(needs)):
        return
    replace(graph.node, [graph.node[position] for position in _sorted(needs)])


def _is_sorted(graph: GraphProto) -> bool:
    """Whether no node, those of nested graphs included, reads what it writes itself or what comes after it."""
    later: set[str] = set()
    for node in graph.node[::-1]:
        later.update(node.output[:])
        inputs = node.input[:]
        if not later.isdisjoint(inputs) and any(name and name in later for name in inputs):
            return False
        for inner in attribute_graphs(node):
            if not _is_sorted(inner) or not later.isdisjoint(captured(inner)):
                return False
    return True


def _sorted(needs: list[list[int]]) -> list[int]:
    """The positions, each after those that it needs, as far as there is such an order."""
    waiting = [len(need) for need in needs]
    users: list[list[int]] = [[] for _ in needs]
    for position, need in enumerate(needs):
        for other in need:
            users[other].append(position)
    ready = [position for position, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for user in users[order[-1]]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    return order + [position for position, count in enumerate(waiting) if count]


def value_infos(graph: GraphProto) -> dict[str, ValueInfoProto]:
    """Every declared type of a graph, by tensor name."""
    return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}


def all_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node of the main graph, its nested graphs and the model-local functions."""
    yield from nodes_of(model.graph.node)
    for function in model.functions:
        yield from nodes_of(function.node)


def all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model: the main graph's initializers, then the nested ones."""
    yield from model.graph.initializer
    yield from nested_tensors(model)


def nested_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor but the main graph's initializers: in attributes, nested graphs, functions and sparse tensors."""
    for sparse in model.graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    yield from nested_tensors_of(model.graph.node)
    for function in model.functions:
        yield from nested_tensors_of(function.node)
        for default in function.attribute_proto:
            yield from _attribute_tensors(default)


def training_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of the graphs of a model's training."""
    for info in model.training_info:
        for graph in (info.initialization, info.algorithm):
            yield from _own_tensors(graph)
            yield from nested_tensors_of(graph.node)


_NO_TENSOR = frozenset({_KINDS.FLOAT, _KINDS.INT, _KINDS.STRING, _KINDS.FLOATS, _KINDS.INTS, _KINDS.STRINGS})


def nested_tensors_of(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """Every tensor in attributes of nodes and in their nested graphs."""
    for node in nodes:
        for attribute in node.attribute[:]:
            if attribute.type in _NO_TENSOR:
                continue
            yield from _attribute_tensors(attribute)
            for inner in _graphs(attribute):
                yield from _own_tensors(inner)
                yield from nested_tensors_of(inner.node)


def _own_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices


def _attribute_tensors(attribute: AttributeProto) -> Iterator[TensorProto]:
    # By what is there, and not by the attribute's type, which files leave out: no reference may stay behind.
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    for tensor in (*sparse, *attribute.sparse_tensors):
        yield tensor.values
        yield tensor.indices

"""What the rules look at: a model, the runtime that it is meant for, and its graphs as scopes of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from onnxhybrid.model import Model
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.remote_spec import AWAIT, BEGIN, CANCEL, DOMAIN, is_remote
from onnxhybrid.validation.target import Target


@dataclass(frozen=True)
class Scope:
    """A graph, or a function's body.

    Attributes:
        where: what it is called in findings.
        nodes: its own nodes, in order.
        inputs, outputs: the names of what enters and leaves it.
        initializers: its own.
        declared: the types that it declares, by tensor.
        owner: the node that holds it; None for the main graph and for a function.
        outer: the scope that the owner is in.
        position: which of that scope's nodes it is.
    """

    where: str
    nodes: Sequence[NodeProto]
    inputs: frozenset[str]
    outputs: tuple[str, ...]
    initializers: Sequence[TensorProto] = ()
    declared: Mapping[str, ValueInfoProto] = field(default_factory=dict)
    owner: NodeProto | None = None
    outer: Scope | None = None
    position: int = 0

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Which of its nodes defines each of its tensors first; -1 where that is there from the beginning."""
        found = dict.fromkeys((*self.inputs, *(tensor.name for tensor in self.initializers)), -1)
        for position, node in enumerate(self.nodes):
            for name in node.output:
                found.setdefault(name, position)
        found.pop("", None)
        return found

    @cached_property
    def constants(self) -> frozenset[str]:
        """Its own constants: initializers that are no inputs, and what Constant nodes give."""
        found = {tensor.name for tensor in self.initializers} - self.inputs
        found.update(name for node in self.nodes if is_standard(node, "Constant") for name in node.output)
        return frozenset(found)

    @property
    def around(self) -> Iterator[Scope]:
        """The scope itself and those around it, from the inside."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    @property
    def owners(self) -> Iterator[NodeProto]:
        """The nodes around it, from the inside."""
        return (scope.owner for scope in self.around if scope.owner is not None)


@dataclass(frozen=True)
class Subject:
    """One model under the rules."""

    model: Model
    target: Target

    @property
    def skeleton(self) -> ModelProto:
        """The model without its large weights."""
        return self.model.skeleton

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """The main graph, all graphs inside of it, and the bodies of functions; outer before inner."""
        found = list(_of_graph(self.skeleton.graph, "the graph"))
        for function in self.skeleton.functions:
            where = f"the function {function.name!r}"
            declared = {value.name: value for value in function.value_info}
            body = Scope(where, function.node, frozenset(function.input), tuple(function.output), (), declared)
            found.append(body)
            found += _inside(body)
        return tuple(found)

    @cached_property
    def read(self) -> frozenset[str]:
        """Every tensor that some node reads, or that leaves its scope. What an Await only waits for is not read."""
        names: set[str] = set()
        for node in (node for scope in self.scopes for node in scope.nodes):
            names.update(node.input[:1] if is_ticketed(node) else node.input)
        return frozenset(names.union(*(scope.outputs for scope in self.scopes)))

    def remote_nodes(self) -> Iterator[tuple[NodeProto, Scope]]:
        """Every node that makes a remote call, with its scope."""
        return ((node, scope) for scope in self.scopes for node in scope.nodes if is_remote(node))

    @cached_property
    def begun(self) -> dict[str, NodeProto]:
        """The nodes that begin a call, by their tickets."""
        return {node.output[0]: node for node, _ in self.remote_nodes() if node.op_type == BEGIN and node.output}

    def ifs(self) -> Iterator[tuple[NodeProto, Scope]]:
        """Every If, with its scope."""
        return ((node, scope) for scope in self.scopes for node in scope.nodes if is_standard(node, "If"))


def is_ticketed(node: NodeProto) -> bool:
    """Whether a node reads its first input, a ticket, and waits for the others."""
    return node.domain == DOMAIN and node.op_type in (AWAIT, CANCEL)


def is_standard(node: NodeProto, *operators: str) -> bool:
    """Whether a node is one of these operators of the standard domain."""
    return node.op_type in operators and node.domain in ("", "ai.onnx")


def label(node: NodeProto) -> str:
    """What a node is called in findings."""
    return f"node {node.name!r}" if node.name else f"a node {node.op_type}"


def place(node: NodeProto, scope: Scope) -> str:
    """Where a node is: its label, and the graph around it where that is inside of another node."""
    return f"{label(node)} in {scope.where}" if scope.owner is not None else label(node)


def branches(node: NodeProto) -> tuple[GraphProto, GraphProto] | None:
    """The two branches of an If; None for one that lacks them."""
    found = {entry.name: entry.g for entry in node.attribute if entry.HasField("g")}
    if "then_branch" in found and "else_branch" in found:
        return found["then_branch"], found["else_branch"]
    return None


def captured(nodes: Iterable[NodeProto]) -> set[str]:
    """Every tensor that nodes, and the nodes inside of them, read."""
    return {name for node in nodes_of(nodes) for name in node.input}


def _of_graph(
    graph: GraphProto, where: str, owner: NodeProto | None = None, outer: Scope | None = None, position: int = 0
) -> Iterator[Scope]:
    scope = Scope(
        where,
        graph.node,
        frozenset(value.name for value in graph.input),
        tuple(value.name for value in graph.output),
        graph.initializer,
        {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)},
        owner,
        outer,
        position,
    )
    yield scope
    yield from _inside(scope)


def _inside(scope: Scope) -> Iterator[Scope]:
    for position, node in enumerate(scope.nodes):
        for entry in node.attribute:
            for graph in (*((entry.g,) if entry.HasField("g") else ()), *entry.graphs):
                yield from _of_graph(graph, f"{entry.name} of {label(node)}", node, scope, position)

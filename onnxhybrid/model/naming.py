"""Renames tensors, sizes and nodes all through a graph, nested graphs included.

A renaming is applied to every graph at once. That keeps the meaning as long as it is injective, so callers bring a
mapping that moves whatever is in the way (`injective`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass, field

from onnx import GraphProto, ModelProto, TensorProto, TensorShapeProto, ValueInfoProto

from onnxhybrid.model.graphs import all_nodes, nested_graphs
from onnxhybrid.model.opsets import standard


class GraphTree:
    """A graph with the graphs nested in it, which are searched for once."""

    def __init__(self, graph: GraphProto) -> None:
        """Find the nested graphs."""
        self._graphs = list(nested_graphs(graph))

    def tensor_names(self) -> set[str]:
        """Every tensor name that occurs."""
        names: set[str] = set()
        for graph in self._graphs:
            names.update(value.name for value in (*graph.input, *graph.output))
            names.update(tensor.name for tensor in graph.initializer)
            for sparse in graph.sparse_initializer:
                names.update((sparse.values.name, sparse.indices.name))
            for node in graph.node:
                names.update(node.input[:], node.output[:])
        names.discard("")
        return names

    def size_names(self) -> set[str]:
        """Every name of a size (dim_param) that occurs."""
        return {dim.dim_param for graph in self._graphs for dim in _dims(graph)} - {""}

    def rename_tensors(self, mapping: Mapping[str, str]) -> None:
        """Rename tensors in place; names that the mapping lacks stay."""
        changed = {old: new for old, new in mapping.items() if old != new}
        for graph in self._graphs if changed else ():
            _rename_tensors(graph, changed)

    def rename_sizes(self, mapping: Mapping[str, str]) -> None:
        """Rename the names of sizes (dim_param) in place."""
        changed = {old: new for old, new in mapping.items() if old != new}
        for dim in (dim for graph in self._graphs for dim in _dims(graph)) if changed else ():
            if dim.dim_param in changed:
                dim.dim_param = changed[dim.dim_param]

    def rename_nodes(self, rename: Callable[[str], str]) -> None:
        """Rename all nodes in place; nodes without a name stay so. The standard domain gets its one spelling."""
        for graph in self._graphs:
            for node in graph.node:
                if domain := node.domain:
                    node.domain = standard(domain)
                if name := node.name:
                    node.name = rename(name)


def tensor_names(graph: GraphProto) -> Taken:
    """Every tensor name that occurs in the graph or in a nested one."""
    return Taken(GraphTree(graph).tensor_names())


def rename_tensors(graph: GraphProto, mapping: Mapping[str, str]) -> None:
    """Rename tensors in place, in nested graphs too; names that the mapping lacks stay."""
    GraphTree(graph).rename_tensors(mapping)


def free_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or if it is taken the first of `wanted_1`, `wanted_2`, … that is not."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


class Taken(set[str]):
    """Names that are taken."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(names)
        self._numbers: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """`free_name` of these names, taken from now on; to ask for one name often costs no more each time."""
        if wanted not in self:
            self.add(wanted)
            return wanted
        name, number = wanted, self._numbers.get(wanted, 0)
        while name in self:
            number += 1
            name = f"{wanted}_{number}"
        self._numbers[wanted] = number
        self.add(name)
        return name


@dataclass
class Names:
    """The names that are taken in a model: of tensors, of nodes and of sizes."""

    tensors: Taken = field(default_factory=Taken)
    nodes: Taken = field(default_factory=Taken)
    sizes: Taken = field(default_factory=Taken)

    @classmethod
    def of(cls, model: ModelProto) -> Names:
        """The names of a model's tensors and nodes, at any depth."""
        return cls(tensor_names(model.graph), Taken(node.name for node in all_nodes(model)))

    def tensor(self, wanted: str) -> str:
        """A free tensor name, `wanted` if possible; it is taken from now on."""
        return self.tensors.take(wanted)

    def node(self, wanted: str) -> str:
        """A free node name, `wanted` if possible; it is taken from now on."""
        return self.nodes.take(wanted)


def injective(mapping: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The mapping, with those of `names` moved away that stand where another one is going to."""
    taken = Taken((*names, *mapping.values()))
    moved = sorted(set(mapping.values()) & set(names) - set(mapping))
    return {**mapping, **{name: taken.take(name) for name in moved}}


def _rename_tensors(graph: GraphProto, mapping: Mapping[str, str]) -> None:
    for named in _named(graph):
        if named.name in mapping:
            named.name = mapping[named.name]
    unchanged = mapping.keys().isdisjoint
    for node in graph.node:
        if not unchanged(node.input[:]):
            _replace(node.input, mapping)
        if not unchanged(node.output[:]):
            _replace(node.output, mapping)
    for note in graph.quantization_annotation:
        note.tensor_name = mapping.get(note.tensor_name, note.tensor_name)
        for entry in note.quant_parameter_tensor_names:
            entry.value = mapping.get(entry.value, entry.value)


def _replace(names: MutableSequence[str], mapping: Mapping[str, str]) -> None:
    for position, name in enumerate(names[:]):
        if name in mapping:
            names[position] = mapping[name]


def _named(graph: GraphProto) -> Iterator[ValueInfoProto | TensorProto]:
    yield from graph.input
    yield from graph.output
    yield from graph.value_info
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        if sparse.indices.name:
            yield sparse.indices


def _dims(graph: GraphProto) -> Iterator[TensorShapeProto.Dimension]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type
        while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
            kind = getattr(kind, kind.WhichOneof("value")).elem_type
        if kind.WhichOneof("value") == "tensor_type":
            yield from kind.tensor_type.shape.dim

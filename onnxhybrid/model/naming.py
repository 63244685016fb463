"""Renames tensors, sizes and nodes all through a graph, nested graphs included.

A renaming is applied to every scope at once. That keeps the meaning as long as it is injective, so callers bring a
mapping that moves whatever is in the way (`injective`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from onnx import GraphProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto

from onnxhybrid.model.graphs import nested_graphs


def is_text(value: object) -> bool:
    """Whether a value is a text that a file can hold: UTF-8 has no lone surrogates."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def tensor_names(graph: GraphProto) -> set[str]:
    """Every tensor name that occurs in the graph or in a nested one."""
    names: set[str] = set()
    for inner in nested_graphs(graph):
        names.update(value.name for value in (*inner.input, *inner.output))
        names.update(tensor.name for tensor in inner.initializer)
        for sparse in inner.sparse_initializer:
            names.update((sparse.values.name, sparse.indices.name))
        for node in inner.node:
            names.update(node.input)
            names.update(node.output)
    names.discard("")
    return names


def size_names(graph: GraphProto) -> set[str]:
    """Every name of a size (dim_param) that occurs in the graph or in a nested one."""
    return {dim.dim_param for inner in nested_graphs(graph) for dim in _dims(inner)} - {""}


def free_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or if it is taken the first of `wanted_1`, `wanted_2`, … that is not."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def injective(mapping: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The mapping, with those of `names` moved away that stand where another one is going to."""
    complete = dict(mapping)
    taken = {*names, *mapping.values()}
    for name in sorted(set(mapping.values()) & set(names) - set(mapping)):
        complete[name] = free_name(name, taken)
        taken.add(complete[name])
    return complete


def rename_tensors(graph: GraphProto, mapping: Mapping[str, str]) -> None:
    """Rename tensors in place; names that the mapping lacks stay."""
    for inner in nested_graphs(graph):
        for named in _named(inner):
            named.name = mapping.get(named.name, named.name)
        for node in inner.node:
            _rename_all(node, mapping)
        for note in inner.quantization_annotation:
            note.tensor_name = mapping.get(note.tensor_name, note.tensor_name)
            for entry in note.quant_parameter_tensor_names:
                entry.value = mapping.get(entry.value, entry.value)


def rename_sizes(graph: GraphProto, mapping: Mapping[str, str]) -> None:
    """Rename the names of sizes (dim_param) in place."""
    if not mapping:
        return
    for inner in nested_graphs(graph):
        for dim in _dims(inner):
            if dim.dim_param in mapping:
                dim.dim_param = mapping[dim.dim_param]


def rename_nodes(graph: GraphProto, rename: Callable[[str], str]) -> None:
    """Rename all nodes in place; nodes without a name stay so."""
    for inner in nested_graphs(graph):
        for node in inner.node:
            if node.name:
                node.name = rename(node.name)


def _named(graph: GraphProto) -> Iterator[ValueInfoProto | TensorProto]:
    yield from graph.input
    yield from graph.output
    yield from graph.value_info
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        if sparse.indices.name:
            yield sparse.indices


def _rename_all(node: NodeProto, mapping: Mapping[str, str]) -> None:
    _rename_list(node.input, mapping)
    _rename_list(node.output, mapping)


def _rename_list(names: Iterable[str], mapping: Mapping[str, str]) -> None:
    for position, name in enumerate(names):
        if name in mapping:
            names[position] = mapping[name]  # type: ignore[index]  # a repeated field


def _dims(graph: GraphProto) -> Iterator[TensorShapeProto.Dimension]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type
        while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
            kind = getattr(kind, kind.WhichOneof("value")).elem_type
        if kind.WhichOneof("value") == "tensor_type":
            yield from kind.tensor_type.shape.dim

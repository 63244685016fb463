"""Names that clash: how the tensors, sizes and nodes of a part get out of the way of those of other parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import GraphProto, ValueInfoProto, helper

from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import GraphTree, Names, Taken, free_name
from onnxhybrid.model.proof import forget


def rename_clashes(
    graph: GraphProto,
    label: str,
    names: Names,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    sizes: Mapping[str, str],
) -> None:
    """Rename all that a part's graph holds, in place, so that no name clashes with `names`.

    Args:
        graph: the part's graph; a node comes to write each output, and sizes that are only declared are dropped.
        label: the part's label, the prefix of names that clash, and always of the names of nodes.
        names: the names given away so far; those of the part are added.
        inputs, outputs: input or output -> what it is called in the composition; the outputs in the graph's order.
        sizes: the part's name of a size -> the composition's, where the part shares it.
    """
    tree = GraphTree(graph)
    known = tree.tensor_names()
    _tidy(graph, known)
    forget(tree.graphs)
    fixed = {**inputs, **dict(zip(_written(graph, known), outputs.values(), strict=True))}
    tree.rename_tensors(fixed | _moved(known - set(fixed), names.tensors, label))
    tree.rename_sizes({**_moved(tree.size_names() - set(sizes), names.sizes, label), **sizes})
    tree.rename_nodes(lambda name: names.nodes.take(name if name == label else f"{label}/{name}"))


def _moved(own: set[str], taken: Taken, label: str) -> dict[str, str]:
    """Take the part's own names; those that another part has taken are renamed: old -> new."""
    moved = sorted(own & taken)
    taken |= own
    return {name: taken.take(f"{label}/{name}") for name in moved}


def _tidy(graph: GraphProto, known: set[str]) -> None:
    """Bring a graph into the one form that ONNX Runtime takes where files use several."""
    _keep(graph.output, {value.name: value for value in graph.output})  # some list an output twice
    _keep(graph.value_info, {value.name: value for value in graph.value_info if value.name in known})
    for sparse in graph.sparse_initializer:
        if not sparse.indices.name:
            sparse.indices.name = f"{sparse.values.name}/indices"
            known.add(sparse.indices.name)


def _keep(values: Any, kept: dict[str, ValueInfoProto]) -> None:
    if len(kept) < len(values):
        replace(values, kept.values())


def _written(graph: GraphProto, known: set[str]) -> list[str]:
    """The tensor of each output; an output that is an input or initializer itself gets an Identity that writes it."""
    given = {value.name for value in (*graph.input, *graph.initializer)}
    given.update(sparse.values.name for sparse in graph.sparse_initializer)
    for output in graph.output:
        if output.name in given:
            inner = free_name(f"{output.name}/out", known)
            graph.node.append(helper.make_node("Identity", [output.name], [inner], name=inner))
            output.name = inner
            known.add(inner)
    return [output.name for output in graph.output]

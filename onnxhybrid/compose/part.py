"""A part of a composition: a Model under a label, made ready to share a graph with other parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnx import GraphProto, TensorProto, ValueInfoProto, helper

from onnxhybrid.compose.overwriting import protect
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import lifted
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.naming import (
    free_name,
    is_text,
    rename_nodes,
    rename_sizes,
    rename_tensors,
    size_names,
    tensor_names,
)
from onnxhybrid.model.opsets import standard


@dataclass
class Names:
    """The names that a composition has given away so far: of tensors, of nodes and of sizes."""

    tensors: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    sizes: set[str] = field(default_factory=set)

    def tensor(self, wanted: str) -> str:
        """A free tensor name, `wanted` if possible; it is taken from now on."""
        return _take(wanted, self.tensors)

    def node(self, wanted: str) -> str:
        """A free node name, `wanted` if possible; it is taken from now on."""
        return _take(wanted, self.nodes)

    def size(self, wanted: str) -> str:
        """A free name of a size, `wanted` if possible; it is taken from now on."""
        return _take(wanted, self.sizes)


def _take(wanted: str, taken: set[str]) -> str:
    name = free_name(wanted, taken)
    taken.add(name)
    return name


@dataclass(frozen=True)
class Part:
    """A Model under a label. Labels are prefixes of names where these clash, and always of the names of nodes."""

    label: str
    model: Model

    @property
    def inputs(self) -> dict[str, ValueInfoProto]:
        """The declarations of the inputs, by name."""
        return {value.name: value for value in self.model.skeleton.graph.input}

    @property
    def outputs(self) -> dict[str, ValueInfoProto]:
        """The declarations of the outputs, by name."""
        return {value.name: value for value in self.model.skeleton.graph.output}

    def placed(
        self, names: Names, inputs: Mapping[str, str], outputs: Mapping[str, str], sizes: Mapping[str, str]
    ) -> GraphProto:
        """A copy of the graph in which every name is its own, and each output is written by a node.

        Inner tensors keep their names where these are free, and get the label as a prefix otherwise. Nodes always get
        it, so that messages and statistics say which part a node came from.

        Args:
            names: the names given away so far; those of the part are added.
            inputs: input -> what it is called in the composition, for each of them.
            outputs: output -> the same, for each of them, in the graph's order.
            sizes: the part's name of a size -> the composition's, where the part shares it.
        """
        graph = GraphProto()
        graph.CopyFrom(self.model.skeleton.graph)
        _tidy(graph)
        fixed = {**inputs, **dict(zip(_written(graph), outputs.values(), strict=True))}
        rename_tensors(graph, fixed | self._inner(tensor_names(graph) - set(fixed), names))
        rename_sizes(graph, {**self._sizes(size_names(graph) - set(sizes), names), **sizes})
        rename_nodes(graph, lambda name: names.node(name if name == self.label else f"{self.label}/{name}"))
        return graph

    def _inner(self, inner: set[str], names: Names) -> dict[str, str]:
        return {n: names.tensor(n if n not in names.tensors else f"{self.label}/{n}") for n in sorted(inner)}

    def _sizes(self, own: set[str], names: Names) -> dict[str, str]:
        """One name never stands for the sizes of two parts that need not agree."""
        return {n: names.size(n if n not in names.sizes else f"{self.label}/{n}") for n in sorted(own)}


def _tidy(graph: GraphProto) -> None:
    """Put into one form what files write in several, and ONNX Runtime or onnx.compose take in one of them only."""
    _keep(graph.output, {value.name: value for value in graph.output})  # some list an output twice
    known = tensor_names(graph)
    _keep(graph.value_info, {value.name: value for value in graph.value_info if value.name in known})
    for sparse in graph.sparse_initializer:
        sparse.indices.name = sparse.indices.name or f"{sparse.values.name}/indices"
    for node in nodes_of(graph.node):
        node.domain = standard(node.domain)
    protect(graph)


def _keep(values: Any, kept: dict[str, ValueInfoProto]) -> None:
    if len(kept) < len(values):
        del values[:]
        values.extend(kept.values())


def _written(graph: GraphProto) -> list[str]:
    """The tensor of each output; one that no node writes (an input or initializer itself) gets a node, and a name."""
    produced = {name for node in graph.node for name in node.output}
    for output in graph.output:
        if output.name not in produced:
            inner = free_name(f"{output.name}/out", tensor_names(graph))
            graph.node.append(helper.make_node("Identity", [output.name], [inner], name=inner))
            output.name = inner
    return [output.name for output in graph.output]


def take_defaults(graph: GraphProto) -> dict[str, TensorProto]:
    """Remove the initializers that are inputs from a graph."""
    inputs = {value.name for value in graph.input}
    defaults = {tensor.name: tensor for tensor in graph.initializer if tensor.name in inputs}
    if defaults:
        kept = [tensor for tensor in graph.initializer if tensor.name not in inputs]
        del graph.initializer[:]
        graph.initializer.extend(kept)
    return defaults


def checked_label(label: object) -> str:
    """A part's label.

    Raises:
        ComposeError: OH205, it cannot be a prefix of names.
    """
    if not isinstance(label, str) or not label or not is_text(label) or any(character < " " for character in label):
        raise ComposeError("OH205", f"a part's label is a non-empty text in one line, not {label!r}")
    return label


def parts_of(models: Mapping[str, object]) -> list[Part]:
    """The parts by label.

    Raises:
        ComposeError: OH205, one of them is no Model, or a label cannot be used.
    """
    parts = []
    for label, model in models.items():
        if not isinstance(model, Model):
            raise ComposeError("OH205", f"{label!r} is a {type(model).__name__}, and a Model is needed{_hint(model)}")
        parts.append(Part(checked_label(label), lifted(model)))
    return parts


def _hint(given: object) -> str:
    if isinstance(given, (str, os.PathLike)):
        return "; load a file with oh.load(path)"
    if isinstance(given, (list, tuple)):
        return "; give the models one by one"
    return "; compare a score with a threshold, as in score >= 0.8" if hasattr(given, "nodes") else ""

"""A part of a composition: a Model under a label, made ready to share a graph with other parts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from onnx import GraphProto, TensorProto, ValueInfoProto, helper

from onnxhybrid.compose.build.overwriting import protect
from onnxhybrid.compose.build.types import Declared, by_name, corrected
from onnxhybrid.compose.build.untrained import untrained
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import lifted
from onnxhybrid.model.dtypes import is_container
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import GraphTree, Names, Taken, free_name
from onnxhybrid.model.proof import forget, proven
from onnxhybrid.model.tensor_spec import Shape
from onnxhybrid.model.texts import is_name


@dataclass(frozen=True)
class Part:
    """A Model under a label. Labels are prefixes of names where these clash, and always of the names of nodes."""

    label: str
    model: Model

    @cached_property
    def inputs(self) -> dict[str, Declared]:
        """The declarations of the inputs, by name."""
        return by_name(self.model.skeleton.graph.input)

    @cached_property
    def outputs(self) -> dict[str, Declared]:
        """The declarations of the outputs, by name."""
        return by_name(self.model.skeleton.graph.output)

    @cached_property
    def near(self) -> dict[str, Shape]:
        """The shapes of outputs that are sure, as far as the nodes before the outputs show them."""
        return proven(self.model.skeleton)

    @cached_property
    def sure(self) -> dict[str, Shape]:
        """The shapes of outputs that are sure. For a large model this takes a while."""
        return proven(self.model.skeleton, most=None)

    def believed(self, name: str) -> Declared:
        """The declaration of an output, with the sizes that are sure in the place of those that are not so."""
        value = self.outputs[name]
        return value if is_container(value.dtype) else value.shaped(corrected(value.shape, self.sure.get(name)))

    def of(self, model: Model) -> Part:
        """The part with another model; the part itself where the model is its own."""
        return self if model is self.model else Part(self.label, model)

    def placed(
        self, names: Names, inputs: Mapping[str, str], outputs: Mapping[str, str], sizes: Mapping[str, str]
    ) -> GraphProto:
        """A copy of the graph in which no name clashes with `names`, and a node writes each output.

        Inner tensors keep their names where these are free, and get the label as a prefix otherwise. Nodes always get
        it, so that messages and statistics say which part a node came from.

        Args:
            names: the names given away so far; those of the part are added.
            inputs: input -> what it is called in the composition, for each of them.
            outputs: output -> the same, for each of them, in the graph's order.
            sizes: the part's name of a size -> the composition's, where the part shares it.
        """
        graph = copied(self.model.skeleton.graph)
        protect(graph)
        tree = GraphTree(graph)
        known = tree.tensor_names()
        _tidy(graph, known)
        forget(tree.graphs)
        fixed = {**inputs, **dict(zip(_written(graph, known), outputs.values(), strict=True))}
        tree.rename_tensors(fixed | self._moved(known - set(fixed), names.tensors))
        tree.rename_sizes({**self._moved(tree.size_names() - set(sizes), names.sizes), **sizes})
        tree.rename_nodes(lambda name: names.nodes.take(name if name == self.label else f"{self.label}/{name}"))
        return graph

    def _moved(self, own: set[str], taken: Taken) -> dict[str, str]:
        """Take the part's own names; those that another part has taken are renamed: old -> new."""
        moved = sorted(own & taken)
        taken |= own
        return {name: taken.take(f"{self.label}/{name}") for name in moved}


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


def listed(models: object, combinator: str) -> Sequence[object]:
    """The models that a combinator was given as a list.

    Raises:
        ComposeError: OH205, they are no list, or there are none.
    """
    if isinstance(models, (list, tuple)) and models:
        return models
    given = "none" if isinstance(models, (list, tuple)) else f"a {type(models).__name__}"
    raise ComposeError("OH205", f"{combinator} takes a list of one or more Models, not {given}")


def labelled(models: Iterable[object]) -> dict[str, object]:
    """The models by label: their graphs' names, with a number where two are the same."""
    labelled: dict[str, object] = {}
    for position, model in enumerate(models):
        name = model.name if isinstance(model, Model) and model.name.isprintable() else ""
        labelled[free_name(name or f"part{position}", labelled)] = model
    return labelled


def take_defaults(graph: GraphProto) -> dict[str, TensorProto]:
    """Remove the initializers that are inputs from a graph."""
    inputs = {value.name for value in graph.input}
    defaults = {tensor.name: tensor for tensor in graph.initializer if tensor.name in inputs}
    if defaults:
        replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name not in inputs])
    return defaults


def checked_label(label: object) -> str:
    """A part's label.

    Raises:
        ComposeError: OH205, it cannot be a prefix of names.
    """
    if not is_name(label) or any(character < " " for character in label):
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
            raise ComposeError(
                "OH205", f"{label!r} is a {type(model).__name__}, and a Model is needed{_hint(label, model)}"
            )
        parts.append(Part(checked_label(label), lifted(untrained(model))))
    return parts


def _hint(label: str, given: object) -> str:
    if isinstance(given, (str, os.PathLike)):
        return "; load a file with oh.load(path)"
    if isinstance(given, (list, tuple)):
        return "; give the models one by one"
    if label in ("condition", "index"):
        return ", or the name of an input"
    return "; compare a score with a threshold, as in score >= 0.8" if hasattr(given, "tensor") else ""

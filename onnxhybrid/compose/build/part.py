"""A part of a composition: a Model under a label, made ready to share a graph with other parts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from onnx import GraphProto, TensorProto

from onnxhybrid.compose.build.clashes import rename_clashes
from onnxhybrid.compose.build.overwriting import protect
from onnxhybrid.compose.build.types import Declared, by_name, corrected
from onnxhybrid.compose.build.untrained import untrained
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import lifted
from onnxhybrid.model.dtypes import is_container
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import Names, free_name
from onnxhybrid.model.proof import proven
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
        rename_clashes(graph, self.label, names, inputs, outputs, sizes)
        return graph


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

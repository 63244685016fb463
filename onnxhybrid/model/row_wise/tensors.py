"""What is known of the tensors of a graph: which have rows, and which are the same for all rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto, helper

from onnxhybrid.model.opsets import opsets_of
from onnxhybrid.model.proof import certain
from onnxhybrid.model.tensor_spec import Shape, shape_of
from onnxhybrid.model.tensor_values import array_of

OLDEST = 9
"""The first standard opset whose operators are as the rules have them."""


@dataclass(frozen=True)
class Rows:
    """A tensor with rows: their axis, and all sizes; None is a size that is not known, and that of the rows."""

    axis: int
    shape: tuple[int | None, ...]


@dataclass
class Tensors:
    """What is known of the tensors of a graph.

    Attributes:
        opset: that of the standard domain.
        certain: the shapes that are sure.
        rows: the tensors with rows.
        alike: the tensors that are the same for all rows, with their shape, None where that is unknown.
        values: those of these whose values are known.
    """

    opset: int
    certain: Mapping[str, Shape]
    rows: dict[str, Rows]
    alike: dict[str, tuple[int | None, ...] | None]
    values: dict[str, TensorProto]

    @classmethod
    def of(cls, model: ModelProto, rows: Collection[str]) -> Tensors:
        """What is known before the first node."""
        graph, given = model.graph, {value.name: shape_of(value) for value in model.graph.input}
        held = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in given}
        known = cls(opsets_of(model.opset_import).get("", OLDEST), certain(model), {}, {}, held)
        known.alike.update({name: tuple(tensor.dims) for name, tensor in held.items()})
        for name, shape in given.items():
            sizes = None if shape is None else numbers(shape)
            if name not in rows:
                known.alike[name] = sizes
            elif sizes:
                known.rows[name] = Rows(0, (None, *sizes[1:]))
        return known

    def add_rows(self, name: str, found: Rows) -> None:
        """Learn that a tensor has rows; sizes that are sure are added."""
        shape = self.certain.get(name)
        sizes = list(found.shape)
        if shape is not None and len(shape) == len(sizes):
            sizes = [sure if size is None else size for size, sure in zip(sizes, numbers(shape), strict=True)]
        sizes[found.axis] = None
        self.rows[name] = Rows(found.axis, tuple(sizes))

    def add_alike(self, names: Iterable[str]) -> None:
        """Learn that tensors are the same for all rows."""
        for name in names:
            shape = self.certain.get(name)
            self.alike[name] = None if shape is None else numbers(shape)

    def add_constant(self, node: NodeProto) -> None:
        """Learn what a Constant holds."""
        values = [helper.get_attribute_value(attribute) for attribute in node.attribute]
        if len(values) == 1 and isinstance(values[0], TensorProto):
            self.values[node.output[0]] = values[0]
            self.alike[node.output[0]] = tuple(values[0].dims)
        elif len(values) == 1 and isinstance(values[0], (int, float)):
            self.alike[node.output[0]] = ()

    def given(self, node: NodeProto, place: int) -> str:
        """The name of an input, empty where there is none."""
        return node.input[place] if place < len(node.input) else ""

    def integers(self, node: NodeProto, place: int) -> list[int] | None:
        """The integers that an input holds, where they are known."""
        tensor = self.values.get(self.given(node, place))
        values = None if tensor is None or tensor.data_location == TensorProto.EXTERNAL else array_of(tensor)
        return None if values is None or values.dtype.kind != "i" else [int(value) for value in values.ravel()]

    def axes(self, node: NodeProto, rank: int, place: int = 1) -> set[int] | None:
        """The axes that an attribute, or an input, names; None where it is not known which these are."""
        named = attribute_of(node, "axes", None)
        found = named if isinstance(named, list) else self.integers(node, place)
        return {axis % rank for axis in found} if found else None

    def single(self, node: NodeProto, first: int = 0) -> Rows | None:
        """The rows of one input, where all others are the same for each row."""
        others = [name for place, name in enumerate(node.input) if name and place != first]
        return self.rows.get(self.given(node, first)) if all(name in self.alike for name in others) else None


def numbers(shape: Shape) -> tuple[int | None, ...]:
    """The sizes of a shape that are numbers."""
    return tuple(size if isinstance(size, int) else None for size in shape)


def attribute_of(node: NodeProto, name: str, default: object) -> object:
    """The value of an attribute of a node."""
    found = next((attribute for attribute in node.attribute if attribute.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def axis_of(node: NodeProto, default: int, rank: int) -> int:
    """The axis that an attribute names, of a tensor of such a rank."""
    axis = attribute_of(node, "axis", default)
    return axis % rank if isinstance(axis, int) and rank else 0


Found = Sequence[Rows | None]
"""For each output the rows that it has; outputs at the end that have none may be left out."""

Rule = Callable[[NodeProto, Tensors], Found]
"""What is known of a node's outputs; it is asked where each input has rows, or is the same for all rows."""

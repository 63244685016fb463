"""Nodes that give a tensor as it is, and fail where it has not the shape that a part takes.

ONNX Runtime holds the inputs of a graph to their ranks and fixed sizes, and tensors between nodes to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from onnxhybrid.model.dtypes import FLOATS, INTEGERS, elem_type
from onnxhybrid.model.naming import Names
from onnxhybrid.model.tensor_spec import Shape

GUARDED = frozenset({"bool", "str", "undefined", *FLOATS, *INTEGERS})
"""The element types of which ONNX Runtime tells the shape."""

_REFUSED = -2
"""No size that Reshape takes: a -1 would stand for what is left over."""

_WHERE = 9
"""The first opset that has Where."""


class _Nodes:
    def __init__(self, names: Names, label: str) -> None:
        self._names, self._label = names, label
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def __call__(self, operator: str, *inputs: str, called: str = "", **attributes: Any) -> str:
        output = self._names.tensor(f"{self._label}/{operator}")
        name = self._names.node(called or output)
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def constant(self, values: list[int] | list[bool] | int) -> str:
        kind = np.bool_ if isinstance(values, list) and values and isinstance(values[0], bool) else np.int64
        name = self._names.tensor(f"{self._label}/constant")
        self.constants.append(numpy_helper.from_array(np.array(values, kind), name))
        return name


def guard(
    tensor: str, shape: Shape, label: str, called: str, names: Names, opset: int
) -> tuple[str, list[NodeProto], list[TensorProto]]:
    """A tensor of the same values, the nodes that give it, and their constants.

    The last node reads the tensor's own shape, and a size that no tensor has in the place of each that is refused. So
    nothing is copied, and ONNX Runtime, which drops a Reshape to constant sizes, can drop these nodes only where it
    knows by itself that the sizes are right.

    Args:
        tensor: the tensor, of a type in GUARDED.
        shape: the shape that it must have, one axis or more; None for a size that may be any.
        label: what the new tensors and nodes are called like.
        called: what the nodes that fail are called, which ONNX Runtime puts into its message.
        names: the names given away so far; those of the guard are added.
        opset: the standard opset, 5 or later.
    """
    add = _Nodes(names, label)
    own = add("Shape", tensor)
    sizes = add("Reshape", own, add.constant([len(shape)]), called=called)
    if any(size is not None for size in shape):
        right = add("Equal", sizes, add.constant([size if isinstance(size, int) else 0 for size in shape]))
        if None in shape:
            right = add("Or", right, add.constant([size is None for size in shape]))
        sizes = (
            _where(add, right, sizes, len(shape))
            if opset < _WHERE
            else add("Where", right, sizes, add.constant(_REFUSED))
        )
    return add("Reshape", tensor, sizes, called=called), add.nodes, add.constants


def _where(add: _Nodes, right: str, sizes: str, rank: int) -> str:
    """The sizes that are right, and _REFUSED in the place of the others, in operators of every opset."""
    number = add("Cast", right, to=elem_type("int64"))
    refused = add.constant([_REFUSED] * rank)
    above = add("Mul", add("Sub", sizes, refused), number)
    return add("Add", above, refused)

"""Nodes that give a tensor as it is, and fail where it has not the shape that a part takes.

ONNX Runtime holds the inputs of a graph to their ranks and fixed sizes, and tensors between nodes to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.types import Declared, enforced
from onnxhybrid.errors import ComposeError
from onnxhybrid.model.dtypes import FLOATS, INTEGERS, elem_type
from onnxhybrid.model.graphs import reads
from onnxhybrid.model.naming import Names

GUARDED = frozenset({"bool", "str", "undefined", *FLOATS, *INTEGERS})
"""The element types of which ONNX Runtime tells the shape."""

_REFUSED = -2
"""No size that Reshape takes: a -1 would stand for what is left over."""

_EQUAL = 7
"""The first opset whose operators ONNX Runtime has for whole numbers."""

_WHERE = 9
"""The first opset that has Where."""


_MERGED = frozenset(
    [
        "Add",
        "Cast",
        "CastLike",
        "Clip",
        "Concat",
        "Div",
        "Dropout",
        "Expand",
        "Flatten",
        "Identity",
        "Mul",
        "Pad",
        "Reshape",
        "Slice",
        "Squeeze",
        "Sub",
        "Sum",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ]
)
"""What ONNX Runtime merges with a Reshape before it, or takes out where it changes nothing."""

_RESHAPES = frozenset({"Reshape", "Squeeze", "Unsqueeze"})
"""Those that it merges as they stand."""

_EXPAND = 8
"""The first opset that has Expand."""

_EXPANDED = GUARDED - {"bfloat16"}
"""The element types of which ONNX Runtime has Expand."""


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
    graph: GraphProto, given: Declared, part: Part, wanted: Declared, source: str, names: Names, opset: int
) -> str:
    """Add a guard to a graph; the tensor that it gives, of the same values.

    The Reshape of the tensor reads its own shape, and a size that no tensor has in the place of each that is refused.
    So nothing is copied, and ONNX Runtime, which drops a Reshape to constant sizes, can drop these nodes only where it
    knows by itself that the sizes are right. Where a Reshape of the part may come next, of which ONNX Runtime would
    make one with the guard's, an Expand to the same sizes goes between, which copies the tensor.

    Args:
        graph: where it goes.
        given: the tensor.
        part: the part that reads it.
        wanted: the input that it feeds, of which some shape is enforced.
        source: what gives the tensor, in words. With what is wanted it is the name of the nodes that fail, which ONNX
            Runtime puts into its message.
        names: the names given away so far; those of the guard are added.
        opset: the standard opset of the graph.

    Raises:
        ComposeError: OH202, no operator tells whether such a tensor has the shape.
    """
    _require_guarded(given, wanted, opset)
    apart = _is_kept_apart(given, wanted, _readers(part.model.skeleton.graph, wanted.name), opset)
    tensor, shape = given.name, enforced(wanted) or ()
    add = _Nodes(names, f"{part.label}/{wanted.name}/guard")
    called = (
        f"[OH548] {source} does not fit the input {wanted.name!r} of the part {part.label!r}, which takes "
        f"{wanted.spec.describe()}"
    )
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
    else:
        sizes = add("Abs", sizes)  # without it ONNX Runtime would make one Reshape of this and the next
    output = add("Reshape", tensor, sizes, called=called)
    if apart:
        output = add("Expand", output, sizes)
    graph.node.extend(add.nodes)
    graph.initializer.extend(add.constants)
    if given.dtype != "undefined" and _needs_sizes(part.model.skeleton.graph, wanted.name):
        graph.value_info.append(given.called(output).shaped(shape).value)
    return output


def _is_kept_apart(given: Declared, wanted: Declared, readers: set[str], opset: int) -> bool:
    """Whether an Expand goes between the guard and what reads the tensor, lest ONNX Runtime merge the two.

    Raises:
        ComposeError: OH202, a Reshape reads it, and there is no such Expand.
    """
    if not readers <= _MERGED:
        return False
    if given.dtype in _EXPANDED and opset >= _EXPAND:
        return True
    if readers & _RESHAPES:
        raise _unseen(given, wanted, f"{given.dtype} before a Reshape in opset {opset}")
    return False


def _readers(graph: GraphProto, name: str) -> set[str]:
    """The operators that read a tensor, those of other domains with the domain's name before them."""
    found = [node for node in graph.node if name in reads(node)]
    return {node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}" for node in found}


def _needs_sizes(graph: GraphProto, name: str) -> bool:
    """Whether ONNX Runtime refuses a graph that does not say how many numbers a tensor has.

    Elsewhere nothing is declared: what reads its shape alone would get the sizes that are declared, and ONNX Runtime
    would drop the guard, which nothing reads then.
    """
    return any(node.op_type == "Resize" and name in node.input[1:] for node in graph.node)


def _require_guarded(given: Declared, wanted: Declared, opset: int) -> None:
    if given.dtype not in GUARDED or opset < _EQUAL:
        raise _unseen(given, wanted, given.dtype if opset >= _EQUAL else f"integers in opset {opset}")


def _unseen(given: Declared, wanted: Declared, what: str) -> ComposeError:
    return ComposeError(
        "OH202",
        f"{given} may not fit {wanted}, and no operator of ONNX Runtime compares shapes of {what}; leave the sizes of "
        "the input open, as in model.declare",
    )


def _where(add: _Nodes, right: str, sizes: str, rank: int) -> str:
    """The sizes that are right, and _REFUSED in the place of the others, in operators of every opset."""
    number = add("Cast", right, to=elem_type("int64"))
    refused = add.constant([_REFUSED] * rank)
    above = add("Mul", add("Sub", sizes, refused), number)
    return add("Add", above, refused)

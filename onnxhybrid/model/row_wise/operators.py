"""Which outputs of the standard operators have rows, told from which inputs have them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

from onnx import NodeProto

from onnxhybrid.model.row_wise.tensors import Found, Rows, Rule, Tensors, attribute_of, axis_of


def _elementwise(node: NodeProto, tensors: Tensors) -> Found:
    """Each element by itself, with those at its place in the others, as numpy broadcasts them."""
    names = [name for name in node.input if name]
    with_rows = [tensors.rows[name] for name in names if name in tensors.rows]
    same = [tensors.alike[name] for name in names if name not in tensors.rows]
    if any(shape is None for shape in same):
        return ()
    shapes = [*(rows.shape for rows in with_rows), *(shape for shape in same if shape is not None)]
    rank = max(map(len, shapes))
    places = {rank - len(rows.shape) + rows.axis for rows in with_rows}
    if len(places) != 1:
        return ()
    (axis,) = places
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    if any(shape[axis] != 1 for shape in padded[len(with_rows) :]):
        return ()
    sizes = [_broadcast([shape[place] for shape in padded]) for place in range(rank)]
    sizes[axis] = None
    return [Rows(axis, tuple(sizes))] * len(node.output)


def _broadcast(sizes: Sequence[int | None]) -> int | None:
    if any(size is None for size in sizes):
        return next((size for size in sizes if size is not None and size != 1), None)
    return next((size for size in sizes if size != 1), 1)


def same(node: NodeProto, tensors: Tensors) -> Found:
    """As the first input is, whatever its rank."""
    rows = tensors.single(node)
    return () if rows is None else [rows] * len(node.output)


def _softmax(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    if rows is None:
        return ()
    axis = axis_of(node, -1 if tensors.opset >= 13 else 1, len(rows.shape))
    across = axis == rows.axis if tensors.opset >= 13 else axis <= rows.axis  # before 13 all axes from there on
    return () if across else [rows]


def _reduction(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    axes = None if rows is None else tensors.axes(node, len(rows.shape))
    return () if rows is None or axes is None else _reduced(node, rows, axes)


def _arg_reduction(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    return () if rows is None else _reduced(node, rows, {axis_of(node, 0, len(rows.shape))})


def _reduced(node: NodeProto, rows: Rows, axes: Collection[int]) -> Found:
    if rows.axis in axes:
        return ()
    if attribute_of(node, "keepdims", 1):
        return [Rows(rows.axis, tuple(1 if place in axes else size for place, size in enumerate(rows.shape)))]
    return [_without(rows, axes)]


def _without(rows: Rows, axes: Collection[int]) -> Rows:
    kept = [place for place in range(len(rows.shape)) if place not in axes]
    return Rows(kept.index(rows.axis), tuple(rows.shape[place] for place in kept))


def _matmul(node: NodeProto, tensors: Tensors) -> Found:
    left, right = (tensors.rows.get(tensors.given(node, place)) for place in (0, 1))
    if left and right:  # a product for each row
        rank = len(left.shape)
        alike = rank == len(right.shape) and left.axis == right.axis < rank - 2
        return [Rows(left.axis, (*left.shape[:-1], right.shape[-1]))] if alike else ()
    weight = tensors.alike.get(tensors.given(node, 1))
    if not left or weight is None or len(weight) != 2 or left.axis == len(left.shape) - 1:
        return ()
    return [Rows(left.axis, (*left.shape[:-1], weight[1]))]


def _gemm(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    if rows is None or rows.axis or len(rows.shape) != 2 or attribute_of(node, "transA", 0):
        return ()
    added = tensors.alike.get(tensors.given(node, 2), ())
    if added is None or (len(added) == 2 and added[0] != 1):
        return ()
    return [Rows(0, (None, None))]


def _image(node: NodeProto, tensors: Tensors) -> Found:
    """A batch of images, or the like, along the first axis. Of the outputs the first alone has rows."""
    rows = tensors.single(node)
    if rows is None or rows.axis or len(rows.shape) < 3:
        return ()
    return [Rows(0, (None,) * len(rows.shape))]


def _normalization(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    if rows is None or (axis := axis_of(node, -1, len(rows.shape))) <= rows.axis:
        return ()
    scales = [tensors.alike[name] for name in node.input[1:] if name]
    # One with further axes may hold other values for each row.
    fit = all(shape is not None and len(shape) <= len(rows.shape) - axis for shape in scales)
    return [rows] if fit else ()


def _batch_normalization(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    trains = attribute_of(node, "training_mode", 0) or len(node.output) > 1  # as it says before opset 14
    return () if rows is None or rows.axis or len(rows.shape) < 2 or trains else [rows]


def _flatten(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    if rows is None or rows.axis:
        return ()
    # -1 is the last axis, and not the place behind it, which the rank alone names.
    if attribute_of(node, "axis", 1) not in {1, *range(1 - len(rows.shape), 0)[:1]}:
        return ()
    sizes = rows.shape[1:]
    return [Rows(0, (None, None if None in sizes else prod(size for size in sizes if size is not None)))]


def _reshape(node: NodeProto, tensors: Tensors) -> Found:
    """Rows stay whole where as many elements stand behind their axis as before, and nothing before it."""
    rows, wanted = tensors.single(node), tensors.integers(node, 1)
    if rows is None or not wanted or any(size != 1 for size in rows.shape[: rows.axis]):
        return ()
    if wanted[0] == 0 and rows.axis == 0 and not attribute_of(node, "allowzero", 0):
        return [Rows(0, (None, *(size if size > 0 else None for size in wanted[1:])))]
    behind, axis = rows.shape[rows.axis + 1 :], wanted.index(-1) if -1 in wanted else None
    if axis is None or None in behind or any(size != 1 for size in wanted[:axis]):
        return ()
    if 0 in wanted or prod(wanted[axis + 1 :]) != prod(size for size in behind if size is not None):
        return ()
    return [Rows(axis, (*wanted[:axis], None, *wanted[axis + 1 :]))]


def _squeeze(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    axes = None if rows is None else tensors.axes(node, len(rows.shape))
    return () if rows is None or axes is None or rows.axis in axes else [_without(rows, axes)]


def _unsqueeze(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    given = attribute_of(node, "axes", None)
    named = given if isinstance(given, list) else tensors.integers(node, 1)
    if rows is None or not named:
        return ()
    axes = {axis % (len(rows.shape) + len(named)) for axis in named}
    kept = [place for place in range(len(rows.shape) + len(axes)) if place not in axes]
    sizes = dict(zip(kept, rows.shape, strict=True))
    return [Rows(kept[rows.axis], tuple(sizes.get(place, 1) for place in range(len(kept) + len(axes))))]


def _transpose(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    if rows is None:
        return ()
    named = attribute_of(node, "perm", None)
    order = named if isinstance(named, list) else list(range(len(rows.shape)))[::-1]
    return [Rows(order.index(rows.axis), tuple(rows.shape[place] for place in order))]


def _concat(node: NodeProto, tensors: Tensors) -> Found:
    parts = [tensors.rows.get(name) for name in node.input]
    first = parts[0]
    if first is None or any(
        part is None or (part.axis, len(part.shape)) != (first.axis, len(first.shape)) for part in parts
    ):
        return ()
    axis = axis_of(node, 0, len(first.shape))
    if axis == first.axis:
        return ()
    return [Rows(first.axis, tuple(None if place == axis else size for place, size in enumerate(first.shape)))]


def _split(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    axis = None if rows is None else axis_of(node, 0, len(rows.shape))
    if rows is None or axis == rows.axis:
        return ()
    part = Rows(rows.axis, tuple(None if place == axis else size for place, size in enumerate(rows.shape)))
    return [part] * len(node.output)


def _slice(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    axes = None if rows is None else tensors.axes(node, len(rows.shape), 3)
    if rows is None or axes is None or rows.axis in axes:
        return ()
    return [Rows(rows.axis, tuple(None if place in axes else size for place, size in enumerate(rows.shape)))]


def _top(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    axis = None if rows is None else axis_of(node, -1, len(rows.shape))
    if rows is None or axis == rows.axis:
        return ()
    return [Rows(rows.axis, tuple(None if place == axis else size for place, size in enumerate(rows.shape)))] * 2


def _gather(node: NodeProto, tensors: Tensors) -> Found:
    """The same places of each row, or places of one table that each row names."""
    data, indices = (tensors.rows.get(tensors.given(node, place)) for place in (0, 1))
    if data and indices:
        return ()
    if indices:
        table = tensors.alike.get(node.input[0])
        if table is None or axis_of(node, 0, len(table)):
            return ()
        return [Rows(indices.axis, (*indices.shape, *table[1:]))]
    places = tensors.alike.get(node.input[1])
    if not data or places is None or (axis := axis_of(node, 0, len(data.shape))) == data.axis:
        return ()
    shape = (*data.shape[:axis], *places, *data.shape[axis + 1 :])
    return [Rows(data.axis if data.axis < axis else data.axis + len(places) - 1, shape)]


def _dropout(node: NodeProto, tensors: Tensors) -> Found:
    return () if tensors.given(node, 2) else same(node, tensors)


_SAME = (
    "Abs Acos Acosh Asin Asinh Atan Atanh Cast CastLike Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid "
    "HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh "
    "Softplus Softsign Sqrt Tan Tanh ThresholdedRelu"
)
_ELEMENTWISE = (
    "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min "
    "Mod Mul Or PRelu Pow Sub Sum Where Xor"
)
_REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"
_IMAGES = (
    "AveragePool Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool GlobalMaxPool InstanceNormalization "
    "LRN LpPool MaxPool SpaceToDepth"
)

STANDARD: dict[str, Rule] = {
    **dict.fromkeys(_SAME.split(), same),
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys([f"Reduce{name}" for name in _REDUCTIONS.split()], _reduction),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg_reduction),
    **dict.fromkeys(("Hardmax", "LogSoftmax", "Softmax"), _softmax),
    **dict.fromkeys(_IMAGES.split(), _image),
    "BatchNormalization": _batch_normalization,
    "Concat": _concat,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "LayerNormalization": _normalization,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "TopK": _top,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

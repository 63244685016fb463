"""Outputs as columns: a number, text or bool a row, or lists for each further axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from onnxhybrid.errors import Error
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import INTEGERS
from onnxhybrid.model.tensor_spec import Shape
from onnxhybrid.scoring.asking import Part
from onnxhybrid.scoring.plan import Output, Plan, Stopped

Array = npt.NDArray[Any]

ROW = "row"
"""The column that numbers the rows of the source, where there is no key."""

_TYPES = {
    "str": pa.string(),
    "bool": pa.bool_(),
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    **{name: getattr(pa, name)() for name in INTEGERS},
}


def output_of(spec: TensorSpec, *, by_row: bool, batch: int) -> Output:
    """How an output is kept.

    Args:
        spec: the output.
        by_row: whether what is fed leaves open how many rows a call has.
        batch: the rows of a call.

    Raises:
        Error: OH649, it cannot be kept.
    """
    if spec.dtype not in _TYPES:
        known = ", ".join(_TYPES)
        raise Error("OH649", f"the output {spec} is none of {known}; cast it, as in model.cast({{{spec.name!r}: …}})")
    if spec.shape is None:
        raise Error(
            "OH649", f"the output {spec.name!r} declares no axes, and a column has a type before the first row is "
            f"scored: declare them, as in model.declare({{{spec.name!r}: ('n', 10)}})"
        )  # fmt: skip
    form = _form(spec, spec.shape, by_row, batch)
    kind = _TYPES[spec.dtype]
    for size in reversed(spec.shape if form == "whole" else spec.shape[1:]):
        kind = pa.list_(kind, size) if isinstance(size, int) and size else pa.list_(kind)
    return Output(spec, kind, form)


def _form(spec: TensorSpec, shape: Shape, by_row: bool, batch: int) -> str:
    """Where the value of a row is, as of an `Output`."""
    if not by_row:
        return "row" if shape[:1] == (1,) else "whole"
    if not shape:
        return "call"
    if not isinstance(shape[0], int) or (batch == 1 and shape[0] == 1):
        return "row"
    if shape == (1,):
        return "call"
    if batch == 1:
        return "whole"
    raise Error(
        "OH649", f"the output {spec} has {shape[0]} rows however many it is fed; name the outputs that have a row for "
        "each row, as in outputs=[…], or score with batch=1"
    )  # fmt: skip


def schema_of(plan: Plan) -> pa.Schema:
    """The columns of a target's files: the key or the row's number, what is kept, and the outputs."""
    first = [plan.schema.field(plan.key)] if plan.key else [pa.field(ROW, pa.int64())]
    kept = [plan.schema.field(name) for name in plan.keep]
    return pa.schema([*first, *kept, *(pa.field(output.spec.name, output.type) for output in plan.outputs)])


def columns_of(plan: Plan, parts: Sequence[Part]) -> list[pa.Array]:
    """The outputs of parts as columns.

    Raises:
        Stopped: OH649, one has another shape than it declares.
    """
    return [
        pa.concat_arrays([_column(array, rows, output) for array, rows in _joined(place, output, parts)])
        for place, output in enumerate(plan.outputs)
    ]


def _joined(place: int, output: Output, parts: Sequence[Part]) -> list[tuple[Array, int]]:
    """What calls gave for an output, put together where that is plain."""
    given = [(np.asarray(part.outputs[place]), part.rows) for part in parts if part.outputs is not None]
    if output.form != "row" or len({array.shape[1:] for array, _ in given}) > 1:
        return given
    return [(np.concatenate([array for array, _ in given]), sum(rows for _, rows in given))]


def _column(array: Array, rows: int, output: Output) -> pa.Array:
    """The values of some rows."""
    if output.form == "call":
        array = np.repeat(array.reshape(1), rows)
    elif output.form == "whole":
        array = array[np.newaxis]
    sizes = array.shape[1:]
    if len(sizes) != _depth(output.type):
        raise _misshapen(output, array)
    column = pa.array(array.reshape(-1), _leaf(output.type))
    kinds, kind = [], output.type
    while not _is_leaf(kind):
        kinds.append(kind)
        kind = kind.value_type
    for axis in reversed(range(len(sizes))):
        lists = rows * math.prod(sizes[:axis])
        column = _listed(column, kinds[axis], sizes[axis], lists, output, array)
    return column


def _listed(column: pa.Array, kind: pa.DataType, size: int, lists: int, output: Output, array: Array) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        if kind.list_size != size:
            raise _misshapen(output, array)
        return pa.FixedSizeListArray.from_arrays(column, type=kind)
    offsets = pa.array(np.arange(lists + 1, dtype=np.int64) * size, pa.int32())
    return pa.ListArray.from_arrays(offsets, column, type=kind)


def _misshapen(output: Output, array: Array) -> Stopped:
    problem = Error("OH649", f"the output {output.spec} has the shape {list(array.shape)}, which it does not declare")
    return Stopped(problem)


def _is_leaf(kind: pa.DataType) -> bool:
    return not (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))


def _depth(kind: pa.DataType) -> int:
    return 0 if _is_leaf(kind) else 1 + _depth(kind.value_type)


def _leaf(kind: pa.DataType) -> pa.DataType:
    return kind if _is_leaf(kind) else _leaf(kind.value_type)

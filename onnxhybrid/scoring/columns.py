"""Brings the values of a column into the arrays of an input, or says which row does not fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from onnxhybrid.errors import Error
from onnxhybrid.feeds.fitting import fitted
from onnxhybrid.scoring.plan import Feed

Array = npt.NDArray[Any]
Values = Array | list[Array]


@dataclass(frozen=True)
class Place:
    """Where rows come from.

    Attributes:
        file: the file's name.
        row: the number of the first of them in the file, from 0.
    """

    file: str
    row: int

    def error(self, code: str, column: str, row: int, what: str) -> Error:
        """An error of one value."""
        return Error(code, f"{self.file}, column {column!r}, row {self.row + row}: {what}")


class _Unfit(Exception):
    """Values that do not fit."""


def values_of(column: pa.Array, feed: Feed, place: Place) -> Values:
    """The values of a column for an input: [rows, …], or, where rows are not put together, an array for each.

    Raises:
        Error: OH642, a value does not fit; it names the row.
    """
    try:
        if feed.stacked:
            return _stacked(column, feed)
        return [np.asarray(_stacked(column.slice(row, 1), feed)[0]) for row in range(len(column))]
    except _Unfit:
        row, what = _first(column, feed)
        raise place.error("OH642", feed.column, row, what) from None


def _first(column: pa.Array, feed: Feed) -> tuple[int, str]:
    """The first row that does not fit, and what is wrong with it: found by halving."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        if _problem(column.slice(low, middle - low), feed) is None:
            low = middle
        else:
            high = middle
    return low, _problem(column.slice(low, 1), feed) or "it has other sizes than the rows before it"


def _problem(column: pa.Array, feed: Feed) -> str | None:
    try:
        if feed.stacked:
            _stacked(column, feed)
        else:
            for row in range(len(column)):
                _stacked(column.slice(row, 1), feed)
    except _Unfit as problem:
        return str(problem)
    return None


def _stacked(column: pa.Array, feed: Feed) -> Array:
    """The values of rows along axis 0."""
    rows, sizes = len(column), list[int]()
    if is_bytes(column.type):
        return _bytes(column)
    for wanted in feed.sizes[: feed.lists]:
        column, size = _opened(_plain(column), wanted)
        sizes.append(size)
    leaf = _leaf(_plain(column), feed)
    sizes += [1] * (len(feed.sizes) - feed.lists)
    return leaf.reshape((rows, *sizes))


def _bytes(column: pa.Array) -> Array:
    if column.null_count:
        raise _Unfit("it is null")
    held = [np.frombuffer(value.as_py(), np.uint8) for value in column]
    if len({len(each) for each in held}) > 1:
        raise _Unfit("its bytes are another number than those of the rows before it")
    return np.stack(held) if held else np.empty((0, 0), np.uint8)


def _plain(column: pa.Array) -> pa.Array:
    """Without encodings and extensions."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values of a type are bytes, however many."""
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def _opened(column: pa.Array, wanted: int | None) -> tuple[pa.Array, int]:
    """What lists hold one after the other, and how many each."""
    if column.null_count:
        raise _Unfit("it is null, or holds a null")
    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
    else:
        lengths = pc.list_value_length(column)
        least, most = (bound.as_py() for bound in pc.min_max(lengths).values())
        size = (wanted or 0) if least is None else (least if least == most else -1)
        if size < 0 or (wanted is not None and size != wanted):
            told = "of different lengths" if size < 0 else f"of {size}"
            raise _Unfit(f"a list {told}, and {'all are of one length' if wanted is None else f'{wanted} are taken'}")
    if wanted is not None and size != wanted and len(column):
        raise _Unfit(f"a list of {size}, and {wanted} are taken")
    return column.flatten(), size


def _leaf(column: pa.Array, feed: Feed) -> Array:
    if column.null_count:
        raise _Unfit("it is null, or holds a null")
    try:
        array = column.to_numpy(zero_copy_only=False)
    except (UnicodeDecodeError, pa.ArrowException):
        raise _Unfit("it is no text in UTF-8") from None
    if feed.spec.dtype == "str":
        texts: Array = array.astype(object, copy=False)
        return texts
    try:
        return fitted(array, replace(feed.spec, shape=None), "it")
    except Error as problem:
        raise _Unfit(problem.message) from None

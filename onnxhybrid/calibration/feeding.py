"""The rows of a calibration, whatever they come in: arrays, or an iterator of batches, with labels beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error, ModelError
from onnxhybrid.model.dtypes import dtype_name
from onnxhybrid.model.editing import as_dtype
from onnxhybrid.model.tensor_spec import TensorSpec

Array = npt.NDArray[Any]
Feeds = dict[str, Array]


@dataclass(frozen=True)
class Batch:
    """What is run at once: rows of one call.

    Attributes:
        feeds: input -> array.
        carried: the inputs of which each row is one of the call's; the others are the same for all of them.
        rows: how many units are decided on: the rows, or 1 where the call is kept or sent as a whole.
        labels: a label for each unit, along axis 0; None without labels.
    """

    feeds: Feeds
    carried: frozenset[str]
    rows: int
    labels: Array | None

    def at(self, places: Array) -> Feeds:
        """The feeds of some of the rows."""
        return {name: array[places] if name in self.carried else array for name, array in self.feeds.items()}


@dataclass(frozen=True)
class Form:
    """How rows become calls.

    Attributes:
        inputs: what is fed.
        by_row: whether a call has many rows, each of which is kept or sent by itself.
        cuts: whether an item of an iterator holds a call in each of its rows; else it is one call.
        batch: the rows of a call.
    """

    inputs: tuple[TensorSpec, ...]
    by_row: bool
    cuts: bool
    batch: int

    def batches(self, data: object, labels: object) -> Iterator[Batch]:
        """The calls of all data.

        Raises:
            Error: OH604, the data do not fit the inputs; OH605, there are more or fewer labels than rows.
        """
        if _is_table(data, self.inputs):
            yield from self._calls(self._table(data), labels if labels is None else _column(labels), whole=True)
            return
        if not isinstance(data, Iterable):
            raise Error("OH604", f"data is a mapping of arrays, or an iterator of them, not {type(data).__name__}")
        beside = _Beside(labels)
        for item in data:
            # Calls are under way when the next item comes, which may be the same array with other numbers.
            table = {name: array.copy() for name, array in self._table(item).items()}
            yield from self._calls(
                table, beside.take(self.units(table), one=not self.by_row and not self.cuts), whole=False
            )
        beside.require_empty()

    def total(self, data: object) -> int | None:
        """How many units there are; None where only reading the data tells."""
        return self.units(self._table(data)) if _is_table(data, self.inputs) else None

    def units(self, table: Feeds) -> int:
        """How many rows, or calls, a table holds."""
        sizes = {name: len(table[name]) for name in self._carried(table)}
        if not self.by_row and not self.cuts:
            return 1
        if len(set(sizes.values())) > 1:
            raise Error("OH604", f"the inputs have different numbers of rows: {_listed(sizes)}")
        return next(iter(sizes.values()), 1)

    def _calls(self, table: Feeds, labels: Array | None, *, whole: bool) -> Iterator[Batch]:
        units = self.units(table)
        if labels is not None and len(labels) != units:
            raise Error("OH605", f"there are {len(labels)} labels for {units} rows")
        carried = self._carried(table)
        if not self.by_row and not self.cuts:
            yield Batch(table, frozenset(), 1, labels)
            return
        step = (self.batch if whole else max(units, 1)) if self.by_row else 1
        for start in range(0, units, step):
            part = slice(start, min(start + step, units))
            feeds = {name: self._cut(name, array, part) if name in carried else array for name, array in table.items()}
            inside = carried if self.by_row else frozenset[str]()
            yield Batch(
                feeds, inside, part.stop - start if self.by_row else 1, None if labels is None else labels[part]
            )

    def _cut(self, name: str, array: Array, part: slice) -> Array:
        shape = self._spec(name).shape
        stacked = not self.by_row and shape is not None and array.ndim == len(shape) + 1
        return array[part.start] if stacked else array[part]

    def _table(self, item: object) -> Feeds:
        """The arrays of an item, by input, of the inputs' dtypes."""
        known = {spec.name: spec for spec in self.inputs}
        if not isinstance(item, Mapping):
            item = {self._only().name: item}
        if unknown := [name for name in item if name not in known]:
            raise Error("OH604", f"the data holds {unknown[0]!r}, and the cascade is fed {_names(self.inputs)}")
        if missing := [spec.name for spec in self.inputs if not spec.optional and spec.name not in item]:
            raise Error("OH604", f"the data lacks {missing[0]!r}; it holds {', '.join(map(repr, item)) or 'nothing'}")
        return {name: self._array(known[name], value) for name, value in item.items()}

    def _array(self, spec: TensorSpec, value: object) -> Array:
        try:
            fits = (
                isinstance(value, np.ndarray)
                and value.dtype.kind not in "OUST"
                and dtype_name(value.dtype) == spec.dtype
            )
            array = np.asarray(value) if fits else as_dtype(spec, value)  # which copies
        except ModelError as problem:
            raise Error("OH604", f"the data of {spec.name!r} do not fit: {problem.message}") from None
        rank = None if spec.shape is None else len(spec.shape)
        if rank is not None and array.ndim not in ({rank} if self.by_row else {rank, rank + 1}):
            rows = "with rows along the first axis"
            raise Error("OH604", f"the data of {spec} have the shape {array.shape}; it takes {rank} axes {rows}")
        return array

    def _carried(self, table: Feeds) -> frozenset[str]:
        """The inputs that have rows: not what is the same for all, such as a token or an option of one element."""
        return frozenset(
            name for name, array in table.items() if array.ndim and self._has_rows(self._spec(name), array)
        )

    def _has_rows(self, spec: TensorSpec, array: Array) -> bool:
        first = spec.shape[0] if spec.shape else None
        if self.by_row:
            return not isinstance(first, int)
        if spec.shape is None:
            return True
        if array.ndim == len(spec.shape) + 1:
            return True
        return not isinstance(first, int) or (first == 1 and (array.shape[0] != 1 or not spec.optional))

    def _spec(self, name: str) -> TensorSpec:
        return next(spec for spec in self.inputs if spec.name == name)

    def _only(self) -> TensorSpec:
        required = [spec for spec in self.inputs if not spec.optional]
        if len(required) != 1:
            raise Error("OH604", f"the cascade is fed {_names(self.inputs)}: data is a mapping, input -> array")
        return required[0]


def _is_table(data: object, inputs: Sequence[TensorSpec]) -> bool:
    """Whether data is all there is, and no iterator of batches."""
    if isinstance(data, (Mapping, np.ndarray)):
        return True
    if not isinstance(data, (list, tuple)):
        return False
    return bool(data) and not any(isinstance(item, (Mapping, np.ndarray)) for item in data)


class _Beside:
    """Labels beside an iterator of batches: a sequence of all of them, or an iterator of those of each batch."""

    def __init__(self, labels: object) -> None:
        self._one = isinstance(labels, np.ndarray) or (
            isinstance(labels, Sequence) and not all(isinstance(each, np.ndarray) and each.ndim for each in labels)
        )
        self._all: Array | None = _column(labels) if self._one else None
        self._each = iter(labels) if not self._one and isinstance(labels, Iterable) else None
        self._none = labels is None
        self._at = 0
        if not self._none and not self._one and (self._each is None or _is_unordered(labels)):
            raise Error("OH605", f"labels is a sequence, or an iterator beside one, not {type(labels).__name__}")

    def take(self, rows: int, *, one: bool) -> Array | None:
        """Those of the next rows; where a call is one unit, what an iterator gives is its label as a whole."""
        if self._none:
            return None
        if self._all is not None:
            found = self._all[self._at : self._at + rows]
            self._at += rows
            if len(found) < rows:
                raise Error("OH605", f"there are {len(self._all)} labels, and more rows than that")
            return found
        assert self._each is not None
        batch = next(self._each, None)
        if batch is None:
            raise Error("OH605", f"the labels end after {self._at} rows, and the data do not")
        self._at += rows
        return _wrapped(batch) if one else _column(batch).copy()

    def require_empty(self) -> None:
        """Check that none is left."""
        left = self._all is not None and self._at < len(self._all)
        if left or (self._each is not None and next(self._each, None) is not None):
            raise Error("OH605", f"there are labels left after the {self._at} rows of the data")


def _is_unordered(labels: object) -> bool:
    return isinstance(labels, (Mapping, AbstractSet))


def _wrapped(label: object) -> Array:
    array = np.empty(1, object)
    array[0] = np.array(label, object if isinstance(label, (str, bytes)) else None)
    return array


def _column(labels: object) -> Array:
    """Labels as an array with a label for each row along axis 0."""
    if isinstance(labels, np.ndarray):
        array = labels
    elif isinstance(labels, Iterable) and not isinstance(labels, (str, bytes)) and not _is_unordered(labels):
        listed = list(labels)
        if any(isinstance(each, (str, bytes)) for each in listed):
            array = np.empty(len(listed), object)
            array[:] = listed
        else:
            array = _stacked(listed)
    else:
        raise Error("OH605", f"labels is a sequence with a label for each row, not {type(labels).__name__}")
    if array.ndim == 0:
        raise Error("OH605", "labels has no axis: it is a sequence with a label for each row")
    return array


def _stacked(listed: list[Any]) -> Array:
    try:
        return np.asarray(listed)
    except ValueError:  # sequences of different lengths: an answer each
        array = np.empty(len(listed), object)
        for place, each in enumerate(listed):
            array[place] = np.asarray(each)
        return array


def _listed(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} {size}" for name, size in sizes.items())


def _names(inputs: Iterable[TensorSpec]) -> str:
    return ", ".join(repr(spec.name) for spec in inputs) or "nothing"

"""Keys that come twice, found in little memory: eight bytes a row, and beyond some millions on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_HELD = 1 << 23
"""Hashes that are held in memory."""

_PARTS = 64

Hashes = npt.NDArray[np.uint64]


def is_key(kind: pa.DataType) -> bool:
    """Whether values of a type tell rows apart: whole numbers, texts, bytes, dates and times."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_key(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return is_key(kind.value_type)
    tests = (
        pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
        pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary, pa.types.is_decimal, _is_time,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_time(kind: pa.DataType) -> bool:
    """Whether values of a type count days, seconds or parts of them."""
    return any(test(kind) for test in (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp))


@final
class Keys:
    """Finds which hashes come twice."""

    def __init__(self) -> None:
        self._held: list[Hashes] = []
        self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def add(self, column: pa.Array) -> None:
        """Take in the keys of some rows."""
        hashes = hashes_of(column)
        self._held.append(hashes)
        self._count += len(hashes)
        if self._count >= _HELD:
            self._spill()

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="onnxhybrid-keys-")
        hashes = np.concatenate(self._held)
        parts = hashes % np.uint64(_PARTS)
        for part in range(_PARTS):
            with open(Path(self._folder.name) / str(part), "ab") as file:
                hashes[parts == part].tofile(file)
        self._held, self._count = [], 0

    def twice(self) -> set[int]:
        """The hashes that come more than once."""
        found: set[int] = set()
        for hashes in self._all():
            hashes.sort()
            found.update(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]).tolist())
        return found

    def _all(self) -> Iterator[Hashes]:
        if self._folder is None:
            yield np.concatenate(self._held) if self._held else np.empty(0, np.uint64)
            return
        self._spill() if self._held else None
        for part in range(_PARTS):
            yield np.fromfile(Path(self._folder.name) / str(part), np.uint64)

    def close(self) -> None:
        """Free what it wrote."""
        if self._folder is not None:
            self._folder.cleanup()


def hashes_of(column: pa.Array) -> Hashes:
    """A number for each key: whole numbers are their own."""
    column = _plain(column)
    if pa.types.is_integer(column.type):
        whole: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return whole.astype(np.int64, copy=False).view(np.uint64)
    return np.fromiter(map(hash, values_of(column)), np.int64, len(column)).view(np.uint64)


def values_of(column: pa.Array) -> list[Any]:
    """The keys as Python has them; dates and times are numbers, since Arrow has years that Python has not."""
    return _plain(column).to_pylist()  # type: ignore[no-any-return]


def _plain(column: pa.Array) -> pa.Array:
    """Without encodings and extensions, and dates and times as the whole numbers that they count."""
    if isinstance(column, pa.ExtensionArray):
        return _plain(column.storage)
    if isinstance(column, pa.DictionaryArray):
        return _plain(column.dictionary_decode())
    if _is_time(column.type):
        return column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return column


def shown(key: Any, kind: pa.DataType) -> str:
    """A key as a message has it.

    Args:
        key: one of `values_of`.
        kind: the type of its column.
    """
    if not _is_time(kind):
        return repr(key)
    count = pa.array([key], pa.int32() if kind.bit_width == 32 else pa.int64())
    try:
        return str(count.view(kind).cast(pa.string())[0])
    except pa.ArrowException:  # a year, or a zone, that cannot be written
        return repr(key)


def first_twice(rows: Iterable[tuple[Any, str, int]], hashes: set[int]) -> tuple[Any, str, int, str, int] | None:
    """The first key that two rows have, and where; different keys may have one hash.

    Args:
        rows: key, file and row of each.
        hashes: those that come more than once.
    """
    seen: dict[Any, tuple[str, int]] = {}
    for key, file, row in rows:
        if key in seen:
            return (key, *seen[key], file, row)
        if _hash(key) in hashes:
            seen[key] = (file, row)
    return None


def _hash(key: Any) -> int:
    return (key if isinstance(key, int) else hash(key)) % (1 << 64)

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
    tests = (
        pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
        pa.types.is_fixed_size_binary, pa.types.is_date, pa.types.is_timestamp, pa.types.is_decimal,
    )  # fmt: skip
    return any(test(kind) for test in tests)


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
    if pa.types.is_integer(column.type):
        whole: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return whole.astype(np.int64, copy=False).view(np.uint64)
    return np.fromiter(map(hash, values_of(column)), np.int64, len(column)).view(np.uint64)


def values_of(column: pa.Array) -> list[Any]:
    """The keys as Python has them; of times those that count nanoseconds are numbers."""
    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()  # type: ignore[no-any-return]


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

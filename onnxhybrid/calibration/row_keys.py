"""Hashes of rows: what a record knows them by, and of all of them together what a certificate does."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.feeding import Batch

Array = npt.NDArray[Any]

SIZE = 16
"""The bytes of a row's hash."""


def row_keys(batch: Batch) -> list[bytes]:
    """A hash of what each unit of a batch is fed, whichever batch it comes in."""
    common = hashlib.blake2b(digest_size=SIZE)
    carried = sorted(batch.carried)
    for name in sorted(batch.feeds):
        array = batch.feeds[name]
        shape = array.shape[1:] if name in batch.carried else array.shape
        common.update(f"{name}\0{'str' if array.dtype.kind == 'O' else array.dtype}\0{list(shape)}\0".encode())
        if name not in batch.carried:
            common.update(_content(array))
    if not carried:
        return [common.digest()]
    columns = [_rows_of(batch.feeds[name], batch.rows) for name in carried]
    keys = []
    for parts in zip(*columns, strict=True):
        key = common.copy()
        for part in parts:
            key.update(part)
        keys.append(key.digest())
    return keys


def _rows_of(array: Array, rows: int) -> list[Any]:
    if array.dtype.kind == "O" or not array.size:
        return [_content(row) for row in array]
    flat = np.ascontiguousarray(array).reshape(rows, -1).view(np.uint8)
    return list(flat)


def _content(array: Any) -> bytes:
    found = np.asarray(array)
    if found.dtype.kind not in "OUST":
        return found.tobytes()
    encoded = [
        text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass") for text in found.ravel()
    ]
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)


class DataHash:
    """The hash of all rows and their labels, in order, however they are cut into batches."""

    def __init__(self) -> None:
        self._rows, self._labels = hashlib.sha256(), hashlib.sha256()

    def add(self, keys: list[bytes], labels: Array | None) -> None:
        """Take the next rows in."""
        self._rows.update(b"".join(keys))
        for label in () if labels is None else (labels if labels.dtype.kind == "O" else (labels,)):
            self._labels.update(_content(label))

    def __str__(self) -> str:
        return hashlib.sha256(self._rows.digest() + self._labels.digest()).hexdigest()

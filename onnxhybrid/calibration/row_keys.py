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
        self._streams: dict[str, Any] = {}
        self._last: dict[str, bytes] = {}
        self._labels = hashlib.sha256()

    def add(self, batch: Batch) -> None:
        """Take the next rows in."""
        for name, array in batch.feeds.items():
            stream = self._streams.setdefault(name, hashlib.sha256())
            if name in batch.carried:
                kind = "str" if array.dtype.kind == "O" else str(array.dtype)
                self._tell(name, f"{kind}{list(array.shape[1:])}".encode())
                stream.update(_content(array))
            else:
                whole = hashlib.sha256(f"{array.dtype}{list(array.shape)}".encode() + _content(array)).digest()
                if batch.carried:
                    self._tell(name, whole)  # the same for many rows
                else:
                    stream.update(whole)
        labels = batch.labels
        for label in () if labels is None else (labels if labels.dtype.kind == "O" else (labels,)):
            self._labels.update(_content(label))

    def _tell(self, name: str, told: bytes) -> None:
        """Take in what holds for many rows, where it is not what held for those before."""
        if self._last.get(name) != told:
            self._streams[name].update(told)
            self._last[name] = told

    def __str__(self) -> str:
        inputs = b"".join(name.encode() + b"\0" + self._streams[name].digest() for name in sorted(self._streams))
        return hashlib.sha256(inputs + self._labels.digest()).hexdigest()

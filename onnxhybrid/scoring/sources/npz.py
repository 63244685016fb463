"""Archives of numpy arrays with a row along the first axis each; they are read as they go, and never whole."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import Piece, SourceFile
from onnxhybrid.scoring.sources.finding import opened
from onnxhybrid.scoring.sources.table import Span

_END = ".npy"
_SKIPPED = 4096
"""Rows that are passed over at once."""


@final
class _Member:
    """An array of the archive, read from its beginning on."""

    def __init__(self, archive: zipfile.ZipFile, name: str, file: SourceFile) -> None:
        self._archive, self._name, self._file = archive, name, file
        self._stream: IO[bytes] | None = None
        self._at = 0
        with self._archive.open(name + _END) as stream:
            self.shape, fortran, self.dtype = _header(stream)
        if self.dtype.kind not in "biufUS" or self.dtype == np.longdouble != np.float64:
            raise Error(
                "OH641", f"{file.name}: the array {name!r} is of {self.dtype}, which is no column; save it as numbers, "
                "bools or texts, or in another file"
            )  # fmt: skip
        if fortran and len(self.shape) > 1:
            raise Error(
                "OH641", f"{file.name}: the array {name!r} is in Fortran's order, which is not read row by row; save "
                "np.ascontiguousarray of it"
            )  # fmt: skip
        if not self.shape:
            raise Error("OH641", f"{file.name}: the array {name!r} has no axis, and so no rows")

    def read(self, first: int, rows: int) -> npt.NDArray[Any]:
        """Some rows."""
        if self._stream is None or self._at > first:
            self.close()
            self._stream, self._at = self._archive.open(self._name + _END), 0
            _header(self._stream)
        while (left := first - self._at) > 0:
            self._take(min(left, _SKIPPED))
        return self._take(rows)

    def _take(self, rows: int) -> npt.NDArray[Any]:
        assert self._stream is not None
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        data = self._stream.read(rows * size)
        if len(data) != rows * size:
            raise Error("OH643", f"{self._file.name}: the array {self._name!r} ends early")
        self._at += rows
        return np.frombuffer(data, self.dtype).reshape((rows, *self.shape[1:]))

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(stream)
    return found


@final
class Npz:
    """An open archive.

    Raises:
        Error: OH640, it cannot be opened; OH641, an array has no rows; OH643, it is none.
    """

    def __init__(self, file: SourceFile) -> None:
        self._file, self._stream = file, opened(file)
        try:
            archive = zipfile.ZipFile(self._stream)
            names = [name.removesuffix(_END) for name in archive.namelist() if name.endswith(_END)]
            self._members = {name: _Member(archive, name, file) for name in names}
        except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, RuntimeError) as problem:
            self._stream.close()
            raise Error("OH643", f"{file.name} is no archive of numpy arrays: {problem}") from None
        except BaseException:
            self._stream.close()
            raise
        lengths = {member.shape[0] for member in self._members.values()}
        if len(lengths) > 1:
            told = ", ".join(f"{name!r} {member.shape[0]}" for name, member in self._members.items())
            raise Error("OH641", f"{file.name}: its arrays have different numbers of rows: {told}")
        self._rows = lengths.pop() if lengths else 0

    def schema(self) -> pa.Schema:
        """Its arrays as columns."""
        return pa.schema([(name, _type(member)) for name, member in self._members.items()])

    def spans(self, rows: int) -> Iterator[Span]:
        """Its rows, cut."""
        for first in range(0, self._rows, rows):
            yield Span(0, 0, first, min(rows, self._rows - first), first)

    def rows(self, piece: Piece | Span, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
        """The rows of a span."""
        for first in range(piece.first, piece.first + piece.rows, block):
            count = min(block, piece.first + piece.rows - first)
            columns = [_column(self._members[field.name].read(first, count), field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def close(self) -> None:
        """Close it."""
        for member in self._members.values():
            member.close()
        self._stream.close()


def _type(member: _Member) -> pa.DataType:
    kind = {"U": pa.string(), "S": pa.binary()}.get(member.dtype.kind)
    kind = kind or pa.from_numpy_dtype(member.dtype.newbyteorder("="))
    for size in reversed(member.shape[1:]):
        kind = pa.list_(kind, size) if size else pa.list_(kind)  # Arrow divides by the size of a list
    return kind


def _column(array: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    kinds = []
    for _ in array.shape[1:]:
        kinds.append(kind)
        kind = kind.value_type
    flat = array.reshape(-1)
    # Of numpy's texts Arrow would take what stands before a NUL.
    values = flat.tolist() if array.dtype.kind == "U" else flat.astype(array.dtype.newbyteorder("="), copy=False)
    column = pa.array(values, kind)
    for axis in reversed(range(len(kinds))):
        if pa.types.is_fixed_size_list(kinds[axis]):
            column = pa.FixedSizeListArray.from_arrays(column, type=kinds[axis])
        else:
            offsets = pa.array(np.zeros(math.prod(array.shape[: axis + 1]) + 1, np.int32))
            column = pa.ListArray.from_arrays(offsets, column, type=kinds[axis])
    return column

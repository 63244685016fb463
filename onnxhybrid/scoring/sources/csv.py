"""Files of comma-separated values (RFC 4180), whose first line names the columns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import Piece, SourceFile
from onnxhybrid.scoring.sources import lines
from onnxhybrid.scoring.sources.finding import opened
from onnxhybrid.scoring.sources.table import Span, sized

_ROW = re.compile(r"Row #(\d+): ")
_BOM = b"\xef\xbb\xbf"
_TEXT = pa.string()
_LONGEST_HEAD = 1 << 20
"""Bytes that the names of columns take at most."""


@final
class Csv:
    """An open file of CSV. Its values are texts until a schema says what else they are.

    Raises:
        Error: OH640, it cannot be opened; OH643, its first line names no columns.
    """

    def __init__(self, file: SourceFile) -> None:
        self._file, self._stream = file, opened(file)
        try:
            self._names, self._start = self._head()
        except BaseException:
            self._stream.close()
            raise

    def _head(self) -> tuple[list[str], int]:
        head, quotes = b"", 0
        for line in self._stream:
            head += line
            quotes += line.count(b'"')
            if quotes % 2 == 0:
                break
            if len(head) > _LONGEST_HEAD:
                raise Error("OH643", f"{self._file.name}: a quote is opened in its first line and never closed")
        if b"\r" in head.rstrip(b"\r\n"):
            raise Error("OH643", f"{self._file.name}: its lines end in \\r alone; let them end in \\n")
        try:
            names = csv.read_csv(io.BytesIO(head.removeprefix(_BOM))).column_names
        except (pa.ArrowException, UnicodeDecodeError) as problem:
            raise Error("OH643", f"{self._file.name}: its first line names no columns: {problem}") from None
        if twice := [name for name in names if names.count(name) > 1]:
            raise Error("OH643", f"{self._file.name}: two columns are called {twice[0]!r}")
        return names, len(head)

    def schema(self) -> pa.Schema:
        """Its columns, all of texts."""
        return pa.schema([(name, _TEXT) for name in self._names])

    def spans(self, rows: int) -> Iterator[Span]:
        """Its lines, cut into spans."""
        return lines.spans(self._stream, self._file, self._start, rows, quotes=True)

    def rows(self, piece: Piece | Span, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
        """The rows of a span."""
        if not piece.rows:
            return
        table = self._read(lines.text_of(self._stream, piece, self._file), schema, piece.first)
        columns = [self._typed(table.column(field.name), field, piece.first) for field in schema]
        yield from sized(iter(pa.Table.from_arrays(columns, schema=schema).to_batches()), schema, block)

    def _read(self, text: bytes, schema: pa.Schema, first: int) -> pa.Table:
        """The columns as texts; an empty cell is an empty text."""
        try:
            return csv.read_csv(
                io.BytesIO(text),
                csv.ReadOptions(use_threads=False, column_names=self._names, block_size=max(len(text), 1)),
                csv.ParseOptions(newlines_in_values=True),
                csv.ConvertOptions(
                    column_types=dict.fromkeys(self._names, _TEXT),
                    include_columns=schema.names,
                    strings_can_be_null=False,
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError) as problem:
            found = _ROW.search(str(problem))
            row = f", row {first + int(found[1]) - 1}" if found else f", at row {first} or behind"
            what = str(problem).partition(": ")[2] or str(problem)
            raise Error("OH643", f"{self._file.name}{row}: {_ROW.sub('', what)}") from None

    def _typed(self, column: pa.ChunkedArray, field: pa.Field, first: int) -> pa.ChunkedArray:
        if field.type == _TEXT:
            return column
        empty = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0)
        column = pc.if_else(empty, pa.scalar(None, _TEXT), pc.utf8_trim_whitespace(column))
        try:
            return column.cast(field.type)
        except pa.ArrowException:
            row = next(row for row, value in enumerate(column) if not _casts(value, field.type))
            raise Error(
                "OH642", f"{self._file.name}, column {field.name!r}, row {first + row}: it is "
                f"{column[row].as_py()!r}, which is no {field.type}"
            ) from None  # fmt: skip

    def close(self) -> None:
        """Close it."""
        self._stream.close()


def _casts(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind)
    except pa.ArrowException:
        return False
    return True

"""Files with a JSON object a line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import final

import pyarrow as pa
from pyarrow import json

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import Piece, SourceFile
from onnxhybrid.scoring.sources import lines
from onnxhybrid.scoring.sources.finding import opened
from onnxhybrid.scoring.sources.table import Span, sized

_ROW = re.compile(r"\.? in row (\d+)")


@final
class Jsonl:
    """An open file of JSON lines.

    Raises:
        Error: OH640, it cannot be opened.
    """

    def __init__(self, file: SourceFile) -> None:
        self._file, self._stream = file, opened(file)

    def schema(self) -> pa.Schema:
        """Its columns, as its beginning has them."""
        span = next(self.spans(_FIRST), None)
        if span is None:
            return pa.schema([])
        return pa.schema([(field.name, _as_written(field.type)) for field in self._read(span, None).schema])

    def found(self, piece: Span, names: list[str]) -> pa.Schema:
        """The types of these columns in a span, as its own values have them."""
        there = self._read(piece, None).schema
        return pa.schema([(name, _as_written(there.field(name).type)) for name in names if name in there.names])

    def spans(self, rows: int) -> Iterator[Span]:
        """Its lines, cut into spans."""
        return lines.spans(self._stream, self._file, 0, rows, quotes=False)

    def rows(self, piece: Piece | Span, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
        """The rows of a span."""
        if not piece.rows:
            return
        table = self._read(piece, schema)
        yield from sized(iter(table.select(schema.names).to_batches()), schema, block)

    def _read(self, piece: Piece | Span, schema: pa.Schema | None) -> pa.Table:
        text = lines.text_of(self._stream, piece, self._file)
        others = "infer" if schema is None else "ignore"
        try:
            return json.read_json(
                io.BytesIO(text),
                json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
            )
        except (pa.ArrowException, UnicodeDecodeError) as problem:
            found = _ROW.search(str(problem))
            row = f", row {piece.first + int(found[1])}" if found else f", at row {piece.first} or behind"
            raise Error("OH643", f"{self._file.name}{row}: {_ROW.sub('', str(problem))}") from None

    def close(self) -> None:
        """Close it."""
        self._stream.close()


def _as_written(kind: pa.DataType) -> pa.DataType:
    """The type that JSON has: the reader takes texts that look like times for such, in one span and not in another."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_as_written(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_written(field.type)) for field in kind])
    return kind


_FIRST = 1024

"""Files of Parquet: a piece is row groups, or rows of a row group that is large."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import final

import pyarrow as pa
import pyarrow.parquet as pq

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import Piece, SourceFile
from onnxhybrid.scoring.sources.finding import is_url, opened
from onnxhybrid.scoring.sources.table import Span, sized, with_types

_BUFFER = 1 << 20
"""Bytes of a column that are read at once, where a row group may be as large as memory."""


@final
class Parquet:
    """An open file of Parquet. It reads on from where the last piece ended.

    Raises:
        Error: OH640, it cannot be opened; OH643, it is no Parquet.
    """

    def __init__(self, file: SourceFile) -> None:
        self._stream = opened(file)
        try:
            # By its path a file is read without Python's lock.
            place = self._stream if is_url(file.path) else file.path
            self._file = pq.ParquetFile(place, pre_buffer=False, buffer_size=_BUFFER)
        except (pa.ArrowException, OSError, ValueError) as problem:
            self._stream.close()
            raise Error("OH643", f"{file.name} is no file of Parquet: {problem}") from None
        self._going: Iterator[pa.RecordBatch] | None = None
        self._rest: pa.RecordBatch | None = None
        self._kind: tuple[object, ...] = ()
        self._at = 0
        self._starts = list(itertools.accumulate(self._counts(), initial=0))

    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._file.schema_arrow.remove_metadata()

    @property
    def metadata(self) -> pq.FileMetaData:
        """What its footer says."""
        return self._file.metadata

    def without_nulls(self, name: str) -> bool:
        """Whether the file says that a column holds no null."""
        metadata = self.metadata
        found = False
        for group in range(metadata.num_row_groups):
            for place in range(metadata.num_columns):
                column = metadata.row_group(group).column(place)
                if column.path_in_schema == name or column.path_in_schema.startswith(f"{name}."):
                    found = True
                    statistics = column.statistics
                    if statistics is None or not statistics.has_null_count or statistics.null_count:
                        return False
        return found

    def spans(self, rows: int) -> Iterator[Span]:
        """Its row groups, small ones together and large ones cut."""
        start = first = held = 0
        for group, count in enumerate(self._counts()):
            if held and held + count > rows:
                yield Span(start, 0, 0, held, first)
                first, held = first + held, 0
            if not held:
                start = group
            held += count
            if held > rows:
                for skip in range(0, held, rows):
                    yield Span(start, 0, skip, min(rows, held - skip), first + skip)
                first, held = first + held, 0
        if held:
            yield Span(start, 0, 0, held, first)

    def _counts(self) -> list[int]:
        return [self.metadata.row_group(place).num_rows for place in range(self.metadata.num_row_groups)]

    def rows(self, piece: Piece | Span, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
        """The rows of a span."""
        kind = (block, *schema.names)
        if self._going is None or self._kind != kind or not self._starts[piece.start] <= self._at <= piece.first:
            groups = list(range(piece.start, self.metadata.num_row_groups))
            self._going = self._file.iter_batches(block, groups, columns=list(schema.names), use_threads=False)
            self._rest, self._kind, self._at = None, kind, self._starts[piece.start]
        for _ in self._taken(piece.first - self._at):
            pass
        yield from sized((with_types(batch, schema) for batch in self._taken(piece.rows)), schema, block)

    def _taken(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The next rows."""
        assert self._going is not None
        while rows > 0:
            batch = self._rest if self._rest is not None else next(self._going, None)
            if batch is None:
                return
            self._rest = batch.slice(rows) if batch.num_rows > rows else None
            batch = batch.slice(0, rows)
            rows -= batch.num_rows
            self._at += batch.num_rows
            yield batch

    def close(self) -> None:
        """Close it."""
        self._going = None
        self._file.close()
        self._stream.close()

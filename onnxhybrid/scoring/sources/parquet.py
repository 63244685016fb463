"""Files of Parquet: a piece is row groups, or rows of a row group that is large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import pyarrow as pa
import pyarrow.parquet as pq

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import Piece, SourceFile
from onnxhybrid.scoring.sources.finding import opened
from onnxhybrid.scoring.sources.table import Span, sized


@final
class Parquet:
    """An open file of Parquet. It reads on from where the last piece ended.

    Raises:
        Error: OH640, it cannot be opened; OH643, it is no Parquet.
    """

    def __init__(self, file: SourceFile) -> None:
        self._stream = opened(file)
        try:
            self._file = pq.ParquetFile(self._stream, pre_buffer=False)
        except (pa.ArrowException, OSError, ValueError) as problem:
            self._stream.close()
            raise Error("OH643", f"{file.name} is no file of Parquet: {problem}") from None
        self._going: Iterator[pa.RecordBatch] | None = None
        self._rest: pa.RecordBatch | None = None
        self._at = (-1, 0)

    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._file.schema_arrow

    @property
    def metadata(self) -> pq.FileMetaData:
        """What its footer says."""
        return self._file.metadata

    def spans(self, rows: int) -> Iterator[Span]:
        """Its row groups, small ones together and large ones cut."""
        for start, count in enumerate(self._counts()):
            for skip in range(0, count, rows):
                yield Span(start, start + 1, skip, min(rows, count - skip))

    def _counts(self) -> list[int]:
        return [self.metadata.row_group(place).num_rows for place in range(self.metadata.num_row_groups)]

    def rows(self, piece: Piece | Span, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
        """The rows of a span."""
        if self._going is None or self._at != (piece.start, piece.skip):
            groups = list(range(piece.start, self.metadata.num_row_groups))
            self._going = self._file.iter_batches(block, groups, columns=list(schema.names), use_threads=False)
            self._rest, self._at = None, (piece.start, piece.skip)
            for _ in self._taken(piece.skip):
                pass
        yield from sized((_cast(batch, schema) for batch in self._taken(piece.rows)), schema, block)
        self._at = (piece.start, piece.skip + piece.rows)

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
            yield batch

    def close(self) -> None:
        """Close it."""
        self._going = None
        self._file.close()
        self._stream.close()


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    batch = batch.select(schema.names)
    return batch if batch.schema.equals(schema) else pa.RecordBatch.from_arrays(batch.columns, schema=schema)

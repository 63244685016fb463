"""What every kind of file offers: its columns, its pieces, and the rows of a piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from onnxhybrid.scoring.plan import Piece


@dataclass(frozen=True)
class Span:
    """Rows that make a piece: `start`, `stop`, `skip`, `rows` and `first` as of a `Piece`."""

    start: int
    stop: int
    skip: int
    rows: int
    first: int


class Opened(Protocol):
    """An open file."""

    def schema(self) -> pa.Schema:
        """Its columns; of text those of its beginning."""

    def spans(self, rows: int) -> Iterator[Span]:
        """Its rows, cut into spans of so many rows."""

    def rows(self, piece: Piece | Span, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
        """The rows of a span with these columns, in batches of so many rows."""

    def close(self) -> None:
        """Close it."""


def sized(batches: Iterator[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of so many rows each, but for the last one."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for read in batches:
        batch = read
        while count + batch.num_rows >= rows:
            take = rows - count
            waiting.append(batch.slice(0, take))
            yield joined(waiting, schema)
            batch, waiting, count = batch.slice(take), [], 0
        if batch.num_rows:
            waiting.append(batch)
            count += batch.num_rows
    if count:
        yield joined(waiting, schema)


def joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Batches as one."""
    if len(batches) == 1:
        return batches[0]
    columns = [pa.concat_arrays([batch.column(place) for batch in batches]) for place in range(len(schema))]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def with_types(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with exactly these columns."""
    batch = batch.select(schema.names)
    if batch.schema.equals(schema):
        return batch
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)

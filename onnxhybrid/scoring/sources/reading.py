"""`Reader`: the rows of pieces, whatever the kind of their file."""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import final

import pyarrow as pa

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import Piece, Plan, SourceFile
from onnxhybrid.scoring.sources import csv, jsonl, npz, parquet
from onnxhybrid.scoring.sources.finding import require_same
from onnxhybrid.scoring.sources.table import Opened, Span

KINDS: dict[str, Callable[[SourceFile], Opened]] = {
    "parquet": parquet.Parquet,
    "csv": csv.Csv,
    "jsonl": jsonl.Jsonl,
    "npz": npz.Npz,
}
"""What opens files of a kind."""


DAMAGED = (pa.ArrowException, OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What readers raise of a file that is damaged, encrypted or cut."""


def read(
    table: Opened, piece: Piece | Span, schema: pa.Schema, block: int, file: SourceFile
) -> Iterator[pa.RecordBatch]:
    """The rows of a span with these columns, in batches of `block` rows.

    Raises:
        Error: OH643, the file cannot be read; OH648, it was changed since it was looked at.
    """
    batches = table.rows(piece, schema, block)
    while True:
        try:
            batch = next(batches, None)
        except DAMAGED as problem:
            require_same(file)
            raise Error("OH643", f"{file.name} cannot be read, from row {piece.first} on: {problem}") from None
        if batch is None:
            return
        yield batch


@final
class Reader:
    """Reads pieces, the next one of a file from where the last one ended. One thread at a time reads; others wait.

    Args:
        plan: what is scored.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._turn = threading.Lock()
        self._file: int | None = None
        self._table: Opened | None = None

    def batches(self, piece: Piece) -> Iterator[pa.RecordBatch]:
        """The rows of a piece, with the columns of the plan's schema, in batches of `plan.block` rows.

        Raises:
            Error: OH640 or OH643, the file cannot be read; OH648, it was changed since it was looked at.
        """
        with self._turn:
            yield from self._batches(piece)

    def _batches(self, piece: Piece) -> Iterator[pa.RecordBatch]:
        file = self._plan.files[piece.file]
        if piece.file != self._file or self._table is None:
            self.close()
            self._table, self._file = KINDS[file.kind](file), piece.file
        seen = 0
        try:
            for batch in read(self._table, piece, self._plan.schema, self._plan.block, file):
                seen += batch.num_rows
                yield batch
        except Error:
            self.close()
            raise
        require_same(file)
        if seen != piece.rows:
            raise Error("OH648", f"{file.name} has {seen} rows where {piece.rows} were counted")

    def close(self) -> None:
        """Close the file that is open."""
        if self._table is not None:
            self._table.close()
        self._table = self._file = None

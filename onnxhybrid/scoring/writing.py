"""Writes a piece: its rows in the order of the source, those that failed into a file of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from onnxhybrid.errors import Error
from onnxhybrid.scoring import layout
from onnxhybrid.scoring.asking import Part
from onnxhybrid.scoring.blocks import Block
from onnxhybrid.scoring.layout import Note
from onnxhybrid.scoring.outputs import columns_of, schema_of
from onnxhybrid.scoring.plan import Plan, Result, Task, Tick

_GROUP = 16 << 20
"""Bytes of rows that wait until they are written as a row group."""


@final
class Writing:
    """The files of one generation of a piece, which appear together when it is committed.

    The failed rows are in place before the results, whose file names the generation of theirs: one rename is what
    makes both hold.

    Args:
        plan: what is scored.
        target: the folder.
        task: the piece; where some of its rows are asked again, the others are taken from the file that there is.
    """

    def __init__(self, plan: Plan, target: str, task: Task) -> None:
        self._plan, self._target, self._task = plan, target, task
        self._part = layout.part_of(target, task.piece.number)
        self._failed = layout.failed_of(target, task.piece.number, task.generation)
        self._temporary = self._part.with_name(f".{self._part.name}.{os.getpid()}")
        self._schema = schema_of(plan)
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._fresh: list[npt.NDArray[np.int64]] = []
        self._lost: list[pa.RecordBatch] = []
        self._sent, self._spend = 0, 0.0

    def add(self, parts: Sequence[Part]) -> None:
        """Take in the rows of a block, whose blocks come in order.

        Raises:
            Error: OH649, an output is of another shape than declared; OH652, the target cannot be written.
        """
        self._lost += [self._failures(part) for part in parts if part.problem is not None]
        good = [part for part in parts if part.problem is None]
        if not good:
            return
        places = np.concatenate([part.block.places for part in good])
        batch = pa.RecordBatch.from_arrays([*self._kept(good), *columns_of(self._plan, good)], schema=self._schema)
        if (order := np.argsort(places)).tolist() != list(range(len(places))):
            batch, places = batch.take(pa.array(order)), places[order]
        self._waiting.append(batch)
        if self._task.again is not None:
            self._fresh.append(places)
        elif sum(batch.nbytes for batch in self._waiting) > _GROUP:
            layout.writing(self._target, self._flush)

    def count(self, tick: Tick) -> None:
        """Count what calls came to."""
        self._sent += tick.sent
        self._spend += tick.spend

    def commit(self, seconds: float) -> Result:
        """Put both files into place.

        Raises:
            Error: OH652, the target cannot be written.
        """
        return layout.writing(self._target, lambda: self._commit(seconds))

    def close(self) -> None:
        """Leave nothing that was not committed."""
        if self._writer is not None:
            with suppress(OSError, pa.ArrowException):
                self._writer.close()
        with suppress(OSError):
            self._temporary.unlink()

    def _kept(self, parts: Sequence[Part]) -> list[pa.Array]:
        """The key, or the number of the row, and the columns that are kept."""
        blocks = [part.block for part in parts]
        number = [] if self._plan.key else [pa.array(np.concatenate([self._numbers(block) for block in blocks]))]
        width = blocks[0].kept.num_columns
        return [*number, *(pa.concat_arrays([block.kept.column(at) for block in blocks]) for at in range(width))]

    def _numbers(self, block: Block) -> npt.NDArray[np.int64]:
        """The numbers of rows in the whole source."""
        return block.places + self._task.piece.before + self._task.piece.first

    def _failures(self, part: Part) -> pa.RecordBatch:
        assert part.problem is not None
        key = part.block.kept.column(0) if self._plan.key else pa.array(self._numbers(part.block))
        columns = [
            key,
            pa.array([self._plan.files[self._task.piece.file].name] * part.rows, pa.string()),
            pa.array(part.block.places + self._task.piece.first),
            pa.array([part.problem.code] * part.rows, pa.string()),
            pa.array([part.problem.message] * part.rows, pa.string()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=layout.failed_schema(key.type))

    def _flush(self) -> None:
        """Write the rows that wait as a row group."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._temporary, self._schema)
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting = []

    def _commit(self, seconds: float) -> Result:
        piece, earlier = self._task.piece, layout.note_of(self._part) if self._task.again is not None else None
        if earlier is not None:
            self._merge()
        elif self._task.again is not None:
            raise Error("OH652", f"{self._part} is gone, or damaged: score again, and the piece is scored anew")
        self._flush()
        assert self._writer is not None
        failed = sum(batch.num_rows for batch in self._lost)
        note = Note(
            plan=self._plan.digest,
            generation=self._task.generation,
            rows=piece.rows,
            failed=failed,
            sent=self._sent + (earlier.sent if earlier else 0),
            seconds=seconds,
            spend=self._spend + (earlier.spend if earlier else 0.0),
        )
        self._writer.add_key_value_metadata({layout.ENTRY: json.dumps(asdict(note))})
        self._writer.close()
        if self._lost:
            self._write_lost()
        layout.replaced(self._temporary, self._part)
        return Result(piece.number, note.rows, failed, note.sent, seconds, note.spend)

    def _merge(self) -> None:
        """Put the rows that were asked again between those that the piece's file has, in the order of the source."""
        old = pq.read_table(self._part, schema=self._schema)
        again = set(self._task.again or ())
        places = [np.array([row for row in range(self._task.piece.rows) if row not in again], np.int64), *self._fresh]
        table = pa.concat_tables([old, pa.Table.from_batches(self._waiting, self._schema)])
        self._waiting = table.take(pa.array(np.argsort(np.concatenate(places)))).combine_chunks().to_batches()

    def _write_lost(self) -> None:
        self._failed.parent.mkdir(exist_ok=True)
        temporary = self._failed.with_name(f".{self._failed.name}.{os.getpid()}")
        try:
            pq.write_table(pa.Table.from_batches(self._lost).sort_by("row"), temporary)
            layout.replaced(temporary, self._failed)
        finally:
            temporary.unlink(missing_ok=True)

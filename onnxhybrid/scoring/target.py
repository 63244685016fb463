"""The target: a folder that one scoring at a time writes to, and what in it is done."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, final

import pyarrow.parquet as pq

from onnxhybrid.errors import Error
from onnxhybrid.scoring import layout
from onnxhybrid.scoring.layout import Note
from onnxhybrid.scoring.plan import Plan, Result, Task

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_OURS = re.compile(r"\.?part-\d{6}(-\d+)?\.parquet(\.\d+)?")


@final
class Target:
    """A folder of results. Hold it open for as long as engines write to it.

    Args:
        path: the folder; made where there is none.

    Raises:
        Error: OH645, it cannot be used; OH647, another scoring writes to it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._notes: dict[int, Note] = {}
        try:
            (Path(path) / layout.STATE).mkdir(parents=True, exist_ok=True)
            self._lock: BinaryIO = open(Path(path) / layout.STATE / layout.LOCK, "ab")  # noqa: SIM115
        except OSError as problem:
            raise Error(
                "OH645", f"the target {path} is a folder that is written to: {problem.strerror or problem}"
            ) from None
        self._require_alone()

    def _require_alone(self) -> None:
        """Check that no other scoring has it, where the system can tell."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Error(
                "OH647", f"another scoring writes to {self.path}; wait for it, or name another folder"
            ) from None
        except OSError:  # a file system without locks
            return

    def close(self) -> None:
        """Let others write to it."""
        self._lock.close()

    @property
    def manifest(self) -> Path:
        """The file that says what it holds results of."""
        return Path(self.path) / layout.STATE / layout.MANIFEST

    def begin(self, plan: Plan) -> None:
        """Find what is done of a plan, and drop what a process left that died.

        Raises:
            Error: OH652, the folder cannot be written.
        """
        layout.writing(self.path, lambda: self._begin(plan))

    def _begin(self, plan: Plan) -> None:
        for piece in plan.pieces:
            note = layout.note_of(layout.part_of(self.path, piece.number))
            if note is not None and note.plan == plan.digest:
                self._notes[piece.number] = note
        known = {layout.part_of(self.path, number) for number in self._notes}
        known |= {layout.failed_of(self.path, number, note.generation) for number, note in self._notes.items()}
        for folder in (Path(self.path), Path(self.path) / layout.FAILED):
            for path in folder.iterdir() if folder.is_dir() else ():
                if _OURS.fullmatch(path.name) and path not in known:
                    path.unlink()

    def tasks(self, plan: Plan) -> Iterator[Task]:
        """What is still to do: pieces, and the rows of others that failed."""
        for piece in plan.pieces:
            note = self._notes.get(piece.number)
            if note is None:
                yield Task(piece)
            elif note.failed:
                path = layout.failed_of(self.path, piece.number, note.generation)
                rows = pq.read_table(path, columns=["row"]).column("row").to_numpy() - piece.first
                yield Task(piece, tuple(sorted(rows.tolist())), note.generation + 1)

    def take(self, result: Result) -> None:
        """Take in what a piece came to, whose files an engine has written."""
        before = self._notes.get(result.piece)
        path = layout.part_of(self.path, result.piece)
        note = layout.note_of(path)
        if note is None:
            raise Error("OH652", f"{path} was written, and is not there")
        self._notes[result.piece] = note
        if before is not None:
            with suppress(OSError):
                layout.failed_of(self.path, result.piece, before.generation).unlink()

    def totals(self) -> dict[str, Any]:
        """What is done: rows, failed, sent and spend."""
        notes = self._notes.values()
        return {
            "rows": sum(note.rows for note in notes),
            "failed": sum(note.failed for note in notes),
            "sent": sum(note.sent for note in notes),
            "spend": sum(note.spend for note in notes),
        }

    @property
    def unfinished(self) -> int:
        """How many rows failed."""
        return sum(note.failed for note in self._notes.values())

"""The target: a folder that one scoring at a time writes to, and what in it is done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, final

import pyarrow.parquet as pq

from onnxhybrid.errors import Error
from onnxhybrid.runtime.exclusive import is_taken
from onnxhybrid.scoring import layout
from onnxhybrid.scoring.layout import Note
from onnxhybrid.scoring.plan import Plan, Result, Task
from onnxhybrid.scoring.summary import Summary

_OURS = re.compile(r"\.?part-\d{6,}(-\d+)?\.parquet(\.\d+)?")

_TOLD = {
    "model": "another model",
    "source": "another source, or of this one before it was changed",
    "columns": "other columns or outputs",
    "feeds": "other values of feeds",
    "batch": "another batch",
}
"""What to say of what differs."""


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
        self._is_new = not Path(path).exists()
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
        if is_taken(self._lock):
            self._lock.close()
            raise Error("OH647", f"another scoring writes to {self.path}; wait for it, or name another folder")

    def close(self) -> None:
        """Let others write to it; where nothing came of it, leave nothing."""
        if self._is_new and not self._manifest.exists():
            with suppress(OSError):
                (Path(self.path) / layout.STATE / layout.LOCK).unlink()
                (Path(self.path) / layout.STATE).rmdir()
                Path(self.path).rmdir()
        self._lock.close()

    @property
    def _manifest(self) -> Path:
        """The file that says what it holds results of."""
        return Path(self.path) / layout.STATE / layout.MANIFEST

    def known(self, identity: Mapping[str, str], *, resume: bool) -> dict[str, Any] | None:
        """What it says of the plan that it was begun with; None where it holds nothing.

        Args:
            identity: what is to be scored.
            resume: whether results may be there.

        Raises:
            Error: OH646, it holds results, and of something else or where none may be; OH645, files of others.
        """
        try:
            known: dict[str, Any] = json.loads(self._manifest.read_text("utf-8"))
            was, version = dict(known["identity"]), known["version"]
        except FileNotFoundError:
            self._require_empty()
            return None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise Error("OH645", f"the target {self.path} cannot be read: {problem}; name another folder") from None
        if version != layout.VERSION:
            raise Error("OH645", f"the target {self.path} was begun by another release; name another folder")
        if not resume:
            raise Error("OH646", f"the target {self.path} holds results; give resume=True to go on, or another folder")
        others = [name for name in identity if was.get(name) != identity[name]]
        if others:
            told = " and ".join(_TOLD[name] for name in others)
            raise Error("OH646", f"the target {self.path} holds results of {told}; name another folder")
        return known

    def _require_empty(self) -> None:
        """Check that nobody takes files of others for results."""
        if strange := next(Path(self.path).glob("*.parquet"), None):
            raise Error("OH645", f"the target {self.path} holds {strange.name}, and no scoring made it; name another")

    def begin(self, plan: Plan, told: Mapping[str, Any] | None) -> None:
        """Find what is done of a plan, and drop what a process left that died.

        Args:
            plan: the plan.
            told: what is kept of it; None where that is there.

        Raises:
            Error: OH652, the folder cannot be written.
        """
        layout.writing(self.path, lambda: self._begin(plan, told))

    def _begin(self, plan: Plan, told: Mapping[str, Any] | None) -> None:
        if told is not None:
            layout.write_json(self._manifest, told)
        for piece in plan.pieces:
            note = layout.note_of(layout.part_of(self.path, piece.number))
            if note is not None and note.plan == plan.digest and self._has_failed(piece.number, note):
                self._notes[piece.number] = note
        known = {layout.part_of(self.path, number) for number in self._notes}
        known |= {layout.failed_of(self.path, number, note.generation) for number, note in self._notes.items()}
        for folder in (Path(self.path), Path(self.path) / layout.FAILED):
            for path in folder.iterdir() if folder.is_dir() else ():
                if _OURS.fullmatch(path.name) and path not in known:
                    path.unlink()

    def _has_failed(self, piece: int, note: Note) -> bool:
        """Whether the rows that failed are there; else the piece is scored anew."""
        return not note.failed or layout.failed_of(self.path, piece, note.generation).exists()

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

    def summary(self, plan: Plan, seconds: float) -> Summary:
        """What is done, which is written beside it, too.

        Raises:
            Error: OH652, it cannot be written.
        """
        notes = self._notes.values()
        rows = sum(note.rows for note in notes)
        found = Summary(
            rows=rows,
            failed=sum(note.failed for note in notes),
            sent=sum(note.sent for note in notes),
            seconds=seconds,
            spend=sum(note.spend for note in notes),
            left=plan.rows - rows,
        )
        layout.writing(self.path, lambda: layout.write_json(Path(self.path) / layout.SUMMARY, asdict(found)))
        return found

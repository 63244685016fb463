"""The record of a scoring: a folder of what remotes answered, from which a later run goes on.

Each worker of each run writes a file of its own, which is a record as `oh.Session` makes it. Beside it stands where
that file ended when each piece was begun: what a later run may need again stands behind there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, final

from onnxhybrid.errors import Error

_HEAD = b'{"format":"onnxhybrid.record","version":1}\n'


@final
class Writing:
    """The file that a worker writes.

    Raises:
        Error: OH654, the folder cannot be used.
    """

    def __init__(self, folder: str, worker: str) -> None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.path = _free(Path(folder), worker)
            self._begun: TextIO = open(f"{self.path}.begun", "x", encoding="utf-8")  # noqa: SIM115
        except OSError as problem:
            raise Error("OH654", f"the record {folder} is a folder that is written to: {problem.strerror}") from None

    def begin(self, piece: int, generation: int) -> None:
        """Note that a generation of a piece begins."""
        record = Path(self.path)
        size = record.stat().st_size if record.exists() else 0
        self._begun.write(json.dumps([piece, generation, size]) + "\n")
        self._begun.flush()

    def close(self) -> None:
        """Close what it wrote beside the record."""
        self._begun.close()


def _free(folder: Path, worker: str) -> str:
    number = 1
    while (path := folder / f"{worker}-{number:04d}.record").exists() or Path(f"{path}.begun").exists():
        number += 1
    return str(path)


def leftover(folder: str, unfinished: Collection[tuple[int, int]], path: Path | None = None) -> str | None:
    """A record of what was answered for pieces that were begun and not finished; None where there is none.

    What failed is not in it, nor what a process left half written.

    Args:
        folder: the record.
        unfinished: the pieces that are still to do, and their generations.
        path: the file that is made.

    Raises:
        Error: OH654, the folder cannot be used.
    """
    path = path or Path(folder) / "again.record"
    try:
        if not Path(folder).is_dir():
            return None
        with open(path, "wb") as file:
            file.write(_HEAD)
            count = sum(_copy(record, unfinished, file) for record in sorted(Path(folder).glob("*-*.record")))
    except OSError as problem:
        raise Error("OH654", f"the record {folder} cannot be used: {problem.strerror}") from None
    if count:
        return str(path)
    path.unlink()
    return None


def _copy(record: Path, unfinished: Collection[tuple[int, int]], file: BinaryIO) -> int:
    """Copy the answers that a record holds behind where the first unfinished piece was begun."""
    starts = [at for begun, at in _begun(Path(f"{record}.begun")) if begun in unfinished]
    if not starts:
        return 0
    count = 0
    with open(record, "rb") as lines:
        lines.seek(max(min(starts), len(lines.readline())))
        for line in lines:
            if _is_answer(line):
                file.write(line)
                count += 1
    return count


def _begun(path: Path) -> Iterator[tuple[tuple[int, int], int]]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            piece, generation, at = json.loads(line)
        except ValueError:  # half written
            continue
        yield (int(piece), int(generation)), int(at)


def _is_answer(line: bytes) -> bool:
    try:
        call: Any = json.loads(line)["call"] if line.endswith(b"\n") else {"failure": None}
    except (ValueError, KeyError, TypeError):
        return False
    return "failure" not in call

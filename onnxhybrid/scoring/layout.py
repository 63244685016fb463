"""What the files of a target are called, and what a piece's file says of itself."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from onnxhybrid.errors import Error
from onnxhybrid.model.storage.replacing import sync

FAILED, STATE = "_failed", "_score"
MANIFEST, LOCK, SUMMARY = "plan.json", "lock", "_summary.json"
VERSION = 1
"""The form of a target; a later one gets another number."""

ENTRY = b"onnxhybrid.piece"
"""The entry of a piece's file that says what it came to."""

FAILED_COLUMNS = ("key", "file", "row", "code", "message")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Note:
    """What a piece's file says of itself.

    Attributes:
        plan: the identity of what it was scored by.
        generation: which file of the piece it is; its failed rows lie in the one of this number.
        rows, failed, sent, seconds, spend: as of a `Result`.
    """

    plan: str
    generation: int
    rows: int
    failed: int
    sent: int
    seconds: float
    spend: float


def part_of(target: str, piece: int) -> Path:
    """The file of a piece's results."""
    return Path(target) / f"part-{piece:06d}.parquet"


def failed_of(target: str, piece: int, generation: int) -> Path:
    """The file of a piece's rows that failed."""
    return Path(target) / FAILED / f"part-{piece:06d}-{generation}.parquet"


def note_of(path: Path) -> Note | None:
    """What a piece's file says of itself; None where it is no such file."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
        return Note(**json.loads(metadata[ENTRY]))
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def failed_schema(key: pa.DataType) -> pa.Schema:
    """The columns of the rows that failed."""
    types = (key, pa.string(), pa.int64(), pa.string(), pa.string())
    return pa.schema(list(zip(FAILED_COLUMNS, types, strict=True)))


def replaced(temporary: Path, path: Path) -> None:
    """Give a file that is whole its name, so that it lasts."""
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write a document whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
        replaced(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def writing(target: str, work: Callable[[], _T]) -> _T:
    """Do what writes to a target.

    Raises:
        Error: OH652, the system refused.
    """
    try:
        return work()
    except OSError as problem:
        refused(target, problem)


def refused(target: str, problem: OSError) -> NoReturn:
    """Raise what the system refused as an error: OH652."""
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    more = "; what is whole stays, and the same call goes on from it" if full else ""
    raise Error("OH652", f"the target {target} cannot be written: {problem.strerror or problem}{more}") from None

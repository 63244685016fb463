"""What is scored, as data that can be pickled: the model, the source's pieces, and how columns become inputs.

An engine is a function `(plan, tasks, settings, tell) -> iterator of Result`. It opens sessions with
`opening.open_session`, scores tasks with `piece.score_piece`, which writes a piece whole, and yields what that
returns, in any order. Whoever calls an engine holds the target's lock and gives the results to the target.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from onnxhybrid.errors import Error
from onnxhybrid.model import Model, TensorSpec, load


class Portable:
    """A model that can be sent to another process: a path by its name, a Model as bytes with its weights.

    Args:
        given: a Model, or the path of a file, which every worker has to reach.
    """

    def __init__(self, given: Model | str | os.PathLike[str]) -> None:
        self._given = given if isinstance(given, Model) else os.path.abspath(os.fspath(given))
        self._loaded: Model | None = given if isinstance(given, Model) else None

    @property
    def path(self) -> str | None:
        """The file; None where a Model was given."""
        return None if isinstance(self._given, Model) else self._given

    def model(self) -> Model:
        """The model; a file is loaded once."""
        if self._loaded is None:
            assert isinstance(self._given, str)
            self._loaded = load(self._given)
        return self._loaded

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is not None:
            return Portable, (self.path,)
        return _unpacked, (self.model().to_proto().SerializeToString(),)


def _unpacked(data: bytes) -> Portable:
    from onnx import ModelProto

    return Portable(Model.from_proto(ModelProto.FromString(data)))


@dataclass(frozen=True)
class SourceFile:
    """A file of the source as it was when it was looked at.

    Attributes:
        path: the file, or its URL.
        kind: "parquet", "csv", "jsonl" or "npz".
        name: what tells it apart from the others, whatever folder they are in.
        size: its bytes.
        stamp: what changes when it is written: its time, or what its store says of a version.
    """

    path: str
    kind: str
    name: str
    size: int
    stamp: str


@dataclass(frozen=True)
class Piece:
    """Rows of one file that are scored and written together.

    Attributes:
        number: its place among all, which its file is named after.
        file: the place of its file in `Plan.files`.
        start: where it begins: of Parquet a row group, of text a byte, else 0.
        stop: of text the byte behind its last line, else 0.
        skip: rows to pass over from there.
        rows: how many rows it has.
        first: the number of its first row in the file.
        before: rows of the files before its own.
    """

    number: int
    file: int
    start: int
    stop: int
    skip: int
    rows: int
    first: int
    before: int


@dataclass(frozen=True)
class Feed:
    """How a column becomes an input.

    Attributes:
        spec: the input.
        column: the column's name.
        sizes: the axes of one row's value; None for a size that rows may differ in.
        stacked: whether the values of rows are put together along a first axis.
        lists: how many of the axes are lists of the column; those behind have one element.
    """

    spec: TensorSpec
    column: str
    sizes: tuple[int | None, ...]
    stacked: bool
    lists: int


@dataclass(frozen=True)
class Output:
    """An output that is kept.

    Attributes:
        spec: the output.
        type: the Arrow type of its column.
        form: where a row's value is: "row", its place along the first axis; "call", the value of the whole call, which
            each of its rows is given; "whole", the output as it is, of a call of one row.
    """

    spec: TensorSpec
    type: pa.DataType
    form: str


@dataclass(frozen=True)
class Plan:
    """What is scored.

    Attributes:
        model: what runs.
        identity: hashes of what results depend on, by what it is of: "model", "source", "columns" and others.
        files, pieces: the source.
        schema: the columns that are read, with their types in the source.
        key: the key's column; None for the number of a row.
        keep: further columns that are kept.
        feeds: how columns become inputs.
        constants: inputs that are the same for all rows.
        outputs: what is kept.
        block: rows that are read, and written, together.
        batch: the rows of a call; 1 where a call has one row.
        verdict: a tensor of the model that says which rows are not sent; None where there is none.
        always_sent: whether every row is sent.
        calls: whether anything is sent at all.
    """

    model: Portable
    identity: Mapping[str, str]
    files: tuple[SourceFile, ...]
    pieces: tuple[Piece, ...]
    schema: pa.Schema
    key: str | None
    keep: tuple[str, ...]
    feeds: tuple[Feed, ...]
    constants: Mapping[str, npt.NDArray[Any]]
    outputs: tuple[Output, ...]
    block: int
    batch: int
    verdict: str | None = None
    always_sent: bool = False
    calls: bool = True

    @property
    def counts_rows(self) -> bool:
        """Whether the rows that are sent can be told; else calls are."""
        return self.verdict is not None or self.always_sent or not self.calls

    @property
    def digest(self) -> str:
        """A hash of what results depend on."""
        return hashlib.sha256(json.dumps(sorted(self.identity.items())).encode()).hexdigest()

    @property
    def rows(self) -> int:
        """The rows of the source."""
        return sum(piece.rows for piece in self.pieces)


@dataclass(frozen=True)
class Settings:
    """How it is scored, which no result depends on.

    Attributes:
        target: the folder.
        workers: slices of rows that are under way at once in a session.
        patience: seconds that a remote which is away is waited for.
        record: the folder that keeps what remotes answer; None for none.
        replay: a record of answers of unfinished pieces, which are not asked for again; None for none.
        session: further arguments of `oh.Session`. They may hold credentials: what crosses a process leaves them out.
    """

    target: str
    workers: int
    patience: float
    record: str | None = None
    replay: str | None = None
    session: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Task:
    """A piece to score.

    Attributes:
        piece: which.
        again: the places in the piece of the rows that are asked again; None for all of its rows.
        generation: the number of the file that is written, larger each time.
    """

    piece: Piece
    again: tuple[int, ...] | None = None
    generation: int = 1


@dataclass(frozen=True)
class Result:
    """What a piece came to, all of its generations together.

    Attributes:
        piece: its number.
        rows: its rows, failed ones included.
        failed: the rows without a result.
        sent: the rows that were sent; where the graph does not tell, the remote calls.
        seconds: how long the last generation took.
        spend: what its calls cost by the prices of the policy's budget.
    """

    piece: int
    rows: int
    failed: int
    sent: int
    seconds: float
    spend: float


@dataclass(frozen=True)
class Tick:
    """Rows that are done, before their piece is written."""

    rows: int
    failed: int
    sent: int
    spend: float


Tell = Callable[[Tick], None]
"""Is told of rows as they are done, from any thread."""

Engine = Callable[[Plan, Sequence[Task], Settings, Tell], Iterator[Result]]
"""Scores tasks and yields a result for each, in any order; what ends all of it is raised."""


class Stopped(Exception):
    """What ends the scoring of all rows, such as a budget that is used up; the error is its cause."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error))
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return Stopped, (self.error,)

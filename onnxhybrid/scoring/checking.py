"""Looks at a source before anything is sent: its columns, its values as far as types leave them open, and its keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from onnxhybrid.errors import Error
from onnxhybrid.scoring import keys
from onnxhybrid.scoring.columns import Place, values_of
from onnxhybrid.scoring.matching import is_certain
from onnxhybrid.scoring.plan import Feed, Piece, SourceFile
from onnxhybrid.scoring.sources.parquet import Parquet
from onnxhybrid.scoring.sources.reading import KINDS, read
from onnxhybrid.scoring.sources.table import Opened

_ROWS = 8192


@dataclass(frozen=True)
class Checked:
    """A source that was looked at.

    Attributes:
        pieces: its rows, cut.
        feeds: how columns become inputs, with the sizes that its rows have.
    """

    pieces: tuple[Piece, ...]
    feeds: tuple[Feed, ...]


@dataclass
class Checking:
    """A look at all files.

    Args:
        files: the source.
        schema: the columns that are read.
        feeds: how columns become inputs.
        key: the key's column.
        rows: the rows of a piece.
    """

    files: Sequence[SourceFile]
    schema: pa.Schema
    feeds: tuple[Feed, ...]
    key: str | None
    rows: int

    def checked(self) -> Checked:
        """Look at every file.

        Raises:
            Error: OH641, a file has other columns; OH642, a value does not fit; OH643, a file cannot be read; OH644,
                a key is null, or comes twice.
        """
        seen = keys.Keys()
        pieces: list[Piece] = []
        with closing(seen):
            before = 0
            for place, file in enumerate(self.files):
                with closing(KINDS[file.kind](file)) as table:
                    self._require_columns(table, file)
                    found = self._file(table, file, seen)
                pieces += [
                    Piece(len(pieces) + number, place, span.start, span.stop, span.skip, span.rows, span.first, before)
                    for number, span in enumerate(found)
                ]
                before += sum(span.rows for span in found)
            if self.key is not None and (twice := seen.twice()):
                self._require_once(twice, pieces)
        return Checked(tuple(pieces) or (Piece(0, 0, 0, 0, 0, 0, 0, 0),), self.feeds)

    def _require_columns(self, table: Opened, file: SourceFile) -> None:
        if file.kind in ("csv", "jsonl"):
            return
        there = table.schema()
        for field in self.schema:
            if there.names.count(field.name) > 1:
                raise Error("OH641", f"{file.name}: two columns are called {field.name!r}")
            if field.name not in there.names:
                raise Error(
                    "OH641", f"{file.name} has no column {field.name!r}, and {self.files[0].name} has: the files of a "
                    "source have the same columns"
                )  # fmt: skip
            if (kind := there.field(field.name).type) != field.type:
                raise Error(
                    "OH641", f"{file.name}, column {field.name!r}: it is of {kind}, and in {self.files[0].name} of "
                    f"{field.type}"
                )  # fmt: skip

    def _file(self, table: Opened, file: SourceFile, seen: keys.Keys) -> list[Any]:
        """The spans of a file, whose values were looked at."""
        spans = list(table.spans(self.rows))
        names = [name for name in self.schema.names if name == self.key or self._is_open(name, table)]
        if not names:
            return spans
        wanted = pa.schema([self.schema.field(name) for name in names])
        for span in spans:
            row = span.first
            for batch in read(table, span, wanted, _ROWS, file):
                self._batch(batch, Place(file.name, row), seen)
                row += batch.num_rows
            if row - span.first != span.rows:
                raise Error(
                    "OH643", f"{file.name}: {row - span.first} rows were read where {span.rows} lines were counted, "
                    f"from row {span.first} on"
                )  # fmt: skip
        return spans

    def _is_open(self, name: str, table: Opened) -> bool:
        """Whether the values of a column have to be looked at: its type, and what the file says of nulls, may do."""
        if not isinstance(table, Parquet):
            return True
        mine = [feed for feed in self.feeds if feed.column == name]
        certain = all(is_certain(self.schema.field(name).type, feed) for feed in mine)
        return bool(mine) and not (certain and table.without_nulls(name))

    def _batch(self, batch: pa.RecordBatch, place: Place, seen: keys.Keys) -> None:
        if self.key is not None:
            column = batch.column(self.key)
            if column.null_count:
                raise place.error("OH644", self.key, pc.index(column.is_null(), True).as_py(), "the key is null")
            seen.add(column)
        for feed in self.feeds:
            if feed.column in batch.schema.names:
                values = values_of(batch.column(feed.column), feed, place)
                if feed.stacked and not isinstance(values, list) and None in feed.sizes:
                    self._fix(feed, values.shape[1:])

    def _fix(self, feed: Feed, sizes: tuple[int, ...]) -> None:
        """Hold all rows to the sizes of the first."""
        self.feeds = tuple(replace(each, sizes=sizes) if each is feed else each for each in self.feeds)

    def _require_once(self, hashes: set[int], pieces: Sequence[Piece]) -> None:
        """Check that keys whose hashes are equal are not: the source is read once more."""
        found = keys.first_twice(self._keys(pieces), hashes)
        if found is None:
            return
        key, file, row, other, again = found
        shown = keys.shown(key, self.schema.field(self.key).type)
        raise Error(
            "OH644", f"{other}, column {self.key!r}, row {again}: the key {shown} comes twice; row {row} of {file} has "
            "it, too. By the key each row is scored once: take a column that tells rows apart, or none"
        )  # fmt: skip

    def _keys(self, pieces: Sequence[Piece]) -> Iterator[tuple[Any, str, int]]:
        assert self.key is not None
        wanted = pa.schema([self.schema.field(self.key)])
        for place, file in enumerate(self.files):
            with closing(KINDS[file.kind](file)) as table:
                for piece in pieces:
                    if piece.file == place:
                        yield from _numbered(table, piece, wanted, file)


def _numbered(table: Opened, piece: Piece, wanted: pa.Schema, file: SourceFile) -> Iterator[tuple[Any, str, int]]:
    row = piece.first
    for batch in read(table, piece, wanted, _ROWS, file):
        for value in keys.values_of(batch.column(0)):
            yield value, file.name, row
            row += 1

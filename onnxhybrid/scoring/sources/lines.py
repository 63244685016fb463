"""Files of text that have a row a line: where the lines of a span begin and end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import Piece, SourceFile
from onnxhybrid.scoring.sources.table import Span

_MOST_BYTES = 32 << 20
"""Bytes of a span, whose text is in memory."""


def spans(stream: BinaryIO, file: SourceFile, start: int, rows: int, *, quotes: bool) -> Iterator[Span]:
    """The lines of a file from a byte on, cut into spans of so many rows; empty lines are none.

    Args:
        stream: the file.
        file: what it is.
        start: where its first row begins.
        rows: the rows of a span.
        quotes: whether a line may go on within quotes, as in CSV.

    Raises:
        Error: OH643, it ends within quotes.
    """
    stream.seek(start)
    begun = at = start
    first = held = 0
    open_quote = False
    for line in stream:
        at += len(line)
        if quotes and line.count(b'"') % 2:
            open_quote = not open_quote
        if open_quote:
            continue
        held += bool(line.strip(b"\r\n"))
        if held == rows or (held and at - begun >= _MOST_BYTES):
            yield Span(begun, at, 0, held, first)
            begun, first, held = at, first + held, 0
    if open_quote:
        raise Error("OH643", f"{file.name}, row {first + held}: a quote is opened and never closed")
    if held:
        yield Span(begun, at, 0, held, first)


def text_of(stream: BinaryIO, piece: Piece | Span, file: SourceFile) -> bytes:
    """The lines of a span.

    Raises:
        Error: OH648, the file ends before it.
    """
    stream.seek(piece.start)
    text = stream.read(piece.stop - piece.start)
    if len(text) != piece.stop - piece.start:
        raise Error("OH648", f"{file.name} was changed while it was scored: it is shorter than it was")
    return text

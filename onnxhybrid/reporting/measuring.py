"""How wide a text is, and how it is put on lines: an estimate, since the reader's font is not known here."""

from __future__ import annotations

import re
import unicodedata

_NARROW, _SLIM, _WIDE = frozenset("ijlI|!.,:;'`"), frozenset('ftr()[]{}/\\-" '), frozenset("mwMWQ@%—…≥≤→")


def width(text: str, size: float) -> float:
    """The width of a line in a sans-serif font of this size, one of the wide ones."""
    return sum(map(_advance, text)) * size


def _advance(letter: str) -> float:
    if letter in _NARROW:
        return 0.34
    if letter in _SLIM:
        return 0.41
    if letter in _WIDE or (letter > "\u2000" and unicodedata.east_asian_width(letter) in "WF"):
        return 1.0
    return 0.72 if letter.isupper() else 0.63


def wrapped(text: str, size: float, room: float, most: int) -> list[str]:
    """A text on at most so many lines, broken between words or after a seam; the rest is an ellipsis."""
    lines = [""]
    for piece in _pieces(text, size, room):
        if width(lines[-1] + piece.rstrip(), size) <= room:
            lines[-1] += piece
        else:
            lines.append(piece)
    lines = [line.strip() for line in lines if line.strip()]
    return lines if len(lines) <= most else [*lines[: most - 1], _cut(lines[most - 1], size, room)]


def _pieces(text: str, size: float, room: float) -> list[str]:
    """What is kept together: words and parts of names, cut only where one is longer than a line."""
    pieces = []
    for word in re.findall(r"[^\s/._:\-?&=,]*(?:[\s/._:\-?&=,]+|$)", text):
        rest = word
        while width(rest.rstrip(), size) > room:
            fits = next(n for n in range(len(rest), 0, -1) if n == 1 or width(rest[:n], size) <= room)
            pieces.append(rest[:fits])
            rest = rest[fits:]
        pieces.append(rest)
    return [piece for piece in pieces if piece]


def _cut(line: str, size: float, room: float) -> str:
    while line and width(f"{line}…", size) > room:
        line = line[:-1]
    return f"{line.rstrip()}…"

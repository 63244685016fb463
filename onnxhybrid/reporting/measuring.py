"""How wide a text is, and how it is put on lines: an estimate, since the reader's font is not known here."""

from __future__ import annotations

import re

_ADVANCES = (
    (0.30, "'ijlIJ"),
    (0.37, " ,.·/:;\\|f-"),
    (0.47, '()[]t!r"'),
    (0.64, "*_`sz?cLFkvxyPTYaoeESbdghnpqu$0123456789{}"),
    (0.80, "KAVBRXZCUHNDG&OQ"),
    (0.88, "w#+<=>^~≥≤→×M"),
)
"""Widths of letters as shares of the font's size: those of DejaVu Sans, one of the widest that pages are shown in."""

_WIDTHS = {letter: share for share, letters in _ADVANCES for letter in letters}
_BOLD = 1.13


def width(text: str, size: float) -> float:
    """The width of a line in a sans-serif font of this size."""
    return sum(_WIDTHS.get(letter, 0.72 if letter.isalpha() and letter < "\u1100" else 1.05) for letter in text) * size


def bold(size: float) -> float:
    """The size that is as wide as this one in bold."""
    return size * _BOLD


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

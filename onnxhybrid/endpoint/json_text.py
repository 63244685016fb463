"""JSON text of much data, written piece by piece: as Python's values all of it would take many times its size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import islice
from math import prod
from typing import Any

from onnxhybrid.endpoint.memory import Hold, unbounded
from onnxhybrid.endpoint.tensors import Array

_PIECE = 1 << 12
_LONG = 1 << 16
_LIST = 64


def json_bytes(value: object) -> bytes:
    """A JSON value as bytes; ASCII only, so that every str has a form."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def json_members(members: dict[str, Any], more: Iterable[tuple[str, Iterable[bytes]]]) -> list[bytes]:
    """A JSON object in pieces: `members`, and more whose values are pieces of JSON text already."""
    pieces = [json_bytes(members)[:-1]]
    for name, value in more:
        pieces += [b"," if pieces != [b"{"] else b"", json_bytes(name), b":", *value]
    return [*pieces, b"}"]


def json_list(values: Iterable[Any], hold: Hold = unbounded, piece: int = _PIECE) -> bytes:
    """A JSON list of values that are made as they are written, `piece` of them at a time.

    Raises:
        RequestError: as `hold` says.
    """
    remaining = iter(values)
    return _joined(map(_values, iter(lambda: list(islice(remaining, piece)), [])), hold)


def json_elements(array: Array, listed: Callable[[Array], list[Any]], hold: Hold = unbounded) -> bytes:
    """A JSON list of the elements of an array in row-major order; `listed` gives those of a piece.

    Raises:
        RequestError: as `hold` or `listed` says.
    """
    flat = array.ravel()
    pieces = (flat[start : start + _PIECE] for start in range(0, flat.size, _PIECE))
    return _joined((_values(listed(piece)) for piece in pieces), hold)


def json_nested(array: Array, listed: Callable[[Array], Any], hold: Hold = unbounded) -> bytes:
    """An array as nested JSON lists; `listed` gives those of a piece.

    Raises:
        RequestError: as `hold` or `listed` says.
    """
    if array.ndim == 1:
        return json_elements(array, listed, hold)
    if array.size <= _PIECE:
        hold(_LIST * prod(array.shape[:-1]))  # of no elements there may be many lists
        return json_bytes(listed(array))
    rows = _PIECE // (array.size // len(array))
    if rows:
        slabs = (array[start : start + rows] for start in range(0, len(array), rows))
        return _joined((_values(listed(slab)) for slab in slabs), hold)
    return _joined(([json_nested(row, listed)] for row in array), hold)


def _joined(pieces: Iterable[Iterable[bytes]], hold: Hold) -> bytes:
    """A JSON list of pieces that have one value or more each."""
    out = BytesIO()
    out.write(b"[")
    for number, piece in enumerate(pieces):
        out.write(b"," if number else b"")
        for text in piece:
            hold(2 * len(text))  # here, and in the answer
            out.write(text)
    out.write(b"]")
    return out.getvalue()


def _values(values: list[Any]) -> Iterator[bytes]:
    """The JSON of values with commas between them, of long strings in pieces: as escapes they may be much longer."""
    if sum(len(value) for value in values if type(value) is str) <= _LONG:
        yield json_bytes(values)[1:-1]
        return
    for number, value in enumerate(values):
        yield b"," if number else b""
        yield from _string(value) if type(value) is str else [json_bytes(value)]


def _string(text: str) -> Iterator[bytes]:
    yield b'"'
    for start in range(0, len(text), _LONG):
        yield json_bytes(text[start : start + _LONG])[1:-1]
    yield b'"'

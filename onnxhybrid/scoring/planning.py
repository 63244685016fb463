"""Makes the plan: the model's inputs and outputs, the source's columns and pieces, and what identifies both."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.fingerprint import fingerprints
from onnxhybrid.scoring import keys, matching
from onnxhybrid.scoring.checking import Checking
from onnxhybrid.scoring.deciding import Deciding, deciding, secret_inputs
from onnxhybrid.scoring.layout import VERSION
from onnxhybrid.scoring.outputs import ROW, output_of
from onnxhybrid.scoring.plan import Feed, Output, Piece, Plan, Portable, SourceFile
from onnxhybrid.scoring.sources import types
from onnxhybrid.scoring.sources.finding import find
from onnxhybrid.suggesting import near

_PIECE, _PIECE_OF_CALLS = 1 << 15, 1 << 10
"""Rows of a piece, where calls have many rows and where they have one."""

_BLOCK, _BLOCK_OF_CALLS = 4096, 64
_BLOCK_BYTES = 16 << 20
"""Rows, and bytes, that are read and written together."""

_BYTES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "float16": 2,
    "int16": 2,
    "uint16": 2,
    "float64": 8,
    "int64": 8,
    "uint64": 8,
}
"""The bytes of an element, where it has not four."""


@dataclass(frozen=True)
class Wish:
    """What a caller asks for: the arguments of `score` that results depend on."""

    source: object
    key: str | None
    columns: Mapping[str, str]
    keep: tuple[str, ...]
    outputs: tuple[str, ...] | None
    feeds: Mapping[str, Any]
    batch: int


@dataclass(frozen=True)
class Outline:
    """What is known before any row was read.

    Attributes:
        portable: the model.
        wish: what is asked for.
        files: the source.
        there: its columns.
        constants: inputs that are the same for all rows.
        mapped: input -> column.
        identity: hashes of all that results depend on.
    """

    portable: Portable
    wish: Wish
    files: tuple[SourceFile, ...]
    there: pa.Schema
    constants: Mapping[str, npt.NDArray[Any]]
    mapped: Mapping[str, str]
    identity: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        key = [] if self.wish.key is None else [self.wish.key]
        return list(dict.fromkeys([*key, *self.wish.keep, *self.mapped.values()]))


def outlined(given: Any, wish: Wish) -> Outline:
    """What is known before any row was read.

    Raises:
        Error: OH640, there is no source; OH641, its columns do not fit; OH642, a constant does not.
        ModelError: the model cannot be loaded.
    """
    portable = Portable(given)
    model = portable.model()
    files = find(wish.source)
    there = types.columns_of(files)
    constants = matching.constants_of(model.inputs, wish.feeds)
    mapped = matching.columns_of(model.inputs, wish.columns, constants, there, files[0].name)
    for name in (*([] if wish.key is None else [wish.key]), *wish.keep):
        if name not in there.names:
            raise Error("OH641", f"{files[0].name} has no column {name!r}{near(name, there.names)}")
    identity = _identity(model, wish, files, mapped, constants)
    return Outline(portable, wish, files, there, constants, mapped, identity)


def planned(outline: Outline, known: Mapping[str, Any] | None) -> Plan:
    """The plan of a scoring.

    Args:
        outline: what is known of it.
        known: what a target says of the plan that it was begun with, whose identity is the same: what it found out of
            the source is not looked for again.

    Raises:
        Error: OH641 to OH644, the source does not fit; OH649, an output cannot be kept; OH651, names clash.
    """
    model, wish, files = outline.portable.model(), outline.wish, outline.files
    schema = _schema(outline) if known is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(known["schema"])))
    specs = {spec.name: spec for spec in model.inputs}
    feeds = tuple(
        matching.feed_of(specs[name], column, schema.field(column).type, files[0].name)
        for name, column in outline.mapped.items()
    )
    decided = deciding(model, outline.mapped)
    by_row, batch = _calls(feeds, decided, wish.batch)
    outputs = _outputs(model, wish, by_row, batch)
    _require_key(wish.key, schema, files[0])
    if known is None:
        rows = max(batch, _PIECE - _PIECE % batch) if batch > 1 else _PIECE_OF_CALLS
        found = Checking(files, schema, feeds, wish.key, rows).checked()
        pieces, feeds = found.pieces, found.feeds
    else:
        pieces = tuple(Piece(*each) for each in known["pieces"])
        feeds = tuple(replace(feed, sizes=tuple(sizes)) for feed, sizes in zip(feeds, known["sizes"], strict=True))
    return Plan(
        model=outline.portable,
        identity=outline.identity,
        files=files,
        pieces=pieces,
        schema=schema,
        key=wish.key,
        keep=wish.keep,
        feeds=feeds,
        constants=outline.constants,
        outputs=outputs,
        block=_block(files, feeds, sum(piece.rows for piece in pieces), batch),
        batch=batch,
        verdict=decided.verdict,
        always_sent=decided.always,
        calls=decided.calls,
    )


def told(plan: Plan) -> dict[str, Any]:
    """What a target keeps of a plan, as JSON."""
    return {
        "version": VERSION,
        "identity": dict(plan.identity),
        "schema": base64.b64encode(plan.schema.serialize().to_pybytes()).decode(),
        "pieces": [list(astuple(piece)) for piece in plan.pieces],
        "sizes": [list(feed.sizes) for feed in plan.feeds],
    }


def _schema(outline: Outline) -> pa.Schema:
    specs = {spec.name: spec for spec in outline.portable.model().inputs}
    fed = {column: specs[name] for name, column in outline.mapped.items()}
    return types.typed(outline.files, outline.there, outline.names, fed)


def _calls(feeds: Sequence[Feed], decided: Deciding, batch: int) -> tuple[bool, int]:
    """Whether what is fed leaves open how many rows a call has, and the rows of a call."""
    by_row = all(feed.stacked and (not feed.spec.shape or not isinstance(feed.spec.shape[0], int)) for feed in feeds)
    return by_row, batch if by_row and not decided.whole else 1


def _outputs(model: Model, wish: Wish, by_row: bool, batch: int) -> tuple[Output, ...]:
    known = {spec.name: spec for spec in model.outputs}
    for name in wish.outputs or ():
        if name not in known:
            raise Error("OH649", f"the model has no output {name!r}{near(name, known)}; it has {', '.join(known)}")
    names = list(known) if wish.outputs is None else list(wish.outputs)
    others = [wish.key if wish.key is not None else ROW, *wish.keep]
    if clash := next((name for name in (*names, *wish.keep) if [*others, *names].count(name) > 1), None):
        raise Error(
            "OH651", f"two columns of the target would be called {clash!r}: an output, and the key or a column that is "
            f"kept; rename the output, as in model.rename({{{clash!r}: 'answer'}}), or leave one out"
        )  # fmt: skip
    return tuple(output_of(known[name], by_row=by_row, batch=batch) for name in names)


def _require_key(key: str | None, schema: pa.Schema, file: SourceFile) -> None:
    if key is not None and not keys.is_key(kind := schema.field(key).type):
        raise Error(
            "OH644",
            f"{file.name}, column {key!r}: a key is a whole number, a text, bytes, a date or a time, not {kind}",
        )


def _block(files: Sequence[SourceFile], feeds: Sequence[Feed], rows: int, batch: int) -> int:
    """The rows that are read together: whole slices, and no more than fit."""
    fed = sum(math.prod(size or 1 for size in feed.sizes) * _BYTES.get(feed.spec.dtype, 4) for feed in feeds)
    each = max(1, fed, sum(file.size for file in files) // max(rows, 1))
    most = min(_BLOCK if batch > 1 else _BLOCK_OF_CALLS, max(1, _BLOCK_BYTES // each))
    return batch * max(1, most // batch)


def _identity(
    model: Model,
    wish: Wish,
    files: Sequence[SourceFile],
    mapped: Mapping[str, str],
    constants: Mapping[str, npt.NDArray[Any]],
) -> dict[str, str]:
    """Hashes of what results depend on; a token is no part of it, nor are credentials."""
    tensors = fingerprints(model.skeleton, model.weights, {})[0]
    secret = secret_inputs(model)
    fed = {name: _hash([array.dtype.str, array.shape, array.tolist()]) for name, array in constants.items()}
    return {
        "model": _hash(
            [
                [spec.name for spec in model.inputs],
                [[spec.name, tensors.get(spec.name, b"").hex()] for spec in model.outputs],
            ]
        ),
        "source": _hash([[file.name, file.kind, file.size, file.stamp] for file in files]),
        "columns": _hash([sorted(mapped.items()), wish.key, wish.keep, wish.outputs]),
        "feeds": _hash(sorted((name, mark) for name, mark in fed.items() if name not in secret)),
        "batch": str(wish.batch),
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()

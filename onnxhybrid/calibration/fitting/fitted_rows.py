"""Which rows a judge was fitted on, told by a few hashes, so that a proof on these very rows can be recognised."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.compose.judge.learned import ENTRY
from onnxhybrid.model import Model
from onnxhybrid.model.json_object import json_object

Array = npt.NDArray[Any]

KEPT = 256
"""How many hashes are kept: the smallest ones, which do not depend on the order of the rows."""

PLAIN = "max_probability"
"""The score that needs no fit."""

_SIZE = 8


def row_hashes(columns: Sequence[Any]) -> list[str]:
    """A hash of each row of what a model is fed, by dtype and content: [n] of 16 hexadecimal digits.

    Names and the order of the columns do not count, since inputs may have other names in what is composed.
    """
    found = []
    for row in zip(*columns, strict=True):
        parts = sorted(hashlib.blake2b(_content(part), digest_size=_SIZE).digest() for part in row)
        found.append(hashlib.blake2b(b"".join(parts), digest_size=_SIZE).hexdigest())
    return found


def _content(row: Any) -> bytes:
    array = np.asarray(row)
    if array.dtype.kind not in "OUS":
        return f"{array.dtype}\0".encode() + array.tobytes()
    texts = [each if isinstance(each, bytes) else str(each).encode("utf-8", "surrogatepass") for each in array.flat]
    return b"str\0" + b"".join(len(text).to_bytes(8, "little") + text for text in texts)


def known_by(fed: dict[str, Array]) -> dict[str, Any]:
    """What a file says of the rows of a fit, by which they are known again."""
    hashes = row_hashes(list(fed.values()))
    repeated = sum(count for count in Counter(hashes).values() if count > 1) / max(len(hashes), 1)
    return {"inputs": sorted(fed), "fitted_on": sorted(set(hashes))[:KEPT], "repeated": repeated}


@dataclass(frozen=True)
class FittedRows:
    """The rows that a learned judge was fitted on.

    Attributes:
        inputs: the inputs of the local model that they are known by, as these were called there.
        hashes: the smallest of their hashes.
        repeated: the share of them that are there more than once. A row to come, drawn as they were, is one of them by
            chance about as often (Good and Turing).
    """

    inputs: tuple[str, ...]
    hashes: frozenset[str]
    repeated: float

    def comparable(self, found: str) -> bool:
        """Whether a row of this hash would be among the kept hashes if it had been in the fit."""
        return found <= self._border

    @cached_property
    def _border(self) -> str:
        return max(self.hashes) if len(self.hashes) >= KEPT else "g"  # above all hexadecimal digits


def fitted_rows(model: Model) -> Iterator[FittedRows]:
    """Those of each judge in a model that has learned from rows."""
    for key, text in model.metadata.items():
        if key == ENTRY or key.endswith(f"/{ENTRY}"):
            entry = json_object(text)
            if entry is not None and entry.get("kind") != PLAIN:
                inputs, hashes = _texts(entry.get("inputs")), _texts(entry.get("fitted_on"))
                repeated = entry.get("repeated")
                if inputs and hashes:
                    share = repeated if isinstance(repeated, float) and 0 <= repeated <= 1 else 0.0
                    yield FittedRows(tuple(inputs), frozenset(hashes), share)


def _texts(listed: object) -> list[str]:
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []

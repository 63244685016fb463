"""Which rows a judge was fitted on, told by a few hashes, so that a proof on these very rows can be recognised."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.compose.judge.learned import ENTRY
from onnxhybrid.model import Model

Array = npt.NDArray[Any]

KEPT = 64
"""How many hashes are kept: the smallest ones, which do not depend on the order of the rows."""

_SIZE = 8


def row_hashes(tensors: Mapping[str, Array]) -> list[str]:
    """A hash of each row of what a model is fed, by name, dtype and content: [n] of 16 hexadecimal digits."""
    columns = [(name, np.asarray(tensors[name])) for name in sorted(tensors)]
    count = len(columns[0][1]) if columns else 0
    found = []
    for place in range(count):
        digest = hashlib.blake2b(digest_size=_SIZE)
        for name, column in columns:
            digest.update(f"{name}\0".encode())
            digest.update(_content(column[place]))
        found.append(digest.hexdigest())
    return found


def _content(row: Any) -> bytes:
    array = np.asarray(row)
    if array.dtype.kind not in "OUS":
        return f"{array.dtype}\0".encode() + array.tobytes()
    texts = [each if isinstance(each, bytes) else str(each).encode("utf-8", "surrogatepass") for each in array.flat]
    return b"str\0" + b"".join(len(text).to_bytes(8, "little") + text for text in texts)


def sketch(hashes: list[str]) -> list[str]:
    """The smallest of the hashes."""
    return sorted(set(hashes))[:KEPT]


def fitted_share(model: Model, tensors: Mapping[str, Array]) -> float:
    """About which share of the rows that the model's learned judges were fitted on is among these rows.

    What certifies a judge has to be other rows: on those that it was fitted on it looks better than it is.

    Args:
        model: a judge, or what was composed with one.
        tensors: what the model is fed, by name, with rows along the first axis; inputs that the fit did not know are
            left alone.

    Returns:
        0 where the model holds no learned judge, or its inputs have other names now.
    """
    shares = [0.0]
    for names, known in _sketches(model):
        if known and all(name in tensors for name in names):
            hashes = set(row_hashes({name: tensors[name] for name in names}))
            shares.append(len(known & hashes) / len(known))
    return max(shares)


def _sketches(model: Model) -> Iterator[tuple[list[str], set[str]]]:
    """Of each learned judge the inputs that its rows are known by, and their hashes."""
    for key, text in model.metadata.items():
        if key == ENTRY or key.endswith(f"/{ENTRY}"):
            with contextlib.suppress(ValueError, RecursionError):
                entry = json.loads(text)
                if isinstance(entry, dict):
                    yield _texts(entry.get("inputs")), set(_texts(entry.get("fitted_on")))


def _texts(listed: object) -> list[str]:
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []

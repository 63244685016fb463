"""Which rows a judge was fitted on, told by a few hashes, so that a proof on these very rows can be recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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
        tensors: what the local model is fed, by name, with rows along the first axis.

    Returns:
        0 where the model holds no learned judge.
    """
    known = [set(each) for each in _sketches(model)]
    if not any(known):
        return 0.0
    hashes = set(row_hashes(tensors))
    return max(len(each & hashes) / len(each) for each in known if each)


def _sketches(model: Model) -> list[list[str]]:
    found = []
    for key, text in model.metadata.items():
        if key == ENTRY or key.endswith(f"/{ENTRY}"):
            try:
                entry = json.loads(text)
            except ValueError:
                continue
            hashes = entry.get("fitted_on") if isinstance(entry, dict) else None
            found.append([each for each in hashes if isinstance(each, str)] if isinstance(hashes, list) else [])
    return found

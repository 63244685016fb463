"""Who in this process still reads a file: the tables of weights that are alive."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import Any, Protocol

from onnxhybrid.model.storage.companions import Companion
from onnxhybrid.model.storage.encoded import Encoded
from onnxhybrid.model.storage.sources import InFile, Source, Weights


class Holder(Protocol):
    """Whatever has a table of weights."""

    @property
    def weights(self) -> Weights:
        """The table."""


_ALIVE: weakref.WeakSet[Any] = weakref.WeakSet()
_LOCK = threading.RLock()  # a holder may go away, and be asked about, in the middle of anything


def hold(holder: Holder) -> None:
    """Note that the files of a table are read for as long as its holder lives."""
    if holder.weights:
        with _LOCK:
            _ALIVE.add(holder)


def holders(file: Path) -> list[Holder]:
    """Those who read a file."""
    with _LOCK:
        alive = list(_ALIVE)
    real = os.path.realpath(file)
    return [holder for holder in alive if any(os.path.realpath(path) == real for path in _paths(holder.weights))]


def _paths(weights: Weights) -> set[str]:
    return {path for source in weights.values() if (path := _path(source)) is not None}


def _path(source: Source) -> str | None:
    if isinstance(source, Companion):
        source = source.file
    elif isinstance(source, Encoded):
        source = source.span
    return source.path if isinstance(source, InFile) else None

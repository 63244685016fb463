"""The runs of a served model: how long they took, how many are under way and how many failed."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import final

from onnxhybrid.endpoint.exposition import Counter, Histogram


@final
class Runs:
    """Around each run of one model, on the thread that runs it."""

    def __init__(self) -> None:
        self.seconds, self.failures = Histogram(), Counter()
        self._started: dict[int, float] = {}

    @property
    def in_progress(self) -> int:
        """How many are under way."""
        return len(self._started)

    def __enter__(self) -> None:
        self._started[threading.get_ident()] = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds.took(time.perf_counter() - self._started.pop(threading.get_ident()))
        if kind is not None:
            self.failures.add(1)

"""How far a scoring is: told to a function, or on the error stream."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from onnxhybrid.scoring.plan import Tick

_TERMINAL, _FILE = 0.2, 15.0
"""Seconds between two reports."""


@dataclass(frozen=True)
class Progress:
    """How far a scoring is.

    Attributes:
        rows: rows that are done in this run.
        total: rows that it has to do.
        failed, sent: of `rows`; `sent` as of a `Summary`.
        spend: what this run's calls cost.
        seconds: since it began.
    """

    rows: int
    total: int
    failed: int
    sent: int
    spend: float
    seconds: float

    @property
    def per_second(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that are left at this pace; None before the first row."""
        return (self.total - self.rows) / self.per_second if self.rows else None

    def __str__(self) -> str:
        share = f", {self.sent / self.rows:.0%} sent" if self.rows and self.sent <= self.rows else ""
        failed = f", {self.failed} failed" if self.failed else ""
        spent = f", spent {self.spend:.4g}" if self.spend else ""
        left = f", about {_time(self.left)} left" if self.left is not None else ""
        return f"{self.rows} of {self.total} rows, {self.per_second:.0f}/s{share}{failed}{spent}{left}"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@final
class Telling:
    """Adds up what engines tell, and tells it on.

    Args:
        total: the rows that are to be done.
        shown: a function that is called with a `Progress`; True for lines on stderr; False for nobody.
    """

    def __init__(self, total: int, shown: Callable[[Progress], object] | bool) -> None:
        self._shown, self._lock, self._began = shown, threading.Lock(), time.monotonic()
        self._state = Progress(0, total, 0, 0, 0.0, 0.0)
        self._terminal = shown is True and sys.stderr is not None and sys.stderr.isatty()
        self._pause = _TERMINAL if self._terminal or callable(shown) else _FILE
        self._next = self._began + self._pause

    def tell(self, tick: Tick) -> None:
        """Take in what was done; any thread may do so."""
        with self._lock:
            old, now = self._state, time.monotonic()
            self._state = Progress(
                old.rows + tick.rows,
                old.total,
                old.failed + tick.failed,
                old.sent + tick.sent,
                old.spend + tick.spend,
                now - self._began,
            )
            due, self._next = now >= self._next, max(self._next, now + self._pause if now >= self._next else 0.0)
            if due:
                self._show(self._state)

    def end(self) -> None:
        """Tell how far it came at last."""
        with self._lock:
            self._show(self._state, last=True)

    def _show(self, state: Progress, *, last: bool = False) -> None:
        if callable(self._shown):
            self._shown(state)
        elif self._shown and sys.stderr is not None:
            start = "\r\x1b[K" if self._terminal else ""
            print(
                f"{start}scoring: {state}", end="" if self._terminal and not last else "\n", file=sys.stderr, flush=True
            )

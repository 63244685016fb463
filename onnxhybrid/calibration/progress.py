"""How far a calibration is, and what is left, on the error stream."""

from __future__ import annotations

import sys
import time
from typing import final

_TERMINAL, _FILE = 0.2, 15.0
"""Seconds between two reports."""


@final
class Progress:
    """Tells of rows as they are done.

    Args:
        shown: whether to tell at all.
        total: how many rows there are; None where only reading them tells.
    """

    def __init__(self, *, shown: bool, total: int | None) -> None:
        self._stream = sys.stderr if shown else None
        self._total, self._began = total, time.monotonic()
        self._terminal = bool(self._stream and self._stream.isatty())
        self._next = self._began + (_TERMINAL if self._terminal else _FILE)

    def tell(self, done: int, failed: int) -> None:
        """Report, if it is time to."""
        now = time.monotonic()
        if self._stream is None or now < self._next:
            return
        self._next = now + (_TERMINAL if self._terminal else _FILE)
        self._write(self._text(done, failed, now - self._began), end="" if self._terminal else "\n")

    def end(self, done: int, failed: int) -> None:
        """Report that all is done."""
        if self._stream is None:
            return
        seconds = time.monotonic() - self._began
        self._write(f"calibrated on {done - failed} rows in {_time(seconds)}{_failed(failed)}", end="\n")

    def _text(self, done: int, failed: int, seconds: float) -> str:
        if self._total is None:
            return f"calibrating: {done} rows{_failed(failed)}, {_time(seconds)} so far"
        left = (self._total - done) * seconds / max(done, 1)
        return f"calibrating: {done} of {self._total} rows{_failed(failed)}, about {_time(left)} left"

    def _write(self, text: str, end: str) -> None:
        assert self._stream is not None
        start = "\r\x1b[K" if self._terminal else ""
        print(f"{start}{text}", end=end, file=self._stream, flush=True)


def _failed(failed: int) -> str:
    return f", {failed} failed" if failed else ""


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

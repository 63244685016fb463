"""Waits for a remote that is away, so that not every row fails while a server restarts."""

from __future__ import annotations

import threading
import time
from typing import final

from onnxhybrid.errors import Error, RemoteError

_AWAY = frozenset({"OH501", "OH502", "OH508", "OH523"})
"""No connection, no answer in time, an answer that ended early, and a breaker that is open."""

_AWAY_STATUS = frozenset({408, 425, 429, 502, 503, 504})
_AWAY_GRPC = frozenset({4, 8, 14})
"""Deadline exceeded, resource exhausted, unavailable."""

_FATAL = ("OH51", "OH52", "OH53", "OH541", "OH542", "OH547", "OH55", "OH57", "OH58", "OH67")
"""Credentials, budgets and policies, records, threads: what no other row would get past."""

_FATAL_STATUS = frozenset({401, 403, 404, 405, 407})
_FIRST, _LONGEST = 0.25, 8.0


def is_away(problem: Error) -> bool:
    """Whether another try later may bring an answer."""
    if problem.code in _AWAY:
        return True
    return isinstance(problem, RemoteError) and problem.code == "OH503" and problem.status in _AWAY_STATUS | _AWAY_GRPC


def is_fatal(problem: Error) -> bool:
    """Whether no row would get past it, such as a budget that is used up; a request that is too large is one row's."""
    if isinstance(problem, RemoteError) and problem.code == "OH503":
        return problem.status in _FATAL_STATUS
    return problem.code.startswith(_FATAL) and problem.code not in ("OH523", "OH524", "OH515", "OH516", "OH532")


@final
class Patience:
    """How long a remote that is away is waited for, together for all calls of a session.

    Where nothing was answered for so long, it counts as gone: further calls are made once, and what fails is not
    waited for, until one succeeds.

    Args:
        seconds: how long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._since: float | None = None
        self._answered = 0
        self._stopped = threading.Event()

    @property
    def answered(self) -> int:
        """How many calls were answered so far."""
        return self._answered

    def note_answer(self) -> None:
        """A call was answered: the remote is there."""
        with self._lock:
            self._since, self._answered = None, self._answered + 1

    def wait(self, tries: int) -> bool:
        """Wait before another try of a call; whether there is to be one.

        Args:
            tries: how often this call was made.
        """
        now = time.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            left = self._since + self._seconds - now
        if left <= 0 or self._stopped.is_set():
            return False
        return not self._stopped.wait(min(_FIRST * 2 ** min(tries - 1, 10), _LONGEST, left + 0.01))

    def stop(self) -> None:
        """Let nobody wait any more."""
        self._stopped.set()

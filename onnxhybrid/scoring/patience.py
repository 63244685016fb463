"""Waits for a remote that is away, so that not every row fails while a server restarts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from onnxhybrid.errors import Error, RemoteError

_AWAY = frozenset({"OH501", "OH523"})
"""No connection, and a breaker that is open."""

_AWAY_STATUS = frozenset({425, 429, 503, 8, 14})
"""Too early, too many, not there now; of gRPC: exhausted, unavailable."""

_SILENT = frozenset({"OH502", "OH508"})
"""No answer in time, and one that ended early: the server is away, or it is this request that it cannot bear."""

_SILENT_STATUS = frozenset({408, 502, 504, 4})
"""The same, told by what stands before it; of gRPC: the deadline."""

_FATAL = ("OH51", "OH52", "OH53", "OH541", "OH542", "OH547", "OH55", "OH57", "OH58", "OH67")
"""Credentials, budgets and policies, records, threads: what no other row would get past."""

_FATAL_STATUS = frozenset({401, 403, 404, 405, 407, 5, 7, 12, 16})
"""Not allowed, not there; of gRPC: the same."""

_FIRST, _LONGEST = 0.25, 8.0
"""Seconds between two tries of a call."""

_MOST_SILENT = 3
"""Tries that get no answer while other calls do: then it is these rows that get none."""


def is_away(problem: Error) -> bool:
    """Whether another try later may bring an answer."""
    return is_silent(problem) or problem.code in _AWAY or _status(problem) in _AWAY_STATUS


def is_silent(problem: Error) -> bool:
    """Whether it may be the request that a server does not answer."""
    return problem.code in _SILENT or _status(problem) in _SILENT_STATUS


def is_fatal(problem: Error) -> bool:
    """Whether no row would get past it, such as a budget that is used up; a request that is too large is one row's."""
    if _status(problem):
        return _status(problem) in _FATAL_STATUS
    return problem.code.startswith(_FATAL) and problem.code not in ("OH514", "OH515", "OH516", "OH523", "OH524")


def _status(problem: Error) -> int:
    """What a server answered; 0 where it did not."""
    return problem.status if isinstance(problem, RemoteError) and problem.code == "OH503" else 0


@dataclass
class Waiting:
    """One call that is tried again.

    Attributes:
        began: when it failed first; None before.
        answered: how many calls were answered by then.
        tries: how often it failed.
        of_rows: whether it is known that its rows are what is not answered, since others are.
    """

    began: float | None = None
    answered: int = 0
    tries: int = 0
    of_rows: bool = False


@final
class Patience:
    """How long a remote that is away is waited for, together for all calls of a session.

    Where nothing was answered for so long, it counts as gone: further calls are made once, and what fails is not
    waited for, until one is answered.

    Args:
        seconds: how long.
        answered: gives how many remote calls were answered so far.
    """

    def __init__(self, seconds: float, answered: Callable[[], int]) -> None:
        self._seconds, self._answered = seconds, answered
        self._lock = threading.Lock()
        self._since: float | None = None
        self._known = 0
        self._stopped = threading.Event()

    def wait(self, call: Waiting, problem: Error) -> bool:
        """Wait before another try of a call that found the remote away; whether there is to be one.

        Args:
            call: the call, which is counted.
            problem: what it failed of now.
        """
        if not self._seconds or (call.of_rows and is_silent(problem)):
            return False
        now, answered = time.monotonic(), self._answered()
        if call.began is None:
            call.began, call.answered = now, answered
        call.tries += 1
        if is_silent(problem) and call.tries >= _MOST_SILENT and answered > call.answered:
            call.of_rows = True
            return False
        with self._lock:
            if self._since is None or answered > self._known:
                self._since, self._known = now, answered
            left = min(self._since, call.began) + self._seconds - now
        if left <= 0:
            return False
        pause = min(_FIRST * 2 ** min(call.tries - 1, 10), _LONGEST) * random.uniform(0.5, 1)
        return not self._stopped.wait(min(pause, left + 0.01))

    def stop(self) -> None:
        """Let nobody wait any more."""
        self._stopped.set()

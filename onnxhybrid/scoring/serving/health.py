"""Whether a replica is well: one whose session fails by itself is replaced."""

from __future__ import annotations

from typing import final

from onnxhybrid.errors import Error

_OF_THE_SESSION = frozenset({"OH500", "OH532", "OH533", "OH541", "OH550", "OH581", "OH582", "OH583", "OH670"})
"""Faults of the process, or of what it needs around it. A remote that is away is none, nor is a bad request."""

_MOST = 3
"""Faults in a row, with no run that succeeded between, of a replica that is replaced."""


@final
class Health:
    """The runs of a replica, as far as they tell how it is."""

    def __init__(self) -> None:
        self._faults = 0
        self._last: BaseException | None = None

    def went_well(self) -> None:
        """A run succeeded."""
        self._faults = 0

    def failed(self, problem: BaseException) -> None:
        """A run failed."""
        if not isinstance(problem, Error) or problem.code in _OF_THE_SESSION:
            self._faults, self._last = self._faults + 1, problem

    def check(self) -> None:
        """Raise what is wrong, if the replica is not well."""
        if self._faults >= _MOST:
            raise RuntimeError(f"{self._faults} runs in a row failed by the session's own fault") from self._last

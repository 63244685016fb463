"""What others may see of a run: the spans of its calls, and the log of its failed attempts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import onnxruntime

from onnxhybrid import library
from onnxhybrid.runtime import instruments, telemetry
from onnxhybrid.runtime.interruption import interruptible

_T = TypeVar("_T")

_LOG = logging.getLogger("onnxhybrid")
_LOG.addHandler(logging.NullHandler())

_FIELDS = ("node", "endpoint", "code", "status", "attempt")

_CANCELLED = "OH514"
_ALARM = "OH635"
"""The code of a call that its own run gave up, which is no news of the remote model."""


class Observation:
    """Around each run of a session, on the thread that runs it; any number of threads may do so at once."""

    def __init__(self, scope: library.Scope) -> None:
        self._scope = scope
        self._waiting = library.events_waiting()
        self.has_calls = True  # whether there is a remote node to observe
        instruments.watch(scope)

    def wish(self) -> str | None:
        """What `telemetry.wish` says, where there is anything to observe."""
        return telemetry.wish() if self.has_calls and "opentelemetry" in sys.modules else None

    def run(
        self,
        wish: str | None,
        run: int,
        run_options: onnxruntime.RunOptions | None,
        work: Callable[..., _T],
        *given: Any,
    ) -> _T:
        """Do a run as `interruptible` does, and tell of it when it is over, and with it calls that it began and left.

        Args:
            wish: what `wish` says where the run is asked for.
            run, run_options, work, given: as for `interruptible`.
        """
        entered = telemetry.enter(wish)
        try:
            return interruptible(run, run_options, work, *given)
        finally:
            if entered is not None:
                report(self._scope)
                telemetry.leave(entered)
            elif self._waiting.value:
                report(self._scope)


def report(scope: library.Scope) -> None:
    """Tell what waits: finished calls of this thread to OpenTelemetry; failed attempts and alarms to the log."""
    waiting = scope.events()
    if waiting is None:
        return
    for call in waiting["calls"]:
        telemetry.finish(call)
    for event in waiting["events"]:
        _log(event)
    for key, what in (("forgotten", "failed attempts"), ("forgotten_calls", "finished calls")):
        if waiting[key]:
            _LOG.warning("%d more %s were too many to keep", waiting[key], what)


def _log(event: Mapping[str, Any]) -> None:
    """One line, with its fields as attributes of the record."""
    if event["code"] == _ALARM:
        _LOG.warning(
            "the audit %r (%s) raises the alarm: [%s] %s",
            event["node"], event["endpoint"], event["code"], event["message"],
            extra={name: event[name] for name in ("node", "endpoint", "code")},
        )  # fmt: skip
        return
    level = logging.INFO if event["code"] == _CANCELLED else logging.WARNING
    which = f"attempt {event['attempt']}" if event["attempt"] else "a call"
    _LOG.log(
        level, "%s of node %r (%s) failed: [%s] %s",
        which, event["node"], event["endpoint"], event["code"], event["message"],
        extra={name: event[name] for name in _FIELDS},
    )  # fmt: skip

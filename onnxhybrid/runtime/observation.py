"""What others may see of a run: the trace that its calls carry, and the log of its failed attempts."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

from onnxhybrid import library

_API = "opentelemetry.trace"
_LOG = logging.getLogger("onnxhybrid")
_LOG.addHandler(logging.NullHandler())


class Observation:
    """Around each run of a session, on the thread that runs it; any number of threads may do so at once."""

    def __init__(self, scope: library.Scope) -> None:
        self._scope = scope
        self._waiting = library.events_waiting()

    def __enter__(self) -> None:
        if _API in sys.modules and (traceparent := current_traceparent()) is not None:
            library.trace(traceparent)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if _API in sys.modules:
            library.trace(None)
        if self._waiting.value:
            report(self._scope)


def current_traceparent() -> str | None:
    """The W3C `traceparent` of OpenTelemetry's current span; None without one.

    Where nobody imported OpenTelemetry's API no span is current, so that this imports nothing.
    """
    api = sys.modules.get(_API)
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def report(scope: library.Scope) -> None:
    """Log the scope's failed attempts and alarms, one line each, with their fields as attributes of the record."""
    waiting = scope.events()
    if waiting is None:
        return
    for event in waiting["events"]:
        if event["code"] == "OH635":
            _LOG.warning(
                "the audit %r (%s) raises the alarm: [OH635] %s", event["node"], event["endpoint"], event["message"],
                extra={name: event[name] for name in ("node", "endpoint", "code")},
            )  # fmt: skip
            continue
        _LOG.warning(
            "attempt %d of node %r (%s) failed: [%s] %s",
            event["attempt"], event["node"], event["endpoint"], event["code"], event["message"],
            extra={name: event[name] for name in ("node", "endpoint", "code", "status", "attempt")},
        )  # fmt: skip
    if waiting["forgotten"]:
        _LOG.warning("%d more failed attempts were too many to keep", waiting["forgotten"])

"""OpenTelemetry, where the application has it: a span of each remote call, and how long calls take.

Nothing here imports OpenTelemetry's API before the application did, and without a provider of spans or of metrics a run
costs two looks. What a call's span begins with has to be known before its request leaves, since the request names the
span. So the library asks for it as it begins a call, on the thread that runs, and tells afterwards how the call ended.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from onnxhybrid import __version__, library
from onnxhybrid.diagnostics import REGISTER
from onnxhybrid.runtime import instruments

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

_TRACE = "opentelemetry.trace"
_SUPPRESSED = "suppress_instrumentation"
"""The context's entry by which instrumentations are told to keep quiet."""

SPANS, CALLS = "spans", "calls"
"""What the library is asked for: see `library.trace`. With spans Python code runs in the midst of a run."""


@dataclass
class _Run:
    """A run on the thread that it runs on: what was asked for, and the spans that began in it, by traceparent."""

    wish: str | None
    spans: dict[str, Span] = field(default_factory=dict)


class _Here(threading.local):
    """The runs of this thread; one may begin within another, in a signal handler for example."""

    def __init__(self) -> None:
        self.runs: list[_Run] = []


_here = _Here()
_known: list[tuple[TracerProvider, Tracer]] = []  # of the last provider, there being one at a time


def wish() -> str | None:
    """What is wanted of the calls of a run that is asked for here, as `library.trace` takes it; None if nothing is."""
    if _tracer() is not None:
        return SPANS
    traceparent = current_traceparent()
    if instruments.offered() and not _is_suppressed():
        return CALLS if traceparent is None else f"{CALLS} {traceparent}"
    return traceparent


def enter(wish: str | None) -> int | None:
    """Say what is wanted of the calls of a run that begins on this thread; the number of the run, None for nothing."""
    if wish is None and not _here.runs:
        return None
    _here.runs.append(_Run(wish))
    library.trace(wish)
    return len(_here.runs) - 1


def leave(run: int) -> None:
    """End the run that `enter` gave this number; spans of which nothing was heard end now."""
    for left in _here.runs[run:]:
        for span in left.spans.values():
            span.end()
    del _here.runs[run:]
    library.trace(_here.runs[-1].wish if _here.runs else None)


def begin(node: str) -> str:
    """Begin the span of a call of a node; the W3C `traceparent` that its requests carry, empty for none."""
    tracer, api = _tracer(), sys.modules.get(_TRACE)
    if tracer is None or api is None or not _here.runs:
        return ""
    span = tracer.start_span(f"invoke {node}", kind=api.SpanKind.CLIENT, attributes={"onnxhybrid.node": node})
    traceparent = _traceparent(span)
    if traceparent is None:
        return ""
    if span.is_recording():
        _here.runs[-1].spans[traceparent] = span
    return traceparent


def finish(call: Mapping[str, Any]) -> None:
    """Note how a call of this thread ended, which the library reported."""
    place = _place(call)
    span = _taken(call["traceparent"])
    instruments.took(call["seconds"], {**place, **_error(call)}, span)
    if span is None:
        return
    span.set_attributes({**place, **_answer(call), **_error(call)})
    span.set_attributes({f"onnxhybrid.{name}": value for name, value in call["counts"].items()})
    if call["code"] is not None:
        code = sys.modules[_TRACE].StatusCode.ERROR
        span.set_status(code, f"[{call['code']}] {REGISTER[call['code']].title}")
    span.end(end_time=call["began_ns"] + round(call["seconds"] * 1e9))


def current_traceparent() -> str | None:
    """The W3C `traceparent` of OpenTelemetry's current span; None without one.

    Where nobody imported OpenTelemetry's API no span is current, so that this imports nothing.
    """
    api = sys.modules.get(_TRACE)
    return None if api is None else _traceparent(api.get_current_span())


def _tracer() -> Tracer | None:
    """Our tracer at the provider that the application chose; None if it chose none, or wants no spans just now."""
    api = sys.modules.get(_TRACE)
    if api is None:
        return None
    provider = api.get_tracer_provider()
    if isinstance(provider, (api.ProxyTracerProvider, api.NoOpTracerProvider)) or _is_suppressed():
        return None
    for known, tracer in _known:
        if known is provider:
            return tracer
    ours: Tracer = provider.get_tracer("onnxhybrid", __version__)
    _known[:] = [(provider, ours)]
    return ours


def _is_suppressed() -> bool:
    context: ModuleType | None = sys.modules.get("opentelemetry.context")
    return context is not None and bool(context.get_value(_SUPPRESSED))


def _traceparent(span: Span) -> str | None:
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _taken(traceparent: str | None) -> Span | None:
    """The span of a call, which is then no longer kept."""
    for run in reversed(_here.runs):
        if traceparent in run.spans:
            return run.spans.pop(traceparent)
    return None


def _place(call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "onnxhybrid.node": call["node"],
        "onnxhybrid.protocol": call["protocol"],
        "server.address": call["host"].strip("[]"),
        "server.port": call["port"],
    }


def _answer(call: Mapping[str, Any]) -> dict[str, Any]:
    """What was spoken and answered, by OpenTelemetry's semantic conventions of HTTP and of gRPC."""
    spoken = {"rpc.system": "grpc"} if call["grpc"] else {"http.request.method": "POST"}
    if call["status"] is None:
        return spoken
    return {**spoken, "rpc.grpc.status_code" if call["grpc"] else "http.response.status_code": call["status"]}


def _error(call: Mapping[str, Any]) -> dict[str, Any]:
    return {} if call["code"] is None else {"error.type": call["code"]}

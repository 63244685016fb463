"""OpenTelemetry's metrics of all sessions that are there: what their statistics count, and how long calls take."""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onnxhybrid import __version__
from onnxhybrid.library import Scope
from onnxhybrid.runtime.statistics import NodeStats, audits, parsed

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
    from opentelemetry.trace import Span

_METRICS = "opentelemetry.metrics"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The borders of the histogram: those of OpenTelemetry's semantic conventions for HTTP."""

_QUANTILES = frozenset({"p50", "p90", "p99"})
"""Statistics that the histogram has better: quantiles of several sessions make no quantile of all."""

_KINDS = {
    "calls": ("{call}", "calls of a remote node"),
    "retries": ("{request}", "requests that were repeated"),
    "errors": ("{call}", "calls that failed, by code"),
    "bytes_out": ("By", "bytes of request bodies"),
    "bytes_in": ("By", "bytes of response bodies"),
    "hedges": ("{request}", "requests that were sent second, beside one that took long"),
    "cache_hits": ("{row}", "rows, or calls without rows, that were answered without a request"),
    "spent": ("{unit}", "money by the prices of the budget"),
    "input_tokens": ("{token}", "tokens that services counted in requests, where their price is paid"),
    "output_tokens": ("{token}", "tokens that services counted in answers, where their price is paid"),
    "connections": ("{connection}", "connections opened to the node's origin"),
    "endpoints": ("{request}", "requests to each URL of an endpoint by name"),
    "audited": ("{row}", "accepted rows that were asked for all the same, and compared"),
    "differed": ("{row}", "audited rows that the remote answered otherwise"),
}
"""Units and descriptions, of statistics that have one; others are counted without."""

_AUDITS = {
    "alarm": ("1", "1 where more accepted rows differ than the model's certificate promises, else 0"),
    "low": ("1", "the share of accepted rows of which it is certain by 95 % that more than it differ"),
}
"""Units and descriptions of the gauges that an audit has beside its counts."""

_KEYS = {"errors": "error.type", "endpoints": "url.full"}
"""What the keys of a statistic by key are."""

_lock = threading.Lock()
_scopes: weakref.WeakSet[Scope] = weakref.WeakSet()
_known: list[tuple[MeterProvider, Histogram]] = []  # of the last provider, there being one at a time


def watch(scope: Scope) -> None:
    """Report a session's statistics for as long as it lives."""
    with _lock:
        _scopes.add(scope)
    offered()


def offered() -> bool:
    """Whether the application has a provider of metrics, which has then got our instruments."""
    api = sys.modules.get(_METRICS)
    if api is None:
        return False
    provider = api.get_meter_provider()
    # The API does not name the provider that stands for none.
    if isinstance(provider, api.NoOpMeterProvider) or type(provider).__name__ == "_ProxyMeterProvider":
        return False
    if not _known or _known[0][0] is not provider:
        with _lock:
            if not _known or _known[0][0] is not provider:
                _known[:] = [(provider, _instruments(provider.get_meter("onnxhybrid", __version__)))]
    return True


def took(seconds: float, attributes: Mapping[str, Any], span: Span | None) -> None:
    """Count a call that took so long, as an example of which the span may be shown."""
    if not _known:
        return
    trace = sys.modules.get("opentelemetry.trace")
    context = None if span is None or trace is None else trace.set_span_in_context(span)
    _known[0][1].record(seconds, attributes, context)


def _instruments(meter: Meter) -> Histogram:
    for name, start in vars(NodeStats()).items():
        if name not in _QUANTILES:
            unit, description = _KINDS.get(name, ("1", name.replace("_", " ")))
            observe = functools.partial(_observed, name, isinstance(start, Mapping))
            meter.create_observable_counter(f"onnxhybrid.client.{name}", [observe], unit, description)
    for name, (unit, description) in _AUDITS.items():
        observe = functools.partial(_of_audits, name)
        meter.create_observable_gauge(f"onnxhybrid.client.audit.{name}", [observe], unit, description)
    make: Callable[..., Histogram] = functools.partial(
        meter.create_histogram, "onnxhybrid.client.duration", "s", "how long calls of a remote node took"
    )
    try:
        return make(explicit_bucket_boundaries_advisory=_SECONDS)
    except TypeError:  # an older API, which takes no borders
        return make()


def _observed(name: str, is_keyed: bool, _: CallbackOptions) -> Iterator[Observation]:
    """A statistic of every node of every session that is there, as it is now."""
    observation: Callable[..., Observation] = sys.modules[_METRICS].Observation
    for scope in _watched():
        for node, stats in parsed(scope.stats()).items():
            where, value = _where(scope, node), getattr(stats, name)
            if is_keyed:
                for key, count in value.items():
                    yield observation(count, {**where, _KEYS.get(name, "onnxhybrid.key"): key})
            elif value is not None:
                yield observation(value, where)


def _of_audits(name: str, _: CallbackOptions) -> Iterator[Observation]:
    """What every audit of every session that is there has found, as it is now."""
    observation: Callable[..., Observation] = sys.modules[_METRICS].Observation
    for scope in _watched():
        for node, stats in audits(scope.stats()).items():
            value = getattr(stats, name)
            yield observation(int(value) if isinstance(value, bool) else value, _where(scope, node))


def _watched() -> list[Scope]:
    with _lock:
        return list(_scopes)


def _where(scope: Scope, node: str) -> dict[str, Any]:
    return {"onnxhybrid.session": scope.id, "onnxhybrid.node": node}

"""OpenTelemetry's SDK as an application sets it up, with exporters in memory, for as long as a block lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import _internal as of_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once


class Spans:
    """What was exported."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> list[ReadableSpan]:
        """The spans, in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    def calls(self) -> list[ReadableSpan]:
        """Those of remote calls."""
        return [span for span in self.all() if span.kind is trace.SpanKind.CLIENT]


@contextlib.contextmanager
def tracing(**settings: Any) -> Iterator[Spans]:
    """A provider of spans; the API takes one in a process, which is undone at the end as its own tests do."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(**settings)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield Spans(exporter)
    finally:
        trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = None, Once()


class Metrics:
    """What a reader collects."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """(attributes, point) of each series of an instrument."""
        data = self._reader.get_metrics_data()
        found = [] if data is None else [
            metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]  # fmt: skip
        return [
            (dict(point.attributes or {}), point)
            for metric in found
            if metric.name == name
            for point in metric.data.data_points
        ]

    def of(self, session: int, name: str) -> dict[Any, Any]:
        """The values of a session's series of `onnxhybrid.client.<name>`, by their other attributes' values."""
        series = self.points(f"onnxhybrid.client.{name}")
        return {
            tuple(value for key, value in attributes.items() if key != "onnxhybrid.session"): point.value
            for attributes, point in series
            if attributes["onnxhybrid.session"] == session
        }


@contextlib.contextmanager
def metering() -> Iterator[Metrics]:
    """A provider of metrics."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    metrics.set_meter_provider(provider)
    try:
        yield Metrics(reader)
    finally:
        of_metrics._METER_PROVIDER, of_metrics._METER_PROVIDER_SET_ONCE = None, Once()
        provider.shutdown()

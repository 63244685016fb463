"""The route `/metrics`: what the endpoint did, in Prometheus' text format.

Labels are the endpoint's own words alone: a model is one that is served, a protocol one of those below, a status one
that the endpoint answers with. So whoever sends requests cannot make the list longer.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onnxhybrid.endpoint.connections import Watch
from onnxhybrid.endpoint.exposition import MEDIA_TYPE, Counter, Family, Histogram, Sample, exposed
from onnxhybrid.endpoint.memory import Memory
from onnxhybrid.endpoint.served import ServedModel

PATH = "/metrics"

_PROTOCOLS = {"v2": "kserve", "v1": "openai", "openai": "openai", "score": "azureml"}
"""The protocol to which a path belongs, by its first part."""

_REASONS = {401: "token", 408: "time", 413: "size", 421: "host", 503: "memory"}
"""What a request is refused for that no model was asked for, by the status that says so."""

_ASKED = "onnxhybrid.asked"
"""Where an ASGI scope has the model that its request asks for."""

_STARTED = time.time()
_KEYS = {"errors": "code"}
_HIDDEN = frozenset({"endpoints", "p50", "p90", "p99"})
"""Statistics of remote nodes that are not told as they are: which servers a hybrid calls is not for callers."""


def asks(request: Request, model: ServedModel) -> ServedModel:
    """Note that a request asks a model for something; gives the model."""
    request.scope[_ASKED].append(model.name)
    return model


@final
@dataclass
class Traffic:
    """The requests of an endpoint; its event loop counts them."""

    requests: Counter = field(default_factory=lambda: Counter("model", "protocol", "status"))
    seconds: Histogram = field(default_factory=lambda: Histogram("model", "protocol"))
    received: Counter = field(default_factory=lambda: Counter("model", "protocol"))
    sent: Counter = field(default_factory=lambda: Counter("model", "protocol"))
    refused: Counter = field(default_factory=lambda: Counter("reason"))
    in_progress: int = 0

    def disconnected(self, status: int) -> None:
        """A connection was ended with this status before its request came to the application."""
        self.refused.add(1, {400: "malformed", 503: "connections"}.get(status) or _REASONS[status])


@final
class Meter:
    """Counts every request, those that are refused by other guards too: the outermost of them."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        asked, seen, started = list[str](), _Seen(), time.perf_counter()
        self._traffic.in_progress += 1
        try:
            await self._app({**scope, _ASKED: asked}, seen.receiving(receive), seen.sending(send))
        except Exception:
            seen.status = seen.status or 500
            raise
        finally:
            self._traffic.in_progress -= 1
            self._count(asked[-1] if asked else "", scope["path"], seen, time.perf_counter() - started)

    def _count(self, model: str, path: str, seen: _Seen, seconds: float) -> None:
        traffic, protocol = self._traffic, _PROTOCOLS.get(path.split("/")[1] if "/" in path else "", "other")
        traffic.requests.add(1, model, protocol, str(seen.status))
        traffic.seconds.took(seconds, model, protocol)
        traffic.received.add(seen.received, model, protocol)
        traffic.sent.add(seen.sent, model, protocol)
        if seen.status in _REASONS:
            traffic.refused.add(1, _REASONS[seen.status])


@dataclass
class _Seen:
    """What was seen of one request; status 0 where no answer began."""

    status: int = 0
    received: int = 0
    sent: int = 0

    def receiving(self, receive: Receive) -> Receive:
        async def received() -> Message:
            message = await receive()
            self.received += len(message.get("body", b""))
            return message

        return received

    def sending(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            self.status = message.get("status", self.status)
            self.sent += len(message.get("body", b""))
            await send(message)

        return sent


def routes(models: Mapping[str, ServedModel], traffic: Traffic, memory: Memory, watch: Watch) -> list[Route]:
    """The route that tells all of it."""

    async def metrics(_: Request) -> Response:
        families = [*_traffic(traffic, watch, memory), *_models(models), *_remotes(models), *_process()]
        return Response(exposed(families), media_type=MEDIA_TYPE)

    return [Route(PATH, metrics)]


def _traffic(traffic: Traffic, watch: Watch, memory: Memory) -> Iterator[Family]:
    name = "onnxhybrid_endpoint_"
    for ending, what, counter in (
        ("requests_total", "Requests that were answered.", traffic.requests),
        ("request_bytes_total", "Bytes of request bodies that came.", traffic.received),
        ("response_bytes_total", "Bytes of response bodies that were sent.", traffic.sent),
        ("refused_requests_total", "Requests that were refused before a model was asked.", traffic.refused),
    ):
        yield Family(name + ending, "counter", what, counter.samples())
    what = "From a request's head to the end of its answer."
    yield Family(name + "request_duration_seconds", "histogram", what, traffic.seconds.samples())
    for ending, what, value in (
        ("requests_in_progress", "Requests under way, those that wait for a thread included.", traffic.in_progress),
        ("connections", "Connections that are open.", len(watch.open)),
        ("connections_limit", "Connections that may be open.", watch.limit),
        ("memory_held_bytes", "What requests under way hold.", memory.held),
        ("memory_limit_bytes", "What they may hold.", memory.limit),
    ):
        yield Family(name + ending, "gauge", what, [("", {}, value)])


def _models(models: Mapping[str, ServedModel]) -> Iterator[Family]:
    def of(samples: Callable[[ServedModel], list[Sample]]) -> list[Sample]:
        return [(ending, {"model": name, **labels}, value) for name, model in models.items()
                for ending, labels, value in samples(model)]  # fmt: skip

    name, runs = "onnxhybrid_endpoint_inference", "Runs of a model"
    seconds, failures = of(lambda model: model.runs.seconds.samples()), of(lambda model: model.runs.failures.samples())
    yield Family(f"{name}_duration_seconds", "histogram", f"{runs}: how long they took.", seconds)
    yield Family(f"{name}_failures_total", "counter", f"{runs} that failed.", failures)
    under_way = of(lambda model: [("", {}, model.runs.in_progress)])
    yield Family(f"{name}s_in_progress", "gauge", f"{runs} under way.", under_way)


def _remotes(models: Mapping[str, ServedModel]) -> Iterator[Family]:
    """The remote nodes of the hybrids that are served: all that their sessions count."""
    nodes = [({"model": name, "node": node}, vars(stats)) for name, model in models.items()
             for node, stats in model.session.stats().items()]  # fmt: skip
    names = dict.fromkeys(name for _, stats in nodes for name in stats if name not in _HIDDEN)
    for name in names:
        samples = [sample for labels, stats in nodes for sample in _statistic(labels, name, stats[name])]
        what = f"Of remote nodes: {name.replace('_', ' ')}."
        yield Family(f"onnxhybrid_remote_{name}_total", "counter", what, samples)
    what = "How long calls of a remote node took since its model was loaded."
    quantiles = [("", {**labels, "quantile": f"0.{key[1:]}".rstrip("0")}, stats[key]) for labels, stats in nodes
                 for key in ("p50", "p90", "p99") if stats[key] is not None]  # fmt: skip
    yield Family("onnxhybrid_remote_call_duration_seconds", "summary", what, quantiles)


def _statistic(labels: dict[str, str], name: str, value: Any) -> list[Sample]:
    if isinstance(value, Mapping):
        return [("", {**labels, _KEYS.get(name, "key"): key}, count) for key, count in value.items()]
    return [] if value is None else [("", labels, value)]


def _process() -> Iterator[Family]:
    """The process, by the names that all of Prometheus' clients give it."""
    spent = sum(os.times()[:2])
    yield Family("process_cpu_seconds_total", "counter", "Seconds of processor time.", [("", {}, spent)])
    yield Family("process_start_time_seconds", "gauge", "When it began, in seconds since 1970.", [("", {}, _STARTED)])
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident: list[Sample] = [("", {}, pages * os.sysconf("SC_PAGE_SIZE"))]
        yield Family("process_resident_memory_bytes", "gauge", "Memory that is resident.", resident)

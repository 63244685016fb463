"""What OpenTelemetry sees of remote calls, judged by its own SDK."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import onnxruntime
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

import onnxhybrid as oh
from onnxhybrid.endpoint.server import Threads
from tests.begun import begin, floats, graph, ticket_value
from tests.remotes import TOKEN, X, adder, in_turn, reply
from tests.servers.raw import answer, raw_server, silence
from tests.strategies import dense
from tests.telemetry import metering, tracing
from tests.test_begin import SOON

BUSY = answer(b'{"error": "words of the server"}', status="503 Service Unavailable")
RIGHT = answer(reply())


def sent(request: bytes) -> bytes:
    """The traceparent of a request; empty without one."""
    return request.partition(b"\r\ntraceparent: ")[2].partition(b"\r\n")[0]


def name_of(span: ReadableSpan) -> bytes:
    """What a request names a span by."""
    assert span.context is not None
    return b"00-%032x-%016x-%02x" % (span.context.trace_id, span.context.span_id, span.context.trace_flags)


def bound(session: oh.Session) -> None:
    binding = session.io_binding()
    binding.bind_cpu_input("x", X)
    binding.bind_output("y")
    session.run_with_iobinding(binding)


def awaited(session: oh.Session) -> None:
    async def run() -> None:
        await session.arun(None, {"x": X})

    asyncio.run(run())


WAYS: dict[str, Callable[[oh.Session], Any]] = {
    "run": lambda session: session.run(None, {"x": X}),
    "run_with_ort_values": lambda s: s.run_with_ort_values(None, {"x": onnxruntime.OrtValue.ortvalue_from_numpy(X)}),
    "run_with_iobinding": bound,
    "submit": lambda session: session.submit(None, {"x": X}).result(SOON),
    "arun": awaited,
}


@pytest.mark.parametrize("way", WAYS)
def test_each_call_is_a_client_span_below_the_callers_which_its_request_names(way: str) -> None:
    with tracing() as spans, raw_server(RIGHT) as server:
        session = oh.Session(adder(server.url))
        with trace.get_tracer("app").start_as_current_span("app") as outer:
            WAYS[way](session)
    [call] = spans.calls()
    assert sent(server.requests[0]) == name_of(call)
    assert call.parent == outer.get_span_context()
    assert call.name == "invoke adder"
    where = urlsplit(server.url)
    assert call.attributes == {
        "onnxhybrid.node": "adder",
        "onnxhybrid.protocol": "triton.http",
        "server.address": where.hostname,
        "server.port": where.port,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "onnxhybrid.attempts": 1,
        "onnxhybrid.retries": 0,
        "onnxhybrid.bytes_out": len(server.requests[0].partition(b"\r\n\r\n")[2]),
        "onnxhybrid.bytes_in": len(reply()),
        "onnxhybrid.hedges": 0,
        "onnxhybrid.cache_hits": 0,
        "onnxhybrid.spent": 0.0,
    }
    assert call.status.status_code is StatusCode.UNSET


def test_a_call_outside_of_any_span_begins_a_trace() -> None:
    with tracing() as spans, raw_server(RIGHT) as server:
        oh.Session(adder(server.url)).run(None, {"x": X})
    [call] = spans.calls()
    assert (call.parent, sent(server.requests[0])) == (None, name_of(call))


def test_each_thread_has_its_calls_below_its_own_span() -> None:
    with tracing() as spans, raw_server(RIGHT) as server:
        session = oh.Session(adder(server.url))

        def work(number: int) -> None:
            with trace.get_tracer("app").start_as_current_span(f"thread {number}"):
                for _ in range(5):
                    session.run(None, {"x": X})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = {span.context.span_id: span.name for span in spans.all() if span.context is not None}
    above = [names[call.parent.span_id] for call in spans.calls() if call.parent is not None]
    assert sorted(above) == sorted(f"thread {number}" for number in range(8) for _ in range(5))
    assert sorted(map(sent, server.requests)) == sorted(map(name_of, spans.calls()))


def test_a_span_lasts_from_the_beginning_of_its_call_to_its_end() -> None:
    seen: list[int] = []

    def note(connection: Any, request: bytes) -> None:
        seen.append(time.time_ns())
        RIGHT(connection, request)

    with tracing() as spans, raw_server(note) as server:
        session = oh.Session(adder(server.url))
        before = time.time_ns()
        session.run(None, {"x": X})
        after = time.time_ns()
    [call] = spans.calls()
    assert call.start_time is not None
    assert call.end_time is not None
    assert before <= call.start_time <= seen[0] <= call.end_time <= after


def test_a_call_that_fails_is_an_error_with_its_code_and_nothing_of_what_was_sent_or_said() -> None:
    said = answer(f'{{"error": "no {TOKEN}, and no {float(X[0, 0])!r}"}}'.encode(), status="409 Conflict")
    with tracing() as spans, raw_server(in_turn(iter([BUSY, said]))) as server:
        session = oh.Session(adder(server.url, retries=1, auth=oh.Credential("c")), credentials={"c": TOKEN})
        with pytest.raises(oh.RemoteStatusError):
            session.run(None, {"x": X})
    [call] = spans.calls()
    attributes = dict(call.attributes or {})
    assert (call.status.status_code, call.status.description) == (
        StatusCode.ERROR,
        f"[OH503] {oh.diagnostics.REGISTER['OH503'].title}",
    )
    assert (attributes["error.type"], attributes["http.response.status_code"]) == ("OH503", 409)
    assert (attributes["onnxhybrid.attempts"], attributes["onnxhybrid.retries"]) == (2, 1)
    told = call.to_json()
    assert TOKEN not in told
    assert "no " not in told
    assert len(call.events) == 0


def test_both_attempts_of_a_call_name_its_one_span() -> None:
    with tracing() as spans, raw_server(in_turn(iter([BUSY, RIGHT]))) as server:
        oh.Session(adder(server.url, retries=1)).run(None, {"x": X})
    assert list(map(sent, server.requests)) == [name_of(call) for call in spans.calls()] * 2


def test_a_failure_that_is_data_is_an_error_of_its_span() -> None:
    with tracing() as spans, raw_server(BUSY) as server:
        oh.Session(adder(server.url, on_error="flag")).run(None, {"x": X})
    assert [call.status.status_code for call in spans.calls()] == [StatusCode.ERROR]


def test_what_never_left_has_a_span_without_an_answer() -> None:
    with tracing() as spans:
        session = oh.Session(adder("http://127.0.0.1:1"), policy=oh.Policy(deny=["127.0.0.1"]))
        with pytest.raises(oh.PolicyDenied):
            session.run(None, {"x": X})
    attributes = dict(spans.calls()[0].attributes or {})
    assert (attributes["error.type"], attributes["onnxhybrid.attempts"]) == ("OH520", 0)
    assert "http.response.status_code" not in attributes


def test_a_call_of_grpc_says_so() -> None:
    with tracing() as spans, raw_server(silence) as server, pytest.raises(oh.RemoteError):
        oh.Session(adder(server.url.replace("http", "grpc"), timeout=0.2)).run(None, {"x": X})
    attributes = dict(spans.calls()[0].attributes or {})
    assert attributes["rpc.system"] == "grpc"
    assert "http.request.method" not in attributes


def test_a_call_that_is_begun_and_never_awaited_has_a_span_that_ends_with_the_run() -> None:
    model = graph(
        [begin(adder("http://127.0.0.1:1", timeout=300.0), "ticket", ["x"])], [floats("x", "n", 3)], [ticket_value()]
    )
    with tracing() as spans, raw_server(silence) as server:
        model = model.retarget({"http://127.0.0.1:1": server.url})
        oh.Session(model).run(None, {"x": X})
        [call] = spans.calls()
    assert dict(call.attributes or {})["error.type"] == "OH514"


def test_more_calls_of_one_run_than_the_log_keeps_all_have_their_spans() -> None:
    many = oh.parallel(**{f"m{n}": adder("http://127.0.0.1:1", on_error="flag") for n in range(300)}).bind(x=X)
    with tracing() as spans:
        oh.Session(many, policy=oh.Policy(deny=["127.0.0.1"])).run(None, {})
    assert len({dict(call.attributes or {})["onnxhybrid.node"] for call in spans.calls()}) == 300
    assert all(dict(call.attributes or {})["error.type"] == "OH520" for call in spans.calls())


def test_what_is_not_sampled_is_not_exported_and_its_requests_say_so() -> None:
    with tracing(sampler=ALWAYS_OFF) as spans, raw_server(RIGHT) as server:
        oh.Session(adder(server.url)).run(None, {"x": X})
    assert not spans.all()
    assert int(sent(server.requests[0]).rpartition(b"-")[2], 16) & 1 == 0


def test_instrumentation_that_is_suppressed_makes_no_span() -> None:
    with tracing() as spans, raw_server(RIGHT) as server:
        session = oh.Session(adder(server.url))
        token = context.attach(context.set_value("suppress_instrumentation", True))
        try:
            session.run(None, {"x": X})
        finally:
            context.detach(token)
    assert not spans.calls()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_signal_ends_a_run_that_is_traced_as_it_ends_any_other() -> None:
    class Alarm(Exception):
        pass

    def raise_it(*_: object) -> None:
        raise Alarm

    def alarm(connection: Any, request: bytes) -> None:
        os.kill(os.getpid(), signal.SIGALRM)
        silence(connection, request)

    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        with tracing() as spans, raw_server(alarm) as server:
            session = oh.Session(adder(server.url, timeout=300.0))
            with pytest.raises(Alarm):
                session.run(None, {"x": X})
    finally:
        signal.signal(signal.SIGALRM, before)
    [call] = spans.calls()
    assert dict(call.attributes or {})["error.type"] == "OH514"


def test_what_a_session_counts_is_reported_for_as_long_as_it_lives() -> None:
    with metering() as metrics, raw_server(in_turn(iter([RIGHT, BUSY, RIGHT, answer(b"}{")]))) as server:
        session = oh.Session(adder(server.url, retries=1))
        for _ in range(2):
            session.run(None, {"x": X})
        with pytest.raises(oh.ProtocolError):
            session.run(None, {"x": X})
        number, stats = session._scope.id, session.stats()["adder"]
        for name in ("calls", "retries", "bytes_out", "bytes_in", "connections"):
            assert metrics.of(number, name) == {("adder",): getattr(stats, name)}, name
        assert metrics.of(number, "errors") == {("adder", "OH504"): 1}
        del session
        gc.collect()
        assert metrics.of(number, "calls") == {}


def test_every_statistic_but_the_quantiles_is_an_instrument() -> None:
    with metering() as metrics, raw_server(RIGHT) as server:
        session = oh.Session(adder(oh.Endpoint("gpu")), endpoints={"gpu": [server.url, "http://127.0.0.1:1"]})
        session.run(None, {"x": X})
        values = {name: value for name, value in vars(session.stats()["adder"]).items() if not name.startswith("p")}
        for name, value in values.items():
            seen = metrics.of(session._scope.id, name)
            assert seen == (
                {("adder", key): count for key, count in value.items()}
                if isinstance(value, dict)
                else {("adder",): value}
            )
        assert metrics.of(session._scope.id, "p50") == {}


def test_how_long_calls_took_is_a_histogram_by_node_and_code() -> None:
    with metering() as metrics, raw_server(in_turn(iter([RIGHT, RIGHT, answer(b"}{")]))) as server:
        session = oh.Session(adder(server.url))
        for _ in range(2):
            session.run(None, {"x": X})
        with pytest.raises(oh.ProtocolError):
            session.run(None, {"x": X})
        points = metrics.points("onnxhybrid.client.duration")
    mine = [(a, point) for a, point in points if a["server.port"] == urlsplit(server.url).port]
    assert {a.get("error.type"): point.count for a, point in mine} == {None: 2, "OH504": 1}
    assert all(0 < point.min <= point.max < SOON for _, point in mine)
    assert all(b"traceparent" not in request for request in server.requests)


def test_with_spans_and_metrics_an_example_of_the_histogram_is_a_span() -> None:
    with tracing() as spans, metering() as metrics, raw_server(RIGHT) as server:
        oh.Session(adder(server.url)).run(None, {"x": X})
        points = metrics.points("onnxhybrid.client.duration")
    [call] = spans.calls()
    assert call.context is not None
    examples = [e for a, p in points if a["server.port"] == urlsplit(server.url).port for e in p.exemplars]
    assert [example.span_id for example in examples] == [call.context.span_id]


ALONE = """
import sys
import numpy as np
import onnxhybrid as oh
from onnxhybrid.endpoint.server import Threads
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, raw_server
with raw_server(answer(reply())) as server:
    oh.Session(adder(server.url)).run(None, {"x": X})
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
assert b"traceparent" not in server.requests[0]
"""


def test_where_nobody_imported_opentelemetry_nothing_of_it_is_imported() -> None:
    subprocess.run([sys.executable, "-c", ALONE], check=True)


def test_a_model_without_a_remote_node_is_run_where_it_was_asked_for_and_has_no_span() -> None:
    with tracing() as spans:
        session = oh.Session(dense("local", "x", "y", (3, 3)))
        assert session._observation.wish() is None
        session.run(None, {"x": X})
    assert not spans.all()


def test_what_the_endpoint_runs_for_a_request_is_below_that_requests_span() -> None:
    with tracing() as spans, raw_server(RIGHT) as server, Threads(1) as threads:
        session = oh.Session(adder(server.url))
        with trace.get_tracer("app").start_as_current_span("request") as outer:
            threads.submit(session.run, None, {"x": X}).result(SOON)
    assert [call.parent for call in spans.calls()] == [outer.get_span_context()]


def test_of_several_servers_the_span_names_the_one_that_was_asked_last() -> None:
    with tracing() as spans, raw_server(BUSY) as first, raw_server(RIGHT) as second:
        model = adder(oh.Endpoint("gpu"), retries=1)
        oh.Session(model, endpoints={"gpu": [first.url, second.url]}).run(None, {"x": X})
    [call] = spans.calls()
    assert dict(call.attributes or {})["server.port"] == urlsplit(second.url).port
    assert [*map(sent, first.requests), *map(sent, second.requests)] == [name_of(call)] * 2

"""What can be seen of a session's calls from outside: traces, log lines, statistics."""

from __future__ import annotations

import concurrent.futures
import ctypes
import json
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import onnxhybrid as oh
from tests.begun import begin, floats, graph, ticket_value
from tests.remotes import X, adder, in_turn, reply
from tests.servers.raw import answer, raw_server, silence
from tests.test_begin import SOON, named, whole

BUSY = answer(b'{"error": "words of the server"}', status="503 Service Unavailable")


def span(number: int) -> NonRecordingSpan:
    context = SpanContext(trace_id=number, span_id=number + 1, is_remote=False, trace_flags=TraceFlags(1))
    return NonRecordingSpan(context)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "onnxhybrid"):
        yield caplog


def test_a_call_within_a_span_carries_its_traceparent_and_one_outside_carries_none() -> None:
    with raw_server(answer(reply())) as server:
        session = oh.Session(adder(server.url))
        with trace.use_span(span(7)):
            session.run(None, {"x": X})
        session.run(None, {"x": X})
    assert b"\r\ntraceparent: 00-%032x-%016x-01\r\n" % (7, 8) in server.requests[0]
    assert b"traceparent" not in server.requests[1]


def test_each_thread_carries_its_own_trace() -> None:
    with raw_server(answer(reply())) as server:
        session = oh.Session(adder(server.url))

        def work(number: int) -> None:
            with trace.use_span(span(number)):
                for _ in range(5):
                    session.run(None, {"x": X})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(100, 108)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seen = [request.split(b"traceparent: ")[1].split(b"\r\n")[0] for request in server.requests]
    assert sorted(seen) == sorted(b"00-%032x-%016x-01" % (n, n + 1) for n in range(100, 108) for _ in range(5))


def test_a_run_that_fails_leaves_no_trace_behind() -> None:
    with raw_server(in_turn(iter([BUSY, answer(reply())]))) as server:
        session = oh.Session(adder(server.url))
        with trace.use_span(span(7)), pytest.raises(oh.RemoteStatusError):
            session.run(None, {"x": X})
        session.run(None, {"x": X})
    assert [b"traceparent" in request for request in server.requests] == [True, False]


def test_each_failed_attempt_is_one_log_line_with_its_fields(log: pytest.LogCaptureFixture) -> None:
    with raw_server(in_turn(iter([BUSY, BUSY, answer(b"}{")]))) as server:
        session = oh.Session(adder(server.url, retries=2))
        with pytest.raises(oh.ProtocolError):
            session.run(None, {"x": X})
    fields = [tuple(vars(r)[name] for name in ("node", "endpoint", "code", "status", "attempt")) for r in log.records]
    where = ("adder", server.url)
    assert fields == [(*where, "OH503", 503, 1), (*where, "OH503", 503, 2), (*where, "OH504", 200, 3)]
    assert all(record.name == "onnxhybrid" and record.levelno == logging.WARNING for record in log.records)
    assert "attempt 1 of node 'adder'" in log.records[0].getMessage()
    assert "words of the server" not in log.records[0].getMessage()


def test_a_failure_that_is_data_is_logged_too(log: pytest.LogCaptureFixture) -> None:
    with raw_server(BUSY) as server:
        session = oh.Session(adder(server.url, on_error="flag"))
        session.run(None, {"x": X})
        session.run(None, {"x": X})
    assert [vars(record)["code"] for record in log.records] == ["OH503", "OH503"]


def test_what_was_refused_before_it_was_sent_is_attempt_0(log: pytest.LogCaptureFixture) -> None:
    session = oh.Session(adder("http://127.0.0.1:1"), policy=oh.Policy(deny=["127.0.0.1"]))
    with pytest.raises(oh.PolicyDenied):
        session.run(None, {"x": X})
    assert [(vars(record)["code"], vars(record)["attempt"]) for record in log.records] == [("OH520", 0)]


def lines(log: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    """(code, attempt) of each line."""
    return [(vars(record)["code"], vars(record)["attempt"]) for record in log.records]


def fails(session: oh.Session) -> None:
    with pytest.raises(oh.RemoteError):
        session.run(None, {"x": X})


@pytest.mark.parametrize("policy", [{"breaker": {"failures": 1}}, {"budget": {"calls": 1}}])
def test_an_attempt_whose_repeat_is_refused_is_one_line(policy: dict[str, Any], log: pytest.LogCaptureFixture) -> None:
    with raw_server(BUSY) as server:
        session = oh.Session(adder(server.url, retries=2), policy=oh.Policy(**policy))
        fails(session)
        assert lines(log) == [("OH503", 1)]
        fails(session)
    refused = "OH523" if "breaker" in policy else "OH521"
    assert lines(log) == [("OH503", 1), (refused, 0)]
    assert log.records[1].getMessage().startswith("a call of node 'adder'")


def test_an_attempt_at_one_of_several_servers_whose_repeat_is_refused_is_one_line(
    log: pytest.LogCaptureFixture,
) -> None:
    with raw_server(BUSY) as first, raw_server(BUSY) as second:
        session = oh.Session(
            adder(oh.Endpoint("gpu"), retries=3),
            endpoints={"gpu": [first.url, second.url]},
            policy=oh.Policy(breaker={"failures": 1}),
        )
        fails(session)
        assert lines(log) == [("OH503", 1), ("OH503", 2)]
        assert [vars(record)["endpoint"] for record in log.records] == [first.url, second.url]
        fails(session)
    assert lines(log)[2:] == [("OH523", 0)]


def test_a_deadline_during_an_attempt_is_the_line_of_that_attempt(log: pytest.LogCaptureFixture) -> None:
    soon = answer(b"{}", status="503 Service Unavailable", more="Retry-After-Ms: 1\r\n")
    with raw_server(in_turn(iter([soon, silence]))) as server:
        fails(oh.Session(adder(server.url, retries=1, timeout=1.0)))
    assert lines(log) == [("OH503", 1), ("OH502", 2)]


def test_a_deadline_between_two_attempts_is_a_line_of_the_call(log: pytest.LogCaptureFixture) -> None:
    gate, busy, held = threading.Event(), threading.Event(), threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if b"/v2/models/other/" in request:
            held.set()
            gate.wait(SOON)
            answer(reply())(connection, request)
        else:
            busy.set()
            answer(b"{}", status="503 Service Unavailable", more="Retry-After: 1\r\n")(connection, request)

    with raw_server(behave) as server:
        adders = adder(server.url, timeout=2.5, retries=1), named("other", server.url, timeout=SOON)
        session = oh.Session(oh.switch("c", *adders), policy=oh.Policy(max_concurrency=1))
        with concurrent.futures.ThreadPoolExecutor() as threads:
            short = threads.submit(session.run, None, {"x": X, "c": np.array(True)})
            assert busy.wait(SOON)
            long = threads.submit(session.run, None, {"x": X, "c": np.array(False)})
            assert held.wait(SOON)  # it has the one place, while the other one pauses
            with pytest.raises(oh.RemoteTimeout):
                short.result(SOON)
            gate.set()
            long.result(SOON)
    assert lines(log) == [("OH503", 1), ("OH502", 0)]


@pytest.mark.parametrize("retries", [0, 2])
def test_a_call_that_is_begun_says_of_each_attempt_what_one_that_is_waited_for_says(
    retries: int, log: pytest.LogCaptureFixture
) -> None:
    with raw_server(BUSY) as server:
        fails(oh.Session(whole(server.url, retries=retries)))
    assert lines(log) == [("OH503", attempt) for attempt in range(1, retries + 2)]


def test_a_call_that_failed_before_it_was_left_is_one_line_and_counted(log: pytest.LogCaptureFixture) -> None:
    model = graph([begin(adder("http://127.0.0.1:1"), "ticket", ["x"])], [floats("x", "n", 3)], [ticket_value()])
    session = oh.Session(model, policy=oh.Policy(deny=["127.0.0.1"]))
    session.run(None, {"x": X})
    assert lines(log) == [("OH520", 0)]
    assert session.stats()["adder"].errors == {"OH520": 1}


def test_a_call_that_is_left_while_it_is_under_way_says_nothing(log: pytest.LogCaptureFixture) -> None:
    with raw_server(silence) as server:
        model = graph(
            [begin(adder(server.url, timeout=300.0), "ticket", ["x"])], [floats("x", "n", 3)], [ticket_value()]
        )
        session = oh.Session(model)
        session.run(None, {"x": X})
        assert not log.records
        assert session.stats()["adder"].errors == {"OH514": 1}


def test_a_run_that_is_cancelled_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    asked = threading.Event()

    def wait(connection: socket.socket, request: bytes) -> None:
        asked.set()
        silence(connection, request)

    with caplog.at_level(logging.DEBUG, "onnxhybrid"), raw_server(wait) as server:
        future = oh.Session(adder(server.url, timeout=300.0)).submit(None, {"x": X})
        assert asked.wait(SOON)
        future.cancel()
        concurrent.futures.wait([future])
    assert [(vars(record)["code"], record.levelno) for record in caplog.records] == [("OH514", logging.INFO)]


def test_requests_side_by_side_are_attempts_of_one_call_each_of_which_has_one_line(
    log: pytest.LogCaptureFixture,
) -> None:
    with raw_server(BUSY) as server:
        fails(oh.Session(adder(server.url, batch=1, retries=1)))
    attempts = [attempt for _, attempt in lines(log)]
    assert len(attempts) == len(set(attempts))
    assert all(attempts)
    assert sorted(attempts) == list(range(1, len(attempts) + 1))


def test_success_says_nothing(log: pytest.LogCaptureFixture) -> None:
    with raw_server(answer(reply())) as server:
        oh.Session(adder(server.url)).run(None, {"x": X})
    assert not log.records


def test_more_failures_than_are_kept_are_counted(log: pytest.LogCaptureFixture) -> None:
    many = oh.parallel(**{f"m{n}": adder("http://127.0.0.1:1", on_error="flag") for n in range(300)}).bind(x=X)
    oh.Session(many, policy=oh.Policy(deny=["127.0.0.1"])).run(None, {})
    assert len(log.records) == 257
    assert log.records[-1].getMessage().startswith("44 more")


def test_statistics_tell_calls_repeats_errors_bytes_times_and_connections() -> None:
    with raw_server(in_turn(iter([answer(reply()), BUSY, answer(reply()), answer(b"}{")]))) as server:
        session = oh.Session(adder(server.url, retries=1))
        assert session.stats() == {"adder": oh.NodeStats()}
        for _ in range(2):
            session.run(None, {"x": X})
        with pytest.raises(oh.ProtocolError):
            session.run(None, {"x": X})
        bodies = [request.split(b"\r\n\r\n", 1)[1] for request in server.requests]
    stats = session.stats()["adder"]
    assert (stats.calls, stats.retries, stats.errors, stats.connections) == (3, 1, {"OH504": 1}, 1)
    assert stats.bytes_out == sum(map(len, bodies))
    assert stats.bytes_in == 2 * len(reply()) + len(b'{"error": "words of the server"}') + 2
    assert stats.p50 is not None
    assert stats.p90 is not None
    assert stats.p99 is not None
    assert 0 < stats.p50 <= stats.p90 <= stats.p99 < 3


def test_a_plain_session_with_registered_options_runs_without_a_log() -> None:
    options = onnxruntime.SessionOptions()
    oh.register(options)
    with raw_server(BUSY) as server:
        model = adder(server.url).to_proto().SerializeToString()
        with pytest.raises(Exception, match="OH503"):
            onnxruntime.InferenceSession(model, options).run(None, {"x": X})


CONFIG = json.dumps({"events": True}).encode()
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_host_in_any_language_reads_statistics_failures_and_reports_by_functions_of_the_library() -> None:
    library = ctypes.CDLL(oh.library_path())
    library.onnxhybrid_scope_create.restype = ctypes.c_uint64
    library.onnxhybrid_scope_create.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
    for function in (library.onnxhybrid_scope_stats, library.onnxhybrid_scope_events):
        function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_uint64]
    library.onnxhybrid_free.argtypes = [ctypes.c_void_p]

    def read(function: Any) -> Any:
        text = function(scope)
        try:
            return json.loads(ctypes.string_at(text)) if text else None
        finally:
            library.onnxhybrid_free(text)

    scope = library.onnxhybrid_scope_create(CONFIG, None, None)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("onnxhybrid.scope", str(scope))
    options.register_custom_ops_library(oh.library_path())
    with raw_server(in_turn(iter([BUSY, answer(reply())]))) as server:
        model = adder(server.url, retries=1).to_proto().SerializeToString()
        session = onnxruntime.InferenceSession(model, options)
        library.onnxhybrid_trace(f"calls {TRACE}".encode())
        session.run(None, {"x": X})
        seen = read(library.onnxhybrid_scope_events)
        library.onnxhybrid_trace(None)
    stats = read(library.onnxhybrid_scope_stats)["adder"]
    assert (stats["calls"], stats["retries"], stats["errors"]) == (1, 1, {})
    assert [(event["code"], event["attempt"]) for event in seen["events"]] == [("OH503", 1)]
    [call] = seen["calls"]
    assert (call["node"], call["traceparent"], call["code"], call["counts"]["attempts"]) == ("adder", TRACE, None, 2)
    assert call["seconds"] >= stats["p50"] * 0.99
    assert read(library.onnxhybrid_scope_events) is None
    library.onnxhybrid_scope_release(ctypes.c_uint64(scope))

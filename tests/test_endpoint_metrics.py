"""The route /metrics of the embedded endpoint, judged by the parser of Prometheus' own client."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.endpoint.exposition import Counter, Family, exposed
from tests.endpoint_models import identity, reshaper
from tests.endpoint_process import answer_to, head
from tests.remotes import X, adder, in_turn, reply
from tests.servers.raw import answer, raw_server
from tests.test_begin import SOON
from tests.test_endpoint_services import chat

TOKEN = "letmein"
Samples = dict[str, dict[frozenset[tuple[str, str]], float]]
"""Name of a sample -> labels -> value."""


def call(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SOON)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def parsed(text: str) -> Samples:
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram", "summary")
        for name, labels, value, *_ in family.samples:
            series = samples.setdefault(name, {})
            key = frozenset(labels.items())
            assert key not in series, f"{name} has {labels} twice"
            series[key] = value
    return samples


def metrics(url: str) -> Samples:
    status, text, headers = call(url, "GET", "/metrics")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(text.decode())


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get(name, {}).get(frozenset(labels.items()), 0)


def infer(url: str, model: str, count: int = 2) -> int:
    entry = {"name": "x", "shape": [count], "datatype": "FP32", "data": [1.5] * count}
    return call(url, "POST", f"/v2/models/{quote(model)}/infer", json.dumps({"inputs": [entry]}).encode())[0]


@pytest.fixture
def url() -> Iterator[str]:
    with serve({"same": identity("FP32"), "chat": chat(), "reshape": reshaper()}, max_request_bytes=10_000) as endpoint:
        yield endpoint.url


def test_requests_are_counted_by_model_protocol_and_status(url: str) -> None:
    for _ in range(3):
        assert infer(url, "same") == 200
    said = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hello"}]}).encode()
    assert call(url, "POST", "/v1/chat/completions", said)[0] == 200
    assert call(url, "POST", "/score/same", b'{"data": "none"}')[0] == 400
    seen = metrics(url)
    total = "onnxhybrid_endpoint_requests_total"
    assert value(seen, total, model="same", protocol="kserve", status="200") == 3
    assert value(seen, total, model="chat", protocol="openai", status="200") == 1
    assert value(seen, total, model="same", protocol="azureml", status="400") == 1
    labels = {"model": "same", "protocol": "kserve"}
    assert value(seen, "onnxhybrid_endpoint_request_duration_seconds_count", **labels) == 3
    assert 0 < value(seen, "onnxhybrid_endpoint_request_duration_seconds_sum", **labels) < SOON


def test_the_bytes_of_bodies_are_counted(url: str) -> None:
    body = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}).encode()
    _, given, _ = call(url, "POST", "/v2/models/same/infer", body)
    seen = metrics(url)
    assert value(seen, "onnxhybrid_endpoint_request_bytes_total", model="same", protocol="kserve") == len(body)
    assert value(seen, "onnxhybrid_endpoint_response_bytes_total", model="same", protocol="kserve") == len(given)


def test_runs_of_a_model_are_timed_and_those_that_fail_counted(url: str) -> None:
    assert infer(url, "same") == 200
    entries = [
        {"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]},
        {"name": "shape", "shape": [1], "datatype": "INT64", "data": [7]},
    ]
    assert call(url, "POST", "/v2/models/reshape/infer", json.dumps({"inputs": entries}).encode())[0] == 500
    seen = metrics(url)
    assert value(seen, "onnxhybrid_endpoint_inference_duration_seconds_count", model="same") == 1
    assert value(seen, "onnxhybrid_endpoint_inference_duration_seconds_count", model="reshape") == 1
    assert value(seen, "onnxhybrid_endpoint_inference_failures_total", model="reshape") == 1
    assert value(seen, "onnxhybrid_endpoint_inference_failures_total", model="same") == 0


def test_buckets_of_a_histogram_never_fall_and_end_with_all(url: str) -> None:
    for _ in range(5):
        infer(url, "same")
    seen = metrics(url)
    buckets = seen["onnxhybrid_endpoint_inference_duration_seconds_bucket"]
    same = {dict(key)["le"]: count for key, count in buckets.items() if ("model", "same") in key}
    counts = [same[border] for border in sorted(same, key=float)]
    assert counts == sorted(counts)
    assert same["+Inf"] == value(seen, "onnxhybrid_endpoint_inference_duration_seconds_count", model="same") == 5


def test_what_is_refused_is_counted_by_its_reason(url: str) -> None:
    refused = "onnxhybrid_endpoint_refused_requests_total"
    assert infer(url, "same", 20_000) == 413
    assert b" 421 " in answer_to(url, head("GET", "/v2", "Host: rebound.example"))
    assert b" 400 " in answer_to(url, b"nonsense\r\n\r\n")
    seen = metrics(url)
    assert [value(seen, refused, reason=reason) for reason in ("size", "host", "malformed")] == [1, 1, 1]


def test_what_finds_no_memory_or_no_connection_is_counted() -> None:
    refused = "onnxhybrid_endpoint_refused_requests_total"
    with serve({"same": identity("FP32")}, max_memory_bytes=100_000, max_connections=8) as endpoint:
        assert infer(endpoint.url, "same", 50_000) == 413
        seen = metrics(endpoint.url)
        assert value(seen, refused, reason="size") == 1
        assert value(seen, "onnxhybrid_endpoint_memory_limit_bytes") == 100_000
        assert 0 < value(seen, "onnxhybrid_endpoint_memory_held_bytes") <= 100_000
        assert (
            value(seen, "onnxhybrid_endpoint_connections"),
            value(seen, "onnxhybrid_endpoint_connections_limit"),
        ) == (1, 8)


def test_a_request_that_does_not_arrive_in_time_is_counted() -> None:
    with serve({"same": identity("FP32")}, receive_timeout=0.2) as endpoint:
        assert b" 408 " in answer_to(endpoint.url, b"POST /v2/models/same/infer HTTP/1.1\r\n")
        assert value(metrics(endpoint.url), "onnxhybrid_endpoint_refused_requests_total", reason="time") == 1


def test_what_is_under_way_is_a_gauge() -> None:
    asked, gate = threading.Event(), threading.Event()

    def hold(connection: socket.socket, request: bytes) -> None:
        asked.set()
        gate.wait(SOON)
        answer(reply())(connection, request)

    with raw_server(hold) as server, serve({"hybrid": adder(server.url, timeout=SOON)}) as endpoint:
        with ThreadPoolExecutor() as threads:
            running = threads.submit(ask_hybrid, endpoint.url)
            assert asked.wait(SOON)
            seen = metrics(endpoint.url)
            gate.set()
            assert running.result(SOON) == 200
        assert value(seen, "onnxhybrid_endpoint_inferences_in_progress", model="hybrid") == 1
        assert value(seen, "onnxhybrid_endpoint_requests_in_progress") == 2  # this question is one, too
        assert value(metrics(endpoint.url), "onnxhybrid_endpoint_inferences_in_progress", model="hybrid") == 0


def ask_hybrid(url: str) -> int:
    entry = {"name": "x", "shape": list(X.shape), "datatype": "FP32", "data": X.flatten().tolist()}
    return call(url, "POST", "/v2/models/hybrid/infer", json.dumps({"inputs": [entry]}).encode())[0]


def test_remote_nodes_of_a_hybrid_tell_what_its_session_counts_and_not_where_they_are() -> None:
    busy = answer(b"{}", status="503 Service Unavailable")
    with raw_server(in_turn(iter([busy, answer(reply()), answer(b"}{")]))) as server:
        hybrid = adder(oh.Endpoint("gpu", default=server.url), retries=1)
        with serve({"hybrid": hybrid}) as endpoint:
            assert [ask_hybrid(endpoint.url) for _ in range(2)] == [200, 500]
            text = call(endpoint.url, "GET", "/metrics")[1].decode()
        sent = sum(len(request.partition(b"\r\n\r\n")[2]) for request in server.requests)
    seen, node = parsed(text), {"model": "hybrid", "node": "adder"}
    assert value(seen, "onnxhybrid_remote_calls_total", **node) == 2
    assert value(seen, "onnxhybrid_remote_retries_total", **node) == 1
    assert value(seen, "onnxhybrid_remote_errors_total", **node, code="OH504") == 1
    assert value(seen, "onnxhybrid_remote_bytes_out_total", **node) == sent
    assert 0 < value(seen, "onnxhybrid_remote_call_duration_seconds", **node, quantile="0.99") < SOON
    assert urlsplit(server.url).netloc not in text


def test_strangers_cannot_make_it_longer(url: str) -> None:
    def strange(number: int) -> None:
        infer(url, f"no such model {number}")
        call(url, "GET", f"/strange/{number}")
        call(url, "POST", f"/score/m{number}", b"{}")
        call(url, "POST", "/v1/embeddings", json.dumps({"model": f"m{number}", "input": "x"}).encode())
        call(url, "POST", f"/openai/deployments/m{number}/embeddings", b'{"input": "x"}')
        answer_to(url, head("GET", "/v2", f"Host: strange{number}.example"))
        answer_to(url, f"STRANGE{number} /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    strange(0)
    metrics(url)
    before = {name: set(series) for name, series in metrics(url).items()}
    for number in range(1, 4):
        strange(number)
    assert {name: set(series) for name, series in metrics(url).items()} == before


def test_it_is_behind_the_token_as_all_routes_are() -> None:
    with serve({"same": identity("FP32")}, token=TOKEN) as endpoint:
        assert call(endpoint.url, "GET", "/metrics")[0] == 401
        status, text, _ = call(endpoint.url, "GET", "/metrics", Authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert value(parsed(text.decode()), "onnxhybrid_endpoint_refused_requests_total", reason="token") == 1


def test_the_name_of_a_model_may_hold_what_the_format_escapes() -> None:
    name = 'a "quoted" \\ name, {b="c"}'
    with serve({name: identity("FP32")}) as endpoint:
        assert infer(endpoint.url, name) == 200
        assert value(metrics(endpoint.url), "onnxhybrid_endpoint_inference_duration_seconds_count", model=name) == 1


@given(st.dictionaries(st.text(), st.integers(1, 10**6), max_size=5), st.text())
def test_any_text_is_written_so_that_it_is_read_again(counts: dict[str, int], what: str) -> None:
    counter = Counter("label")
    for text, count in counts.items():
        counter.add(count, text)
    family = Family("things_total", "counter", what or "x", counter.samples())
    read = list(text_string_to_metric_families(exposed([family])))
    assert {sample.labels["label"]: sample.value for each in read for sample in each.samples} == counts


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="it reads /proc")
def test_the_memory_of_the_process_is_what_the_system_says(url: str) -> None:
    resident = value(metrics(url), "process_resident_memory_bytes")
    lines = Path("/proc/self/status").read_text().splitlines()
    said = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))
    assert abs(resident - said) < 64 << 20
    assert value(metrics(url), "process_cpu_seconds_total") > 0

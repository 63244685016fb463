"""The embedded endpoint and requests that no well-behaved client sends, by plain HTTP."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid.endpoint.server import Endpoint
from onnxhybrid.endpoint.tensors import DATATYPES
from tests.endpoint_models import adder, identity, post, request

LIMIT = 100_000
LENGTH = "Inference-Header-Content-Length"
X = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}
BINARY_X = {"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
VALUES = np.array([1, 2], np.float32).tobytes()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    models = {datatype.lower(): identity(datatype) for datatype in DATATYPES}
    with oh.endpoint.serve({**models, "adder": adder()}, max_request_bytes=LIMIT) as running:
        yield running


@pytest.fixture
def url(endpoint: Endpoint) -> Iterator[str]:
    """The endpoint's URL, and afterwards the promise that it still works."""
    yield endpoint.url
    status, answer, _ = post(endpoint.url, "/v2/models/fp32/infer", {"inputs": [X]})
    assert (status, answer["outputs"][0]["data"]) == (200, [1, 2])


def refusal(answer: tuple[int, Any, bytes], status: int = 400) -> str:
    """The message of an answer that is an error of this status, and nothing else."""
    assert answer[0] == status
    assert list(answer[1]) == ["error"]
    assert isinstance(answer[1]["error"], str)
    return answer[1]["error"]


def with_data(text: dict[str, Any], data: bytes) -> tuple[bytes, dict[str, str]]:
    encoded = json.dumps(text).encode()
    return encoded + data, {LENGTH: str(len(encoded))}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": [{**X, "datatype": "INT32"}]}, "data-type is 'INT32', but model 'fp32' expects 'FP32'"),
        ({"inputs": [{**X, "datatype": "FP31"}]}, "invalid datatype"),
        ({"inputs": [{**X, "name": "z"}]}, "unexpected inference input 'z'"),
        ({"inputs": []}, "missing required input"),
        ({"inputs": [X, X]}, "already exists"),
        ({"inputs": [{**X, "shape": [-2]}]}, "shape"),
        ({"inputs": [{**X, "shape": [3]}]}, "3 elements, got 2"),
        ({"inputs": [{**X, "shape": [2**62, 2**62]}]}, "elements, got 2"),
        ({"inputs": [{**X, "shape": [0, 2**62], "data": []}]}, "too large"),
        ({"inputs": [{**X, "data": [1, "2"]}]}, "no FP32"),
        ({"inputs": [{**X, "data": [1, [2]]}]}, "mixed"),
        ({"inputs": [{**X, "data": [1, 1e300]}]}, "out of the range"),
        ({"inputs": [{**X, "parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
        ({"inputs": [X], "outputs": [{"name": "z"}]}, "unexpected inference output 'z'"),
        ({"inputs": [BINARY_X]}, "8 additional bytes"),
        (b'{"inputs": [', "failed to parse"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [NaN]}]}', "NaN is no JSON"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [Infinity]}]}', "Infinity is no JSON"),
        (b'{"inputs": [{"name": "\xff"}]}', "utf-8"),
        (b"[" * 50_000, "failed to parse"),
        (b"", "failed to parse"),
    ],
)
def test_a_malformed_request_is_a_400_that_says_what_is_wrong(url: str, body: Any, message: str) -> None:
    assert message in refusal(post(url, "/v2/models/fp32/infer", body))


@pytest.mark.parametrize("length", ["-1", "100000", "x", "1e3", "9" * 40, "", "5"])
def test_a_length_of_the_json_object_that_lies_is_a_400(url: str, length: str) -> None:
    body, _ = with_data({"inputs": [BINARY_X]}, VALUES)
    refusal(post(url, "/v2/models/fp32/infer", body, {LENGTH: length}))


@pytest.mark.parametrize("size", [0, 7, 9, 2**63, 2**200, -8, "8", None, True])
def test_a_size_of_binary_data_that_lies_is_a_400(url: str, size: object) -> None:
    body, headers = with_data({"inputs": [{**BINARY_X, "parameters": {"binary_data_size": size}}]}, VALUES)
    refusal(post(url, "/v2/models/fp32/infer", body, headers))


def test_binary_data_that_is_too_long_or_too_short_for_the_shape_is_a_400(url: str) -> None:
    for shape in ([1], [3], [2**62], [2**40, 2**40]):
        body, headers = with_data({"inputs": [{**BINARY_X, "shape": shape}]}, VALUES)
        assert "unexpected total byte size 8" in refusal(post(url, "/v2/models/fp32/infer", body, headers))


def test_bytes_that_belong_to_no_input_are_a_400(url: str) -> None:
    body, headers = with_data({"inputs": [BINARY_X]}, VALUES + b"!")
    assert "unexpected additional input data" in refusal(post(url, "/v2/models/fp32/infer", body, headers))


def test_a_message_repeats_little_of_a_client_s_own_words(url: str) -> None:
    body = {"inputs": [{**X, "name": "z" * 50_000 + "\n\ud800"}]}
    assert len(refusal(post(url, "/v2/models/fp32/infer", body))) < 300


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=50), st.none() | st.text("0123456789-+ x", max_size=4), st.binary(max_size=8))
def test_no_body_at_all_gets_a_500(endpoint: Endpoint, body: bytes, length: str | None, data: bytes) -> None:
    headers = {} if length is None else {LENGTH: length}
    assert post(endpoint.url, "/v2/models/fp32/infer", body + data, headers)[0] in (200, 400)


@pytest.mark.parametrize("datatype", [datatype for datatype in DATATYPES if datatype not in ("BOOL", "BYTES")])
def test_every_number_may_be_sent_as_json(url: str, datatype: str) -> None:
    body = {"inputs": [{**X, "datatype": datatype}]}
    status, answer, _ = post(url, f"/v2/models/{datatype.lower()}/infer", body)
    assert (status, answer["outputs"][0]) == (200, {"name": "y", "datatype": datatype, "shape": [2], "data": [1, 2]})


def test_outputs_that_say_nothing_of_their_form_follow_the_request(url: str) -> None:
    body = {"inputs": [X], "outputs": [{"name": "y"}], "parameters": {"binary_data_output": True}}
    assert post(url, "/v2/models/fp32/infer", body)[2] == VALUES
    body["outputs"] = [{"name": "y", "parameters": {"binary_data": False}}]
    assert post(url, "/v2/models/fp32/infer", body)[2] == b""


def test_a_body_without_a_json_object_is_the_one_input_of_the_model(url: str) -> None:
    status, answer, data = post(url, "/v2/models/adder/infer", bytes(24), {LENGTH: "0"})
    assert (status, [output["shape"] for output in answer["outputs"]]) == (200, [[2, 3], [2, 3]])
    assert np.frombuffer(data, np.float32).tolist() == [10] * 6 + [0] * 6
    assert "byte size 25" in refusal(post(url, "/v2/models/adder/infer", bytes(25), {LENGTH: "0"}))
    assert "known rank" in refusal(post(url, "/v2/models/fp32/infer", bytes(8), {LENGTH: "0"}))


def test_what_is_not_there_is_a_404_and_another_method_a_405(url: str) -> None:
    assert refusal(request(url, "GET", "/"), 404) == "Not Found"
    assert refusal(request(url, "GET", "/v2/"), 404) == "Not Found"
    assert "'nobody' is not found" in refusal(request(url, "GET", "/v2/models/nobody"), 404)
    assert "version '2' is not found" in refusal(request(url, "GET", "/v2/models/fp32/versions/2"), 404)
    assert refusal(request(url, "GET", "/v2/models/fp32/infer"), 405) == "Method Not Allowed"
    assert refusal(post(url, "/v2", b""), 405) == "Method Not Allowed"


def test_a_body_over_the_limit_is_a_413_whether_it_says_its_length_or_not(url: str) -> None:
    assert "larger than the 100000 bytes" in refusal(post(url, "/v2/models/fp32/infer", bytes(LIMIT + 1)), 413)
    pieces = (bytes(10_000) for _ in range(500))
    assert "larger than the 100000 bytes" in refusal(post(url, "/v2/models/fp32/infer", pieces), 413)
    refusal(post(url, "/v2/models/fp32/infer", bytes(LIMIT)))


def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(url: str) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=20) as connection:
        connection.sendall(b"POST /v2/models/fp32/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_compressed_data_may_not_unpack_to_more_than_the_limit(url: str) -> None:
    bomb = gzip.compress(bytes(50 * LIMIT))
    assert len(bomb) < LIMIT
    refused = refusal(post(url, "/v2/models/fp32/infer", bomb, {"Content-Encoding": "gzip"}), 413)
    assert "unpacks to more" in refused


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"no gzip"),
        ("deflate", zlib.compress(b"{}")[:-2]),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"?"),
        ("br", b"{}"),
    ],
)
def test_compressed_data_that_is_damaged_or_unknown_is_a_400(url: str, encoding: str, body: bytes) -> None:
    assert encoding in refusal(post(url, "/v2/models/fp32/infer", body, {"Content-Encoding": encoding}))


def test_a_client_that_leaves_in_the_middle_is_let_go_and_keeps_nobody_waiting(url: str) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=20) as connection:
        connection.sendall(b"POST /v2/models/fp32/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        assert post(url, "/v2/models/fp32/infer", {"inputs": [X]})[0] == 200
        connection.shutdown(socket.SHUT_WR)
        assert b"200 OK" not in connection.makefile("rb").read()  # to the end, which the endpoint has to make


def test_what_is_no_http_is_a_400(url: str) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=20) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_calls_do_not_wait_for_a_delayed_acknowledgement(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    started = time.perf_counter()
    for _ in range(50):
        connection.request("GET", "/v2/models/adder")
        connection.getresponse().read()
    connection.close()
    assert time.perf_counter() - started < 50 * 0.03

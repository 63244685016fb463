"""The embedded endpoint and clients that send slowly, never, or take nothing: they hold up nobody else."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.endpoint_models import identity, post, request
from tests.endpoint_process import answer_to, connect, head, serving
from tests.servers.raw import raw_server, silence
from tests.test_endpoint_hosts import refused
from tests.test_endpoint_services import FLOAT, model

SOON = 1.0
LARGE = 8 << 20
X = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}
START = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{"


@pytest.fixture
def url() -> Iterator[str]:
    """An endpoint to which a request has to come soon, and afterwards the promise that it still works."""
    with serve({"m": identity("FP32")}, receive_timeout=SOON, max_connections=8) as endpoint:
        yield endpoint.url
        assert post(endpoint.url, "/v2/models/m/infer", {"inputs": [X]})[0] == 200


def to_the_end(connection: socket.socket) -> bytes:
    """What comes until the endpoint ends the connection; a reset is an end."""
    received = b""
    try:
        while piece := connection.recv(1 << 16):
            received += piece
    except ConnectionResetError:
        pass
    return received


def kept(url: str) -> socket.socket:
    """A connection that has been used, and is kept."""
    connection = connect(url)
    connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += connection.recv(1 << 16)
    return connection


def test_a_connection_on_which_nothing_comes_ends(url: str) -> None:
    assert answer_to(url, b"") == b""


@pytest.mark.parametrize("path", ["/v2/models/m/infer", "/v1/embeddings", "/score"])
def test_an_unfinished_head_or_body_is_a_408_in_the_form_of_its_protocol(url: str, path: str) -> None:
    for rest in (" HTTP/1.1\r\nHos", " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{"):
        assert refused(answer_to(url, f"POST {path}{rest}".encode()), path) == 408


def test_an_unfinished_chunked_body_and_one_behind_an_expectation_end(url: str) -> None:
    for header, body in (("Transfer-Encoding: chunked", b"5\r\n{"), ("Expect: 100-continue\r\nContent-Length: 9", b"")):
        answer = answer_to(url, f"POST /score HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode() + body)
        assert b"HTTP/1.1 408" in answer


@pytest.mark.parametrize("sent", [b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: ", START])
def test_a_request_that_drips_in_ends_as_one_that_stops(url: str, sent: bytes) -> None:
    with connect(url) as connection:
        connection.sendall(sent)
        connection.settimeout(SOON / 10)
        for _ in range(400):  # each waits a tenth of the time
            try:
                connection.sendall(b"a")
                if connection.recv(1 << 16) != b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it went on for forty times as long as it may")


def test_an_unfinished_head_on_a_connection_that_was_used_ends_too(url: str) -> None:
    with kept(url) as connection:
        connection.sendall(b"GET /v2 HTT")
        assert to_the_end(connection).startswith(b"HTTP/1.1 408")


def test_an_unfinished_body_behind_a_pipelined_request_ends_too(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n" + START)
        answers = to_the_end(connection)
    assert (answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 ")) in ((1, 1), (1, 2))


def test_the_rest_of_a_refused_body_is_not_waited_for_without_end(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{")
        assert to_the_end(connection).startswith(b"HTTP/1.1 413")


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    nodes = [helper.make_node("Expand", ["x", "size"], ["y"])]
    large = model(nodes, [("x", FLOAT, [1])], ("y", FLOAT, [LARGE]), size=np.array([LARGE]))
    body = json.dumps({"inputs": [{**X, "shape": [1], "data": [1]}]}).encode()
    sent = head("POST", "/v2/models/m/infer", "Host: localhost", f"Content-Length: {len(body)}") + body
    with serve({"m": large}, receive_timeout=SOON) as endpoint, connect(endpoint.url) as connection:
        connection.sendall(sent)
        first = connection.recv(1)  # it has begun, and is left alone while other connections end one after the other
        for _ in range(3):
            assert answer_to(endpoint.url, b"") == b""
        assert len(first + to_the_end(connection)) < 2 * LARGE


def test_pipelined_requests_are_all_answered(url: str) -> None:
    once = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = answer_to(url, once * 50 + head("GET", "/v2/health/live", "Host: localhost"))
    assert answer.count(b"HTTP/1.1 200 OK") == 51


@pytest.mark.parametrize("waiting", ["nothing", "a head", "a body", "another request"])
def test_where_all_connections_wait_for_their_clients_another_is_served(waiting: str) -> None:
    with serve({"m": identity("FP32")}, max_connections=8) as endpoint:
        others = []
        for _ in range(20):
            others.append(kept(endpoint.url) if waiting == "another request" else connect(endpoint.url))
            if waiting in ("a head", "a body"):
                others[-1].sendall(START if waiting == "a body" else START[:9])
            assert request(endpoint.url, "GET", "/v2")[0] == 200
        for other in others[:8]:
            assert to_the_end(other) == b""  # those that waited for longest made room
        for other in others:
            other.close()


def test_where_each_connection_is_being_answered_another_is_told_to_come_again() -> None:
    arrived = threading.Semaphore(0)

    def hold(connection: socket.socket, heard: bytes) -> None:
        arrived.release()
        silence(connection, heard)

    with raw_server(hold) as server:
        slow = oh.remote.triton(
            server.url,
            "m",
            inputs=[oh.TensorSpec("x", "float32", ("n",))],
            outputs=[oh.TensorSpec("y", "float32", ("n",))],
            timeout=3.0,
            retries=0,
        )
        with serve({"slow": slow}, max_connections=2, receive_timeout=1) as endpoint, ExitStack() as working:
            body = json.dumps({"inputs": [X]}).encode()
            sent = head("POST", "/v2/models/slow/infer", "Host: localhost", f"Content-Length: {len(body)}") + body
            asking = [working.enter_context(connect(endpoint.url)) for _ in range(2)]
            for each in asking:
                each.sendall(sent)
                assert arrived.acquire(timeout=20)
            assert b"HTTP/1.1 503" in answer_to(endpoint.url, b"")
            for each in asking:
                assert b"[OH502]" in to_the_end(each)  # whose time is the model's, not that of the connection
            assert request(endpoint.url, "GET", "/v2")[0] == 200


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_three_hundred_idle_connections_leave_room_in_256_descriptors(tmp_path: Path) -> None:
    with serving(tmp_path, {"m": identity("FP32")}, descriptors=256) as process:
        for start in (b"", START, START[:20]):
            others = [connect(process.url) for _ in range(300)]
            for other in others if start else ():
                try:
                    other.sendall(start)
                except OSError:
                    continue  # it has made room
            assert post(process.url, "/v2/models/m/infer", {"inputs": [X]})[0] == 200
            assert process.descriptors() < 256
            for other in others:
                other.close()


def test_a_client_that_reads_steadily_gets_a_large_answer_however_long_it_takes(url: str) -> None:
    with connect(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        body = json.dumps({"inputs": [{**X, "shape": [100_000], "data": [0.123] * 100_000}]}).encode()
        connection.sendall(head("POST", "/v2/models/m/infer", "Host: localhost", f"Content-Length: {len(body)}") + body)
        answer = to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"]}]}")


def test_what_is_no_http_is_a_400_in_the_form_of_the_protocol(url: str) -> None:
    for path in ("/v2", "/v1/models"):
        for lines in (["Host : localhost"], ["Host: localhost", "Content-Length: x"], ["a\0: b"]):
            assert refused(answer_to(url, head("GET", path, *lines)), path) == 400

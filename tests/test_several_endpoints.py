"""Several servers behind one name: one of them dies under load and comes back, and no call is lost."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal, final

import pytest

import onnxhybrid as oh
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import answer, raw_server

WAIT = 60.0


@final
class Load:
    """Threads that call until they are told to end, and what went wrong with their calls."""

    def __init__(self, session: oh.Session) -> None:
        self.session = session
        self.wrong: list[object] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(4)]

    def _call(self) -> None:
        while not self._over.is_set():
            try:
                [y] = self.session.run(None, {"x": X})
                if y.tolist() != [[1, 2], [3, 4]]:
                    self.wrong.append(y)
            except oh.Error as problem:
                self.wrong.append(problem)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let the threads finish their calls."""
        self._over.set()
        for thread in self._threads:
            thread.join(WAIT)

    def sent(self, url: str) -> int:
        """Requests that went to a server so far."""
        [row] = self.session.stats().values()
        return row.endpoints[url]

    def until(self, true: Callable[[], bool]) -> None:
        """Go on until something holds."""
        end = time.monotonic() + WAIT
        while not true():
            assert not self.wrong, self.wrong[:3]
            assert time.monotonic() < end
            self._over.wait(0.01)


PROGRAM = """
import json, socket, sys, threading
body = json.dumps({"model_name": "adder", "outputs": [json.loads(sys.argv[2])]}).encode()
answer = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body

def talk(connection):
    while b"\\r\\n\\r\\n" in connection.recv(1 << 16):
        connection.sendall(answer)

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()
"""
"""A server whose answers leave in one piece: it dies in the midst of none, which would not be repeated."""


@contextlib.contextmanager
def running(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process, and the port on which it serves."""
    [output] = json.loads(reply())["outputs"]
    command = [sys.executable, "-c", PROGRAM, str(port), json.dumps(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("order", ["first", "spread"])
def test_no_call_is_lost_while_a_server_is_killed_and_brought_back(order: Literal["first", "spread"]) -> None:
    model = adder(oh.Endpoint("gpu", order=order), timeout=20.0, retries=2)
    with running() as (first, port), running() as (_, other):
        one, two = (f"http://127.0.0.1:{number}" for number in (port, other))
        session = oh.Session(model, endpoints={"gpu": [one, two]})
        with Load(session) as load:
            load.until(lambda: load.sent(one) > 200)
            first.kill()
            first.wait()
            before = load.sent(two)
            load.until(lambda: load.sent(two) > before + 500)
            lost = load.sent(one)
            with running(port):
                load.until(lambda: load.sent(one) > lost + 200)
                load.end()
        [row] = session.stats().values()
    assert (load.wrong, row.errors) == ([], {})
    assert sum(row.endpoints.values()) == row.calls + row.retries


def test_a_token_goes_to_each_server_of_the_name_and_nowhere_else() -> None:
    busy = answer(b"", status="503 Service Unavailable")
    with raw_server(busy) as first, raw_server(answer(reply())) as second, raw_server(busy) as default:
        model = adder(oh.Endpoint("gpu", default.url), auth=oh.Credential("c"), retries=1)
        session = oh.Session(model, endpoints={"gpu": [first.url, second.url]}, credentials={"c": TOKEN})
        session.run(None, {"x": X})
        assert [TOKEN.encode() in server.requests[0] for server in (first, second)] == [True, True]
        assert (len(first.requests), len(second.requests), default.requests) == (1, 1, [])
        [row] = session.stats().values()
        assert (row.calls, row.retries, dict(row.endpoints)) == (1, 1, {first.url: 1, second.url: 1})


def test_a_repeat_in_json_goes_on_where_the_request_in_bytes_was_refused() -> None:
    """The first server is gone; the second one reads JSON alone, and is asked for its extensions."""

    def reads_json(connection: object, request: bytes) -> None:
        if request.startswith(b"GET /v2 "):
            behave = answer(b'{"name": "s", "extensions": []}')
        elif b"inference-header-content-length" in request.lower():
            behave = answer(b'{"error": "no binary"}', status="400 Bad Request")
        else:
            behave = answer(reply())
        behave(connection, request)  # type: ignore[arg-type]

    with raw_server(answer(b"", status="503 Service Unavailable")) as first, raw_server(reads_json) as second:
        session = oh.Session(adder(oh.Endpoint("gpu"), retries=1), endpoints={"gpu": [first.url, second.url]})
        for _ in range(2):
            session.run(None, {"x": X})
        assert len(first.requests) == 1
        assert len(second.requests) == 4  # in bytes, the question, in JSON; then in JSON at once


def test_requests_to_each_server_are_counted_on_when_the_model_is_opened_again() -> None:
    with raw_server(answer(reply())) as first, raw_server(answer(reply())) as second:
        session = oh.Session(adder(oh.Endpoint("gpu")), endpoints={"gpu": [first.url, second.url]})
        session.run(None, {"x": X})
        session.set_providers(["CPUExecutionProvider"])
        session.run(None, {"x": X})
        [row] = session.stats().values()
        assert (row.calls, dict(row.endpoints)) == (2, {first.url: len(first.requests), second.url: 0})


def test_a_call_that_goes_on_beside_others_is_repeated_at_the_next_server_too() -> None:
    busy = answer(b"", status="503 Service Unavailable")
    with raw_server(busy) as first, raw_server(answer(reply())) as second:
        remotes = {name: adder(oh.Endpoint("gpu"), retries=1, name=name) for name in ("one", "two")}
        session = oh.Session(oh.overlap(oh.parallel(**remotes)), endpoints={"gpu": [first.url, second.url]})
        for _ in range(3):
            session.run(None, {"x": X})
        assert 1 <= len(first.requests) <= 2  # both nodes know that it is left alone
        assert len(second.requests) == 6

"""Several servers behind one name: one of them dies under load and comes back, and no call is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

import numpy as np
import pytest

import onnxhybrid as oh
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import answer, raw_server
from tests.strategies import dense
from tests.test_endpoint_command import Running

WAIT = 60.0


@final
class Load:
    """Threads that call until they are told to end, and what went wrong with their calls."""

    def __init__(self, session: oh.Session, expected: np.ndarray) -> None:
        self.session, self.expected = session, expected
        self.wrong: list[object] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(4)]

    def _call(self) -> None:
        while not self._over.is_set():
            try:
                [y] = self.session.run(None, {"x": X})
                if not np.allclose(y, self.expected):
                    self.wrong.append(y)
            except oh.Error as problem:
                self.wrong.append(problem)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
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


@pytest.mark.parametrize("order", ["first", "spread"])
def test_no_call_is_lost_while_a_server_is_killed_and_brought_back(order: str, tmp_path: Path) -> None:
    local = dense("m", "x", "y", (3, 2))
    local.save(tmp_path / "m.onnx")
    [expected] = oh.Session(local).run(None, {"x": X})
    serve = f"m={tmp_path / 'm.onnx'}"
    gpu = oh.Endpoint("gpu", order=order)  # type: ignore[arg-type]
    model = oh.remote.triton(gpu, "m", inputs=local.inputs, outputs=local.outputs, timeout=20.0, retries=2)
    with Running([serve]) as first, Running([serve]) as second:
        session = oh.Session(model, endpoints={"gpu": [first.url, second.url]})
        with Load(session, expected) as load:
            load.until(lambda: load.sent(first.url) > 50)
            first.process.kill()
            first.process.wait()
            before = load.sent(second.url)
            load.until(lambda: load.sent(second.url) > before + 200)
            lost = load.sent(first.url)
            with Running([serve, "--port", str(urlsplit(first.url).port)]):
                load.until(lambda: load.sent(first.url) > lost + 50)
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

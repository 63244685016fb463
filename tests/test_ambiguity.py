"""Answers that can be understood in two ways: a call brings its own values or a code, and so do those behind it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import h11
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

import onnxhybrid as oh
from tests.servers.echo import remote
from tests.servers.faults import http2
from tests.servers.faults.ambiguous import Ambiguous, Said, grpc, http1
from tests.servers.faults.messages import field, tensor
from tests.servers.raw import listening, read_request

Array = npt.NDArray[np.float32]

HTTP1, GRPC = list(http1()), list(grpc())
FEEDS = [np.full((2, 3), value, np.float32) for value in (1, 2, 3)]
WRONG = np.full((2, 3), 666, np.float32)
OWN = "its own value"

DEADLINE = 0.5
"""Seconds until a call ends whose answer does not seem to end."""


def right(x: Array) -> Array:
    """What the server computes."""
    return x * 10


def _json(values: Array) -> bytes:
    output = {"name": "y", "datatype": "FP32", "shape": list(values.shape), "data": values.ravel().tolist()}
    return json.dumps({"model_name": "m", "outputs": [output]}).encode()


def _protobuf(values: Array) -> bytes:
    return tensor(shape=bytes(values.shape)) + field(6, values.tobytes())


def _fed(data: bytes) -> Array:
    """The input of a request, whose bytes are its last ones in both protocols."""
    return np.frombuffer(data[-24:], np.float32).reshape(2, 3)


def _speak_http1(case: Ambiguous, connection: socket.socket, turns: Iterator[int]) -> None:
    plain = Ambiguous("", _plain)
    while request := read_request(connection):
        now = case if next(turns) == 0 else plain
        connection.sendall(now.answer(Said(_json(right(_fed(request))), _json(WRONG))))
        if now.closes:
            return


def _plain(said: Said) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said.own) + said.own


def _speak_grpc(case: Ambiguous, connection: socket.socket, turns: Iterator[int]) -> None:
    speech = http2.Speech(connection)
    while stream := speech.request():
        said = Said(_protobuf(right(_fed(speech.heard))), _protobuf(WRONG), stream)
        connection.sendall(case.answer(said) if next(turns) == 0 else http2.good(stream, said.own))


def _met(case: Ambiguous, scheme: str) -> list[str]:
    """What becomes of calls one after the other, the first of which gets the ambiguous answer."""
    turns = iter(range(1_000))
    speak = _speak_grpc if scheme == "grpc" else _speak_http1
    with listening(lambda connection: speak(case, connection, turns)) as address:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = oh.Session(remote(f"{scheme}://{address}", "m", timeout=DEADLINE), sess_options=options)
        outcomes = [_called(session, x) for x in FEEDS]
        del session
        return outcomes


def _called(session: oh.Session, x: Array) -> str:
    try:
        (y,) = session.run(None, {"x": x})
    except oh.RemoteError as problem:
        return problem.code
    return OWN if np.array_equal(y, right(x)) else f"another value: {y!r}"


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str], Future[list[str]]]]:
    """The cases that were chosen, met side by side."""
    chosen = [item.callspec.params for item in request.session.items if item.name.startswith(BRINGS)]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(16) as pool:
        yield {
            (params["scheme"], params["case"].name): pool.submit(_met, params["case"], params["scheme"])
            for params in chosen
        }


BRINGS = "test_an_ambiguous_answer_brings_each_call_its_own_values_or_a_code"
SAMPLE = 3
"""Of the cases, each that many-th is tried here; `make attack` tries all."""


def _each() -> Iterator[object]:
    for scheme, cases in (("http", HTTP1), ("grpc", GRPC)):
        for index, case in enumerate(cases):
            marks = [pytest.mark.attack] if index % SAMPLE else []
            yield pytest.param(scheme, case, id=f"{scheme}: {case.name}", marks=marks)


@pytest.mark.parametrize(("scheme", "case"), list(_each()))
def test_an_ambiguous_answer_brings_each_call_its_own_values_or_a_code(
    scheme: str, case: Ambiguous, outcomes: dict[tuple[str, str], Future[list[str]]]
) -> None:
    first, *others = outcomes[scheme, case.name].result()
    for outcome in (first, *others):
        assert outcome == OWN or outcome.startswith("OH5")
    assert others[-1] == OWN  # the session recovers
    if scheme == "http" and first == OWN:
        own = _json(right(FEEDS[0]))
        assert _read_by_h11(case, own) in (own, None)


def _read_by_h11(case: Ambiguous, own: bytes) -> bytes | None:
    """What another reader of HTTP makes of it; None where it refuses, or waits for more."""
    reader, body = h11.Connection(h11.CLIENT), b""
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(case.answer(Said(own, _json(WRONG))))
    if case.closes:
        reader.receive_data(b"")
    while True:
        try:
            event = reader.next_event()
        except h11.RemoteProtocolError:
            return None
        if isinstance(event, h11.Response) and event.status_code != 200:
            return None
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return body
        elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
            return None


def _names(cases: Sequence[Ambiguous]) -> set[str]:
    return {case.name for case in cases}


def test_there_are_hundreds_of_ambiguous_answers() -> None:
    assert len(_names(HTTP1)) == len(HTTP1)
    assert len(_names(GRPC)) == len(GRPC)
    assert len(HTTP1[::SAMPLE]) + len(GRPC[::SAMPLE]) >= 180


@pytest.mark.parametrize(("scheme", "case"), [("http", Ambiguous("plain", _plain)), ("grpc", GRPC[0])])
def test_an_answer_that_is_not_ambiguous_brings_its_value(scheme: str, case: Ambiguous) -> None:
    assert _met(case, scheme) == [OWN] * 3

"""Whoever asks for a credential may wait for ever: that is its own call's loss and nobody else's."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import onnxhybrid as oh
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import RawServer, answer, raw_server

CALLS, CALLERS = 600, 100
"""More than any pool of threads that one would come upon holds."""

DEADLINE = 0.2
AT_ONCE = 2.0
"""Seconds, far fewer than the calls that hang take together."""

MOST = 64
"""Questions for one credential that may be open."""


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server(answer(reply())) as made:
        yield made


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An answer that comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def hanging(url: str, never: threading.Event) -> oh.Session:
    """A session whose credential "c" is never told."""
    model = adder(url, auth=oh.Credential("c"), timeout=DEADLINE)
    return oh.Session(model, credentials={"c": oh.Secret(lambda: str(never.wait()), hosts=["127.0.0.1"])})


def exhaust(session: oh.Session, calls: int) -> set[str]:
    """The codes of so many calls, many at a time."""

    def call(_: int) -> str:
        with pytest.raises(oh.RemoteError) as caught:
            session.run(None, {"x": X})
        return caught.value.code

    with ThreadPoolExecutor(CALLERS) as pool:
        return set(pool.map(call, range(calls)))


def test_credentials_that_nobody_tells_keep_no_other_session_from_its_own(
    server: RawServer, never: threading.Event
) -> None:
    evil = hanging(server.url, never)
    good = oh.Session(
        adder(server.url, auth=oh.Credential("c")), credentials={"c": oh.Secret(lambda: TOKEN, hosts=["127.0.0.1"])}
    )
    assert exhaust(evil, CALLS) == {"OH502"}
    started = time.monotonic()
    for _ in range(10):
        assert good.run(None, {"x": X})[0].shape == (2, 2)
    assert time.monotonic() - started < AT_ONCE
    assert len(server.requests) == 10


def test_credentials_that_nobody_tells_hold_a_bounded_number_of_threads(
    server: RawServer, never: threading.Event
) -> None:
    asked = itertools.count()

    def hang() -> str:
        next(asked)
        return str(never.wait())

    session = oh.Session(
        adder(server.url, auth=oh.Credential("c"), timeout=DEADLINE), credentials={"c": oh.Secret(hang)}
    )
    assert exhaust(session, CALLS) == {"OH502"}
    assert next(asked) == MOST


def test_a_credential_that_nobody_tells_leaves_the_others_of_its_session(
    server: RawServer, never: threading.Event, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    told = oh.Secret(tmp_path / "token", hosts=["127.0.0.1"])
    here = adder(server.url, auth=oh.Credential("c"), timeout=DEADLINE, name="hangs")
    there = adder(server.url, auth=oh.Credential("d"), name="told")
    both = oh.fallback(here, there)
    session = oh.Session(both, credentials={"c": oh.Secret(lambda: str(never.wait())), "d": told})
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: session.run(None, {"x": X})[0].shape, range(2 * CALLERS)))
    assert set(answers) == {(2, 2)}


def test_calls_that_wait_for_a_place_are_answered_once_there_is_one(server: RawServer) -> None:
    gate, asked = threading.Event(), threading.Semaphore(0)

    def slow() -> str:
        asked.release()
        gate.wait()
        return TOKEN

    session = oh.Session(adder(server.url, auth=oh.Credential("c"), timeout=30.0), credentials={"c": oh.Secret(slow)})
    with ThreadPoolExecutor(2 * MOST) as pool:
        calls = [pool.submit(session.run, None, {"x": X}) for _ in range(2 * MOST)]
        for _ in range(MOST):
            assert asked.acquire(timeout=10)
        gate.set()
        assert {call.result(30)[0].shape for call in calls} == {(2, 2)}

"""`oh.Hedge`: what a file, its description, a session and a plain session make of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxhybrid as oh
from onnxhybrid.model.remote_spec import attributes_of
from tests.remotes import X, adder, reply
from tests.servers.raw import RawServer, answer, raw_server
from tests.strategies import dense
from tests.test_attributes import refused, told, without

WRONG: list[dict[str, Any]] = [
    {"after": 0}, {"after": 1}, {"after": "0.9"}, {"after": True}, {"after_ms": 0}, {"after_ms": 0.5},
    {"after_ms": 200.0}, {"after_ms": 86400001}, {"after": 0.5, "after_ms": 5}, {"after": 0.9, "most": 0},
    {"after": 0.9, "most": 1.5}, {"after": 0.9, "most": {}}, {"after": 0.9, "least": 0.1},
]  # fmt: skip

SOON = oh.Hedge("200ms", most=1.0)


@contextmanager
def stuck(is_stuck: Callable[[int], bool]) -> Iterator[tuple[RawServer, threading.Event]]:
    """A server to which some requests, by their number from 1, are never answered; and whether a client gave one up."""
    given_up = threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if not is_stuck(len(server.requests)):
            return answer(reply())(connection, request)
        assert connection.recv(1) == b""
        given_up.set()
        raise OSError

    with raw_server(behave) as server:
        yield server, given_up


def attribute(model: oh.Model) -> Any:
    [node] = model.to_proto().graph.node
    return json.loads(attributes_of(node)["hedge"])


@pytest.mark.parametrize(
    ("hedge", "written"),
    [
        (oh.Hedge(), {"after": 0.95, "most": 0.05}),
        (oh.Hedge(0.5, 1), {"after": 0.5, "most": 1.0}),
        (oh.Hedge("0.2s"), {"after_ms": 200, "most": 0.05}),
        (oh.Hedge("200ms"), {"after_ms": 200, "most": 0.05}),
        (oh.Hedge("1 s", 0.5), {"after_ms": 1000, "most": 0.5}),
        (oh.Hedge("0.4ms"), {"after_ms": 1, "most": 0.05}),
    ],
    ids=str,
)
def test_a_hedge_is_written_as_the_attribute_says_it_and_told_in_the_metadata(
    hedge: oh.Hedge, written: dict[str, float]
) -> None:
    model = adder("http://127.0.0.1:9", hedge=hedge)
    assert attribute(model) == written
    assert told(model)["hedge"] == written
    assert dict(model.remotes[0].hedge) == written
    assert oh.validate(model)


def test_a_call_without_one_has_no_such_attribute_and_tells_of_none() -> None:
    model = adder("http://127.0.0.1:9")
    assert "hedge" not in attributes_of(model.to_proto().graph.node[0])
    assert "hedge" not in told(model)
    assert model.remotes[0].hedge == ()


@pytest.mark.parametrize("after", [0, 1, 0.0, 1.0, -0.1, 95, float("nan"), True, None, "", "0.2", "soon", "0s", "-1s",
                                   "1m", "1e3ms", "90000s", "0.2 s ", b"1s"])  # fmt: skip
def test_after_is_a_quantile_or_a_time(after: Any) -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*after is a"):
        oh.Hedge(after)


@pytest.mark.parametrize("most", [0, -0.1, 1.1, float("nan"), True, None, "5%"])
def test_most_is_a_share(most: Any) -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*most is a share"):
        oh.Hedge(most=most)


@pytest.mark.parametrize("hedge", [0.95, "0.2s", True, {"after": 0.95}, oh.Hedge])
def test_hedge_is_an_object_of_its_own(hedge: object) -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*hedge is oh\.Hedge\(…\) or None"):
        adder("http://127.0.0.1:9", hedge=hedge)


@pytest.mark.parametrize("options", [{"timeout": 2.0}, {"timeout": 5.0, "attempt_timeout": 1.0}], ids=str)
def test_a_time_after_which_no_request_is_under_way_is_told_when_the_node_is_built(options: dict[str, float]) -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*hedge is after '2s'"):
        adder("http://127.0.0.1:9", hedge=oh.Hedge("2s"), **options)


@pytest.mark.parametrize(
    "text",
    ["0.95", "[]", "{", "{}", '{"after": 0.9}', '{"most": 0.1}',
     *(json.dumps({"most": 0.1, **wrong}) for wrong in WRONG),
     '{"after": 0.9, "most": NaN}', '{"after": 1e999, "most": 1}', '{"after": 0.9, "most": 0.1, "most": 0.1}',
     '[["after", 0.9], ["most", 0.1]]', "[0.9, null, 0.1]", "[" * 100_000, 1, 0.5],
    ids=lambda text: str(text)[:30],
)  # fmt: skip
def test_a_file_that_says_what_cannot_be_is_refused_by_validate_and_session_alike(text: object) -> None:
    assert "hedge" in refused(without(adder("http://127.0.0.1:9"), hedge=text))


def test_a_file_may_write_it_in_any_way_that_json_has() -> None:
    model = without(adder("http://127.0.0.1:9"), hedge=' { "most":1 ,"after":5e-1, "after_ms" : null } ')
    assert oh.validate(model)
    oh.Session(model)
    assert told(model)["hedge"] == {"after": 0.5, "most": 1}


def test_a_request_that_takes_long_is_overtaken_counted_and_given_up() -> None:
    with stuck(lambda number: number == 2) as (server, given_up):
        session = oh.Session(adder(server.url, hedge=SOON, timeout=20.0))
        for _ in range(2):
            assert session.run(None, {"x": X})[0].tolist() == [[1, 2], [3, 4]]
        assert given_up.wait(10)
        [stats] = session.stats().values()
    assert (len(server.requests), stats.calls, stats.hedges, stats.retries) == (3, 2, 1, 0)
    assert server.requests[1] == server.requests[2]


USELESS = {
    "a page": b"<html>",
    "half of one": b'{"outputs": [{"nam',
    "an error": b'{"error": "the model is not loaded"}',
    "another type": reply(datatype="INT64", data=[1, 2, 3, 4]),
    "another size": reply(shape=[2, 1], data=[1.0, 2.0]),
    "fewer rows": reply(shape=[1, 2], data=[1.0, 2.0]),
}


@pytest.mark.parametrize("batch", [None, 1], ids=["whole", "in slices"])
@pytest.mark.parametrize("useless", USELESS)
def test_an_answer_that_no_call_can_use_does_not_win(useless: str, batch: int | None) -> None:
    body = reply() if batch and useless == "fewer rows" else USELESS[useless]  # more rows than a slice has
    has_come = threading.Event()

    def at_once(connection: socket.socket, request: bytes) -> None:
        answer(body, more="connection: close\r\n")(connection, request)
        assert connection.recv(1) == b""  # it was read
        has_come.set()

    def at_last(connection: socket.socket, request: bytes) -> None:
        assert has_come.wait(10)
        answer(reply(shape=[1, 2], data=[1.0, 2.0]) if batch else reply())(connection, request)

    with raw_server(at_last) as first, raw_server(at_once) as second:
        model = adder(oh.Endpoint("gpu"), hedge=oh.Hedge("20ms", most=1.0), timeout=20.0, batch=batch)
        session = oh.Session(model, endpoints={"gpu": [first.url, second.url]})
        assert session.run(None, {"x": X})[0].tolist() == ([[1, 2]] * 2 if batch else [[1, 2], [3, 4]])
    assert len(second.requests) >= 1


def test_a_request_that_is_refused_before_it_is_sent_allows_of_no_second_one() -> None:
    has_second = threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if len(server.requests) > 1:
            has_second.set()
        assert not has_second.wait(0.3)
        answer(b'{"choices": [{"message": {"content": "hi"}}]}')(connection, request)

    with raw_server(behave) as server:
        model = oh.remote.openai_chat(
            oh.Input("model"), url=server.url, auth=None, retries=0, hedge=oh.Hedge("1ms", most=0.5)
        )
        session = oh.Session(model, policy=oh.Policy(budget={"cost": 1.0, "price": {"known": 0.1}}))
        prompt = np.array(["a"], object)
        for _ in range(20):
            with pytest.raises(oh.PolicyDenied, match="OH522"):
                session.run(None, {"model": np.array(["another"], object), "prompt": prompt})
        session.run(None, {"model": np.array(["known"], object), "prompt": prompt})
    assert len(server.requests) == 1


@pytest.mark.parametrize(("repeats", "sent"), [(0, 1), (1, 2)])
def test_a_strict_policy_without_repeats_lets_no_file_send_a_request_twice(repeats: int, sent: int) -> None:
    has_second = threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if len(server.requests) > 1:
            has_second.set()
        assert has_second.wait(0.3) == (sent > 1)
        answer(reply())(connection, request)

    with raw_server(behave) as server:
        policy = oh.Policy.strict(allow=[server.url], max_retries=repeats)
        session = oh.Session(adder(server.url, hedge=oh.Hedge("1ms", most=1.0)), policy=policy)
        assert session.run(None, {"x": X})[0].tolist() == [[1, 2], [3, 4]]
    assert len(server.requests) == sent


def test_a_call_that_overlaps_is_hedged_as_well() -> None:
    with stuck(lambda number: number == 1) as (server, given_up):
        both = oh.parallel(remote=adder(server.url, hedge=SOON, timeout=20.0), local=dense("a", "x", "z", (3, 3)))
        assert any(node.op_type == "Begin" for node in both.to_proto().graph.node)
        assert oh.Session(both).run(["remote/y"], {"x": X})[0].tolist() == [[1, 2], [3, 4]]
        assert given_up.wait(10)
    assert len(server.requests) == 2


def test_a_plain_session_hedges_what_the_file_says() -> None:
    with stuck(lambda number: number == 1) as (server, given_up):
        model = adder(server.url, hedge=SOON, timeout=20.0)
        options = onnxruntime.SessionOptions()
        options.register_custom_ops_library(oh.library_path())
        session = onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)
        assert session.run(None, {"x": X})[0].tolist() == [[1, 2], [3, 4]]
        assert given_up.wait(10)
    assert len(server.requests) == 2


def test_each_slice_of_a_batch_is_hedged_by_itself() -> None:
    row = reply(shape=[1, 2], data=[1.0, 2.0])
    given_up = threading.Semaphore(0)

    def behave(connection: socket.socket, request: bytes) -> None:
        with lock:
            seen[request[-12:]] = seen.get(request[-12:], 0) + 1
            is_stuck = seen[request[-12:]] == 1
        if not is_stuck:
            return answer(row)(connection, request)
        connection.recv(1)
        given_up.release()
        raise OSError

    seen: dict[bytes, int] = {}
    lock = threading.Lock()
    with raw_server(behave) as server:
        session = oh.Session(adder(server.url, hedge=SOON, timeout=20.0, batch=1))
        assert session.run(None, {"x": X})[0].tolist() == [[1, 2], [1, 2]]
        assert given_up.acquire(timeout=10)
        assert given_up.acquire(timeout=10)
        [stats] = session.stats().values()
    assert (len(server.requests), stats.calls, stats.hedges) == (4, 1, 2)

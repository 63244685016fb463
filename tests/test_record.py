"""`record=` and `replay=`: what remote nodes answered, kept in a file and served again without a network."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from tests.remotes import TOKEN, X, adder, in_turn, reply
from tests.servers.raw import Behaviour, answer, raw_server, send_and_close, silence
from tests.strategies import dense, rows

BUSY = answer(b'{"error": "busy"}', status="429 Too Many Requests")


def numbered() -> Behaviour:
    """Every answer another one."""
    return in_turn(answer(reply(data=[float(n), 0.0, 0.0, 0.0])) for n in itertools.count())


def by_content(connection: socket.socket, request: bytes) -> None:
    """The first number of the request in the answer."""
    first_number = float(np.frombuffer(request[-24:-20], np.float32)[0])
    answer(reply(data=[first_number, 0.0, 0.0, 0.0]))(connection, request)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def recorded(path: Path, behave: Behaviour, use: Callable[[oh.Session], object], **options: Any) -> oh.Model:
    """The model that was used in a session which recorded, and whose server is gone."""
    with raw_server(behave) as server:
        model = adder(server.url, **options)
        use(oh.Session(model, record=path))
    return model


def first(session: oh.Session, x: Any = X) -> float:
    return float(session.run(["y"], {"x": x})[0][0, 0])


def test_what_was_recorded_is_served_again_without_a_network_or_credentials(path: Path) -> None:
    with raw_server(answer(reply())) as server:
        remote = adder(server.url, auth=oh.Credential("gpu"))
        hybrid = oh.cascade(dense("local", "x", "y", (3, 2), softmax=True), remote,
                            accept=oh.judge.logit_max("y") >= 1.1)  # fmt: skip
        expected = oh.Session(hybrid, credentials={"gpu": TOKEN}, record=path).run(None, {"x": X})
    session = oh.Session(hybrid, replay=path, policy=oh.Policy(deny=["127.0.0.1"]))
    for _ in range(2):
        for ours, theirs in zip(session.run(None, {"x": X}), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    (stats,) = session.stats().values()
    assert (stats.calls, stats.bytes_out, stats.connections) == (2, 0, 0)
    assert TOKEN not in path.read_text(encoding="utf-8")


def test_equal_requests_replay_in_their_order_and_then_the_last_answer_stays(path: Path) -> None:
    model = recorded(path, numbered(), lambda session: [first(session) for _ in range(3)])
    session = oh.Session(model, replay=path)
    assert [first(session) for _ in range(5)] == [0, 1, 2, 2, 2]
    assert first(oh.Session(model, replay=path)) == 0


def test_answers_are_found_by_their_request_whatever_the_order(path: Path) -> None:
    inputs = [rows(2, 3, seed) for seed in (5, 6, 7)]
    model = recorded(path, numbered(), lambda session: [first(session, x) for x in inputs])
    session = oh.Session(model, replay=path)
    assert [first(session, x) for x in reversed(inputs)] == [2, 1, 0]


@pytest.mark.parametrize("on_error", ["raise", "flag"])
def test_a_request_that_is_not_in_the_record_is_an_error_that_names_the_node(path: Path, on_error: str) -> None:
    model = recorded(path, answer(reply()), first, on_error=on_error)
    with pytest.raises(oh.RemoteError, match=r"OH532.*answers\.jsonl") as caught:
        oh.Session(model, replay=path).run(None, {"x": X + 1})
    assert (caught.value.code, caught.value.node, caught.value.attempts) == ("OH532", "adder", 0)


@pytest.mark.parametrize("change", [{"name": "other"}, {"timeout": 1.0}, {"auth": oh.Input("token")}])
def test_names_tokens_and_limits_have_no_part_in_what_makes_requests_equal(path: Path, change: dict[str, Any]) -> None:
    model = recorded(path, answer(reply()), first)
    again = adder(model.remotes[0].endpoint, **change)
    feeds = {"x": X, **({"token": np.array([TOKEN])} if "auth" in change else {})}
    assert oh.Session(again, replay=path).run(None, feeds)[0].shape == (2, 2)


FAULTS: dict[str, tuple[Behaviour, dict[str, Any]]] = {
    "a status": (BUSY, {"retries": 1}),
    "no JSON": (answer(b"}{"), {}),
    "another type": (answer(reply(datatype="INT64")), {}),
    "a lost connection": (send_and_close(b""), {}),
    "silence": (silence, {"timeout": 0.2}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_is_replayed_as_the_same_failure(path: Path, fault: str) -> None:
    behave, options = FAULTS[fault]
    failures: list[oh.RemoteError] = []

    def fail(session: oh.Session) -> None:
        with pytest.raises(oh.RemoteError) as caught:
            session.run(None, {"x": X})
        failures.append(caught.value)

    model = recorded(path, behave, fail, **options)
    session = oh.Session(model, replay=path)
    fail(session)
    live, replayed = failures
    assert type(live) is type(replayed)
    assert (str(live), vars(live)) == (str(replayed), vars(replayed))
    assert session.stats()["adder"].errors == {live.code: 1}


def test_flags_are_replayed_as_they_were(path: Path) -> None:
    results: list[list[Any]] = []
    model = recorded(path, in_turn(iter([BUSY, answer(reply())])), lambda session: results.extend(
        session.run(None, {"x": X}) for _ in range(2)), on_error="flag")  # fmt: skip
    session = oh.Session(model, replay=path)
    for live in results:
        for ours, theirs in zip(session.run(None, {"x": X}), live, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_token_that_a_server_sends_back_is_not_in_the_record(path: Path) -> None:
    spec = oh.TensorSpec("x", "str", (1,))
    body = json.dumps({"outputs": [{"name": "y", "datatype": "BYTES", "shape": [1], "data": [f"you sent {TOKEN}"]}]})
    with raw_server(answer(body.encode())) as server:
        model = oh.remote.triton(server.url, "m", inputs=[spec], outputs=[oh.TensorSpec("y", "str", (1,))],
                                 auth=oh.Credential("c"))  # fmt: skip
        session = oh.Session(model, credentials={"c": TOKEN}, record=path)
        assert session.run(None, {"x": np.array(["hello"])})[0][0] == f"you sent {TOKEN}"
    assert TOKEN not in path.read_text(encoding="utf-8")
    assert oh.Session(model, replay=path).run(None, {"x": np.array(["hello"])})[0][0] == "you sent ***"


def test_recording_again_begins_anew_and_never_over_another_file(path: Path) -> None:
    recorded(path, numbered(), lambda session: [first(session) for _ in range(3)])
    model = recorded(path, answer(reply()), first)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2
    assert first(oh.Session(model, replay=path)) == 1
    path.write_bytes(b"something else")
    with pytest.raises(oh.Error, match="OH533"):
        oh.Session(model, record=path)
    assert path.read_bytes() == b"something else"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [
    b"", b"text\n", b"{}\n", b"\xff\xfe\x00", b'{"format":"onnxhybrid.record","version":2}\n',
    b'{"format":"onnxhybrid.record","version":1}\n{}\n', b'{"format":"onnxhybrid.record","version":1}\n\n',
])  # fmt: skip
def test_a_file_that_is_no_record_is_refused_when_the_session_is_made(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(oh.Error, match="OH533"):
        oh.Session(adder("http://127.0.0.1:1"), replay=path)


def test_paths_that_cannot_be_used_are_coded_errors(tmp_path: Path) -> None:
    model = adder("http://127.0.0.1:1")
    for options, code in [
        ({"replay": tmp_path / "missing"}, "OH533"), ({"replay": tmp_path}, "OH533"), ({"record": tmp_path}, "OH533"),
        ({"record": tmp_path / "no" / "folder"}, "OH533"), ({"record": 5}, "OH530"), ({"replay": "a\0b"}, "OH530"),
        ({"record": tmp_path / "a", "replay": tmp_path / "b"}, "OH530"),
    ]:  # fmt: skip
        with pytest.raises(oh.Error, match=code):
            oh.Session(model, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[oh.Model, bytes, Path]:
    path = tmp_path_factory.mktemp("records") / "answers"
    model = recorded(path, numbered(), lambda session: [first(session) for _ in range(2)])
    return model, path.read_bytes(), path.with_name("damaged")


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_record_is_a_coded_error_and_never_another_value(
    whole: tuple[oh.Model, bytes, Path], data: st.DataObject
) -> None:
    model, content, path = whole
    at = data.draw(st.integers(0, len(content) - 1))
    damage = data.draw(st.binary(max_size=3))
    path.write_bytes(content[:at] + damage + content[at + data.draw(st.integers(0, 3)) :])
    try:
        values = [first(session) for session in [oh.Session(model, replay=path)] for _ in range(2)]
    except oh.Error as error:
        assert error.code in {"OH532", "OH533"}
    else:
        assert values in ([0, 1], [0, 0], [1, 1])  # whole lines may be gone, and white space added


def test_threads_record_into_one_file_and_replay_from_it_at_once(path: Path) -> None:
    inputs = [rows(2, 3, seed) for seed in range(12)]

    def together(session: oh.Session) -> list[float]:
        with ThreadPoolExecutor(6) as pool:
            return list(pool.map(lambda x: first(session, x), inputs * 3))

    model = recorded(path, by_content, together)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + 3 * len(inputs)
    assert together(oh.Session(model, replay=path)) == [float(x[0, 0]) for x in inputs * 3]

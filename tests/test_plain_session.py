"""Sessions that nobody prepared: the library is registered, no scope is named, as from Java and C."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import NodeProto

import onnxhybrid as oh
from onnxhybrid.library import Scope
from tests.begun import floats, graph
from tests.remotes import TOKEN, adder, reply
from tests.servers.echo import echo_server, remote, shift
from tests.servers.raw import answer, listening, raw_server, read_request
from tests.strategies import Array, dense, rows
from tests.test_begin import Gate, halves

LOCAL = dense("local", "x", "y", (3, 3), softmax=True)
X = rows(4, 3)
SOON = 20.0


def unprepared() -> onnxruntime.SessionOptions:
    """Options that know the library and nothing else."""
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    return options


def plain(model: oh.Model, options: onnxruntime.SessionOptions | None = None) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options or unprepared())


def shifted(model: str) -> Array:
    return X + np.float32(shift(model))


def parallel(url: str) -> oh.Model:
    return oh.parallel(one=remote(url, "a"), other=remote(url, "bc"))


def ensemble(url: str) -> oh.Model:
    return oh.ensemble([remote(url, "a"), remote(url, "bc")], combine="max")


def overlap(url: str) -> oh.Model:
    def invoke(model: str) -> NodeProto:
        node: NodeProto = remote(url, model).to_proto().graph.node[0]
        node.name, node.output[:] = model, [model]
        return node

    outputs = [floats("a", None, None), floats("bc", None, None)]
    return oh.overlap(graph([invoke("a"), invoke("bc")], [floats("x", "n", 3)], outputs))


def speculate(url: str) -> oh.Model:
    never = oh.judge.logit_max("y") >= 1e9
    return oh.cascade(LOCAL, remote(url, "a"), never, speculate=True)


TWO = [shifted("a"), shifted("bc")]


@pytest.mark.parametrize(
    ("composed", "expected"),
    [(parallel, TWO), (ensemble, [np.maximum(*TWO)]), (overlap, TWO), (speculate, TWO[:1])],
)
def test_calls_that_are_begun_and_awaited_need_no_scope(
    composed: Callable[[str], oh.Model], expected: list[Array]
) -> None:
    with echo_server() as server:
        model = composed(server.url)
        assert "Begin" in {node.op_type for node in model.to_proto().graph.node}
        session = plain(model)
        for _ in range(3):
            for value, target in zip(session.run(None, {"x": X}), expected, strict=False):
                np.testing.assert_array_equal(value, target)


def test_a_ticket_is_good_in_another_session_without_a_scope_and_in_no_other() -> None:
    with raw_server(answer(reply())) as server:
        first, second = halves(server.url)
        begins, awaits = plain(first), plain(second)
        (ticket,) = begins.run(None, {"x": X[:2]})
        with pytest.raises(oh.RemoteError, match="OH515"):
            oh.Session(second).run(None, {"ticket": ticket})
        assert awaits.run(None, {"ticket": ticket})[0].shape == (2, 2)


def test_sessions_without_a_scope_share_connections_until_the_last_is_gone() -> None:
    opened, closed = [], threading.Event()

    def talk(connection: socket.socket) -> None:
        opened.append(connection)
        while request := read_request(connection):
            answer(reply())(connection, request)
        closed.set()

    with listening(talk) as address:
        sessions = [plain(adder(f"http://{address}")) for _ in range(2)]
        for session in sessions:
            session.run(None, {"x": X[:2]})
        del session
        sessions.pop()
        assert not closed.is_set()
        sessions.pop().run(None, {"x": X[:2]})
        assert closed.wait(SOON)
    assert len(opened) == 1


def test_a_session_without_a_scope_takes_its_calls_along() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = plain(halves(server.url)[0])
        session.run(None, {"x": X})
        assert gate.seen.wait(SOON)
        assert not gate.gone.is_set()
        del session
        assert gate.gone.wait(SOON)


def test_a_session_without_a_scope_obeys_what_the_environment_says_when_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raw_server(answer(reply())) as server:
        before = plain(adder(server.url))
        before.run(None, {"x": X[:2]})
        monkeypatch.setenv("ONNXHYBRID_ALLOW", "elsewhere.example")
        with pytest.raises(Exception, match=r"OH520.*ONNXHYBRID_ALLOW"):
            plain(adder(server.url)).run(None, {"x": X[:2]})
        monkeypatch.setenv("ONNXHYBRID_ALLOW", "127.0.0.1")
        plain(adder(server.url)).run(None, {"x": X[:2]})


def test_a_session_without_a_scope_finds_credentials_in_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(answer(reply())) as server:
        model = adder(server.url, auth=oh.Credential("adder"))
        session = plain(model)
        prepared = oh.Session(model, credentials={"adder": TOKEN})
        prepared.run(None, {"x": X[:2]})
        with pytest.raises(Exception, match="OH510"):
            session.run(None, {"x": X[:2]})
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_ADDER", TOKEN)
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_ADDER_HOSTS", "127.0.0.1")
        session.run(None, {"x": X[:2]})
    assert [TOKEN.encode() in request for request in server.requests] == [True, True]


def test_options_that_outlive_their_scope_run_everything_with_nobodys_credentials() -> None:
    def scope() -> Scope:
        return Scope({"credentials": {"adder": {"value": TOKEN}}})

    kept, options = scope(), onnxruntime.SessionOptions()
    options.add_session_config_entry("onnxhybrid.scope", str(kept.id))
    options.register_custom_ops_library(oh.library_path())
    with echo_server() as server:
        secret = adder(server.url, auth=oh.Credential("adder"))
        del kept
        with pytest.raises(Exception, match="OH510"):
            plain(secret, options).run(None, {"x": X[:2]})
        one, other, *_ = plain(parallel(server.url), options).run(None, {"x": X})
    np.testing.assert_array_equal(one, TWO[0])
    np.testing.assert_array_equal(other, TWO[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_works_without_a_scope() -> None:
    program = """
        import os, sys
        from tests.test_plain_session import TWO, X, parallel, plain

        model = parallel(sys.argv[1])
        session = plain(model)
        session.run(None, {"x": X})
        child = os.fork()
        if child == 0:
            try:
                for each in (session, plain(model)):
                    assert (each.run(None, {"x": X})[0] == TWO[0]).all()
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (session.run(None, {"x": X})[0] == TWO[0]).all()
        print("done")
    """
    root = Path(__file__).parent.parent
    with echo_server() as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program), server.url],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr

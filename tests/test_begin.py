"""`Begin`, `Await` and `Cancel`: one remote call in two nodes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.begun import await_, barrier, begin, cancel, floats, graph, ticket_value
from tests.remotes import X, adder, reply
from tests.servers.raw import Behaviour, answer, raw_server, silence

SOON = 20.0
"""Seconds that a thing which happens at once may take on a machine under load; every call's own deadline is later."""

LONG = 300.0


def whole(url: str, **options: object) -> oh.Model:
    """From x to y by a call that is begun and awaited."""
    remote = adder(url, **options)
    flags = [spec.to_value_info() for spec in remote.outputs[1:]]
    outputs = [floats("y", None, None), *flags]
    nodes = [begin(remote, "ticket", ["x"]), await_(["ticket"], [output.name for output in outputs])]
    return graph(nodes, [floats("x", "n", 3)], outputs)


class Gate:
    """A server that answers a model's request when the test lets it, and tells what it saw."""

    def __init__(self) -> None:
        self.seen = threading.Event()
        self.let = threading.Event()
        self.gone = threading.Event()

    def hold(self, connection: socket.socket, request: bytes) -> None:
        """Answer when let."""
        self.seen.set()
        assert self.let.wait(SOON)
        answer(reply())(connection, request)

    def watch(self, connection: socket.socket, _: bytes) -> None:
        """Never answer, and see the client go."""
        self.seen.set()
        assert connection.recv(1) == b""
        self.gone.set()

    def has_lost_its_client(self) -> bool:
        """Whether the request, if it ever came, is dropped soon."""
        return not self.seen.is_set() or self.gone.wait(SOON)


def by_model(**behaviours: Behaviour) -> Behaviour:
    """Another behaviour for each model's name."""

    def behave(connection: socket.socket, request: bytes) -> None:
        behaviours[request.split(b"/v2/models/")[1].split(b"/")[0].decode()](connection, request)

    return behave


def in_turn(behaviours: Iterable[Behaviour]) -> Behaviour:
    """Another behaviour for each request."""
    left = iter(behaviours)

    def behave(connection: socket.socket, request: bytes) -> None:
        next(left)(connection, request)

    return behave


def named(model: str, url: str, **options: object) -> oh.Model:
    """The adder under another name."""
    return oh.remote.triton(
        url,
        model,
        inputs=[oh.TensorSpec("x", "float32", ("n", 3))],
        outputs=[oh.TensorSpec("y", "float32", ("n", 2))],
        **{"timeout": LONG, "retries": 0, **options},  # type: ignore[arg-type]
    )


def plain(model: oh.Model, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)


def registered() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    oh.register(options)
    return options


@pytest.mark.parametrize("providers", [["CPUExecutionProvider"], ["AzureExecutionProvider", "CPUExecutionProvider"]])
def test_begun_and_awaited_a_call_gives_what_invoke_gives(providers: list[str]) -> None:
    with raw_server(answer(reply())) as server:
        (expected,) = oh.Session(adder(server.url)).run(None, {"x": X})
        session = oh.Session(whole(server.url), providers=providers)
        for _ in range(3):
            np.testing.assert_array_equal(session.run(None, {"x": X})[0], expected)
        stats = session.stats()["adder"]
    assert (stats.calls, stats.connections, stats.errors) == (3, 1, {})
    assert stats.bytes_out == sum(len(request.split(b"\r\n\r\n", 1)[1]) for request in server.requests[1:])
    assert server.requests[0] == server.requests[1]


def test_two_begun_calls_are_under_way_at_once() -> None:
    gate = Gate()

    def second(connection: socket.socket, request: bytes) -> None:
        gate.let.set()
        answer(reply())(connection, request)

    with raw_server(by_model(first=gate.hold, second=second)) as server:
        nodes = [
            begin(named("first", server.url), "t1", ["x"]),
            begin(named("second", server.url), "t2", ["x"]),
            await_(["t1"], ["y1"], "await first"),
            await_(["t2"], ["y2"], "await second"),
        ]
        model = graph(nodes, [floats("x", "n", 3)], [floats("y1", None, None), floats("y2", None, None)])
        y1, y2 = oh.Session(model).run(None, {"x": X})
    np.testing.assert_array_equal(y1, y2)


def test_a_begun_call_is_under_way_while_a_local_branch_is_busy() -> None:
    # The local branch is busy until the server has seen the request: were that sent later, it would never be.
    gate = Gate()

    def local(connection: socket.socket, request: bytes) -> None:
        assert gate.seen.wait(SOON)
        gate.let.set()
        answer(reply())(connection, request)

    with raw_server(by_model(remote=gate.hold, local=local)) as server:
        busy = named("local", server.url).to_proto().graph.node[0]
        busy.input[:], busy.output[:] = ["x1"], ["z"]
        nodes = [
            begin(named("remote", server.url), "ticket", ["x"]),
            *barrier("ticket", "x", "x1"),
            busy,
            await_(["ticket", "z"], ["y"]),
        ]
        model = graph(nodes, [floats("x", "n", 3)], [floats("z", None, None), floats("y", None, None)])
        assert len(oh.Session(model).run(None, {"x": X})) == 2


def test_a_failure_is_told_where_the_call_is_awaited() -> None:
    with raw_server(answer(b'{"error": "no"}', status="400 Bad Request")) as server:
        session = oh.Session(whole(server.url))
        with pytest.raises(oh.RemoteStatusError, match="no") as caught:
            session.run(None, {"x": X})
        assert (caught.value.node, caught.value.status, caught.value.attempts) == ("adder", 400, 1)
        assert session.stats()["adder"].errors == {"OH503": 1}
        y, ok, status, error = oh.Session(whole(server.url, on_error="flag")).run(None, {"x": X})
    assert (y.size, bool(ok), int(status)) == (0, False, 400)
    assert "OH503" in str(error)


def test_what_cannot_be_sent_is_told_there_too() -> None:
    denied = oh.Policy(deny=["127.0.0.1"])
    with raw_server(silence) as server:
        with pytest.raises(oh.PolicyDenied, match="OH520"):
            oh.Session(whole(server.url), policy=denied).run(None, {"x": X})
        _, ok, status, error = oh.Session(whole(server.url, on_error="flag"), policy=denied).run(None, {"x": X})
    assert (bool(ok), int(status), "OH520" in str(error)) == (False, 0, True)
    assert server.requests == []


def test_success_is_flagged_as_such() -> None:
    with raw_server(answer(reply())) as server:
        y, ok, status, error = oh.Session(whole(server.url, on_error="flag")).run(None, {"x": X})
    assert (y.shape, bool(ok), int(status), str(error)) == ((2, 2), True, 200, "")


@pytest.mark.parametrize("flag", [False, True])
def test_the_deadline_counts_from_the_beginning(flag: bool) -> None:
    # The local branch is busy until the server has seen the remote call go, which happens at its deadline.
    gate = Gate()

    def local(connection: socket.socket, request: bytes) -> None:
        assert gate.gone.wait(SOON)
        answer(reply())(connection, request)

    with raw_server(by_model(remote=gate.watch, local=local)) as server:
        remote = named("remote", server.url, timeout=0.2, on_error="flag" if flag else "raise")
        busy = named("local", server.url).to_proto().graph.node[0]
        busy.input[:], busy.output[:] = ["x1"], ["z"]
        outputs = ["y", *(spec.name for spec in remote.outputs[1:])]
        nodes = [
            begin(remote, "ticket", ["x"]),
            *barrier("ticket", "x", "x1"),
            busy,
            await_(["ticket", "z"], outputs),
        ]
        declared = [floats("y", None, None), *(spec.to_value_info() for spec in remote.outputs[1:])]
        model = graph(nodes, [floats("x", "n", 3)], declared, [floats("z", None, None)])
        for session in (oh.Session(model), plain(model, registered())):
            gate.gone.clear()
            if flag:
                _, ok, status, error = session.run(None, {"x": X})
                assert (bool(ok), int(status), "OH502" in str(error)) == (False, 0, True)
            else:
                with pytest.raises(Exception, match="OH502"):
                    session.run(None, {"x": X})


def halves(url: str, **options: object) -> tuple[oh.Model, oh.Model]:
    """Two graphs: x -> ticket, and ticket -> y."""
    remote = adder(url, **{"timeout": LONG, **options})
    first = graph([begin(remote, "ticket", ["x"])], [floats("x", "n", 3)], [ticket_value()])
    return first, graph([await_(["ticket"], ["y"])], [ticket_value()], [floats("y", None, None)])


def test_a_ticket_is_good_once_and_in_its_own_scope() -> None:
    with raw_server(answer(reply())) as server:
        first, second = halves(server.url)
        options = registered()
        begins, awaits, foreign = plain(first, options), plain(second, options), plain(second, registered())
        (ticket,) = begins.run(None, {"x": X})
        assert ticket.dtype == np.int64
        assert ticket > 0
        with pytest.raises(Exception, match=r"\[OH515\]"):
            foreign.run(None, {"ticket": ticket})
        with pytest.raises(oh.RemoteError, match="OH515"):
            oh.Session(second).run(None, {"ticket": ticket})
        assert awaits.run(None, {"ticket": ticket})[0].shape == (2, 2)
        with pytest.raises(Exception, match=r"\[OH515\]"):
            awaits.run(None, {"ticket": ticket})


@pytest.mark.parametrize("number", [0, -1, 1, 2**63 - 1])
def test_a_number_that_nobody_gave_is_no_ticket(number: int) -> None:
    _, second = halves("http://127.0.0.1:1")
    with pytest.raises(oh.RemoteError, match="OH515") as caught:
        oh.Session(second).run(None, {"ticket": np.array(number, np.int64)})
    assert caught.value.node == "await"


def test_what_is_no_number_is_no_ticket() -> None:
    nodes = [await_(["ticket"], ["y"])]
    several = helper.make_tensor_value_info("ticket", TensorProto.INT64, [None])
    with pytest.raises(oh.RemoteError, match="OH515"):
        oh.Session(graph(nodes, [several], [floats("y")])).run(None, {"ticket": np.array([1, 2], np.int64)})
    text = helper.make_tensor_value_info("ticket", TensorProto.STRING, [])
    with pytest.raises(oh.RemoteError, match="OH515"):
        oh.Session(graph(nodes, [text], [floats("y")])).run(None, {"ticket": np.array("1", object)})


@pytest.mark.parametrize("declared", [[TensorProto.INT64], [TensorProto.FLOAT, TensorProto.BOOL]])
def test_outputs_that_were_not_begun_are_refused(declared: list[int]) -> None:
    outputs = [helper.make_tensor_value_info(f"y{i}", kind, None) for i, kind in enumerate(declared)]
    with raw_server(answer(reply())) as server:
        nodes = [begin(adder(server.url), "ticket", ["x"]), await_(["ticket"], [output.name for output in outputs])]
        with pytest.raises(oh.RemoteError, match=r"OH516.*float32"):
            oh.Session(graph(nodes, [floats("x", "n", 3)], outputs)).run(None, {"x": X})


def test_a_ticket_that_nobody_awaits_is_dropped_when_its_run_ends() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = oh.Session(halves(server.url)[0])
        session.run(None, {"x": X})
        assert session.stats()["adder"].errors == {"OH514": 1}
        assert gate.has_lost_its_client()


def test_a_run_that_fails_between_begin_and_await_drops_the_call() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        nodes = [
            begin(adder(server.url, timeout=LONG), "ticket", ["x"]),
            helper.make_node("Constant", [], ["wrong"], value_ints=[7, 7]),
            *barrier("ticket", "x", "x1"),
            helper.make_node("Reshape", ["x1", "wrong"], ["z"]),
            await_(["ticket", "z"], ["y"]),
        ]
        session = oh.Session(graph(nodes, [floats("x", "n", 3)], [floats("y", None, None)]))
        with pytest.raises(oh.Error, match="OH540"):
            session.run(None, {"x": X})
        assert gate.has_lost_its_client()
        assert session.stats()["adder"].calls == 1


def test_where_nobody_tells_of_runs_a_ticket_is_dropped_at_its_deadline() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        first, second = halves(server.url, timeout=0.1)
        options = registered()
        begins, awaits = plain(first, options), plain(second, options)
        (ticket,) = begins.run(None, {"x": X})
        assert gate.gone.wait(SOON)
        with pytest.raises(Exception, match=r"\[OH502\]"):
            awaits.run(None, {"ticket": ticket})
        with pytest.raises(Exception, match=r"\[OH515\]"):
            awaits.run(None, {"ticket": ticket})


def test_a_session_that_goes_away_takes_its_calls_along() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = plain(halves(server.url)[0], registered())
        session.run(None, {"x": X})
        assert gate.seen.wait(SOON)
        assert not gate.gone.is_set()
        del session
        assert gate.gone.wait(SOON)


def test_cancel_drops_the_call() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        nodes = [begin(adder(server.url, timeout=LONG), "ticket", ["x"]), cancel(["ticket", "x"], "dropped")]
        dropped = helper.make_tensor_value_info("dropped", TensorProto.BOOL, [])
        session = oh.Session(graph(nodes, [floats("x", "n", 3)], [dropped]))
        (was,) = session.run(None, {"x": X})
        assert bool(was)
        assert gate.has_lost_its_client()
        assert session.stats()["adder"].errors == {"OH514": 1}


def test_a_cancelled_ticket_is_good_no_more() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        nodes = [
            begin(adder(server.url, timeout=LONG), "ticket", ["x"]),
            cancel(["ticket"], "dropped"),
            await_(["ticket", "dropped"], ["y"]),
        ]
        session = oh.Session(graph(nodes, [floats("x", "n", 3)], [floats("y", None, None)]))
        with pytest.raises(oh.RemoteError, match="OH515"):
            session.run(None, {"x": X})


def test_each_run_has_its_own_tickets() -> None:
    with raw_server(answer(reply())) as server:
        session = oh.Session(whole(server.url))
        futures = [session.submit(None, {"x": X}) for _ in range(32)]
        assert all(future.result(SOON)[0].shape == (2, 2) for future in futures)
        assert session.stats()["adder"].calls == 32


def test_a_begun_call_is_one_of_the_models_remotes() -> None:
    (remote,) = whole("https://h", auth=oh.Credential("gpu")).remotes
    assert (remote.node, remote.endpoint, remote.credential, remote.outputs) == ("adder", "https://h", "gpu", ("y",))


def test_begin_and_await_are_checked_like_invoke() -> None:
    remote = adder("http://h")
    nodes = [begin(remote, "ticket", ["x"]), await_(["ticket"], ["y"]), helper.make_node("Abs", ["y"], ["z"])]
    report = oh.validate(graph(nodes, [floats("x", "n", 3)], [floats("z", None, None)]))
    assert [(finding.code, "'y'" in finding.message) for finding in report.errors] == [("OH114", True)]
    known = [floats("y", None, None)]
    assert oh.validate(graph(nodes, [floats("x", "n", 3)], [floats("z", None, None)], known))
    del nodes[0].attribute[-1]
    report = oh.validate(graph(nodes, [floats("x", "n", 3)], [floats("z", None, None)], known))
    assert [finding.code for finding in report.errors] == ["OH301"]
    assert "output_types" in str(report)


@pytest.mark.parametrize("types", ["", "float32", '["float31"]', '["float32", "int64"]'])
def test_malformed_output_types_are_refused_when_the_session_is_made(types: str) -> None:
    first, _ = halves("http://127.0.0.1:1")
    proto = first.to_proto()
    (attribute,) = [a for a in proto.graph.node[0].attribute if a.name == "output_types"]
    attribute.s = types.encode()
    with pytest.raises(Exception, match=r"\[OH301\]"):
        onnxruntime.InferenceSession(proto.SerializeToString(), registered())

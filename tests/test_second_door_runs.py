"""Runs, as the execution provider knows them: what their options ask for, and what ends with them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper

import onnxhybrid as oh
from tests.begun import await_, begin, cancel, floats, graph, ticket_value
from tests.remotes import X, adder, reply
from tests.second_door import entries, opened, options
from tests.servers.raw import RawServer, answer, raw_server
from tests.test_begin import LONG, SOON, Gate, halves, whole

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"


def inner(url: str, output: str) -> NodeProto:
    """The node of a call, in a subgraph."""
    node: NodeProto = adder(url, timeout=LONG).to_proto().graph.node[0]
    node.input[:], node.output[:] = ["x"], [output]
    return node


def branch(url: str) -> oh.Model:
    """The call in the branch of If that is taken."""
    other = helper.make_node("Constant", [], ["y/else"], value=helper.make_tensor("", TensorProto.FLOAT, [1, 1], [0]))
    then_ = helper.make_graph([inner(url, "y/then")], "then", [], [floats("y/then", None, None)])
    else_ = helper.make_graph([other], "else", [], [floats("y/else", None, None)])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("IsNaN", ["most"], ["odd"]),
        helper.make_node("Not", ["odd"], ["condition"]),
        helper.make_node("If", ["condition"], ["y"], then_branch=then_, else_branch=else_),
    ]
    return graph(nodes, [floats("x", "n", 3)], [floats("y", None, None)])


def loop(url: str) -> oh.Model:
    """The call in the body of a Loop of one round."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [inner(url, "y/in"), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), floats("y/before", None, None)],
        [value("on", TensorProto.BOOL, []), floats("y/in", None, None)],
    )
    nodes = [
        helper.make_node("Constant", [], ["once"], value_int=1),
        helper.make_node("Loop", ["once", "", "x"], ["y"], body=body),
    ]
    return graph(nodes, [floats("x", "n", 3)], [floats("y", None, None)])


KINDS: dict[str, Callable[[str], oh.Model]] = {
    "Invoke": lambda url: adder(url, timeout=LONG),
    "Await": lambda url: whole(url, timeout=LONG),
    "If": branch,
    "Loop": loop,
}
"""Models whose run waits for a call: of one node, begun and awaited, in a branch, in a loop."""


def failing(session: onnxruntime.InferenceSession, given: onnxruntime.RunOptions | None = None) -> str:
    """What the run says that fails."""
    with pytest.raises(Exception, match=r"\[OH\d{3}\]") as caught:
        session.run(None, {"x": X}, given)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_s_deadline_ends_its_calls(kind: str) -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = opened(KINDS[kind](server.url))
        said = failing(session, entries(deadline_ms=50))
        assert "[OH502]" in said
        assert "within the 50 ms that the run has for its calls" in said
        assert gate.has_lost_its_client()


def twice(model: oh.Model) -> oh.Model:
    """The model's node, and after it the same again, whose outputs are `again/…`."""
    proto = model.to_proto()
    node, again = proto.graph.node[0], NodeProto()
    again.CopyFrom(node)
    again.name, again.output[:] = "again", [f"again/{name}" for name in node.output]
    proto.graph.node.append(again)
    for output in list(proto.graph.output):
        proto.graph.output.add().CopyFrom(output)
        proto.graph.output[-1].name = f"again/{output.name}"
    return oh.Model.from_proto(proto)


def test_a_run_s_deadline_is_over_for_calls_that_begin_after_it() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = opened(twice(adder(server.url, timeout=LONG, on_error="flag")))
        errors = session.run(["error", "again/error"], {"x": X}, entries(deadline_ms=50))
    assert all("OH502" in str(error) and "that the run has" in str(error) for error in errors)


def test_a_node_s_own_deadline_stands_where_it_comes_first() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        said = failing(opened(adder(server.url, timeout=0.05)), entries(deadline_ms=60_000))
    assert "no answer within 50 ms" in said


def test_a_deadline_is_of_its_run_alone() -> None:
    with raw_server(answer(reply())) as server:
        session = opened(adder(server.url))
        session.run(None, {"x": X}, entries(deadline_ms=1_000))
        session.run(None, {"x": X})
        gate = Gate()
    with raw_server(gate.hold) as server:
        session = opened(adder(server.url, timeout=LONG))
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(session.run(None, {"x": X})))
        thread.start()
        assert gate.seen.wait(SOON)
        failing(session, entries(deadline_ms=20))
        gate.let.set()
        thread.join(SOON)
    assert len(results) == 1


def traces(server: RawServer) -> list[str | None]:
    heads = [request.split(b"\r\n\r\n")[0].decode().split("\r\n") for request in server.requests]
    found = [[line.split(": ")[1] for line in head if line.lower().startswith("traceparent:")] for head in heads]
    return [each[0] if each else None for each in found]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_s_trace_goes_with_its_calls_and_no_others(kind: str) -> None:
    with raw_server(answer(reply())) as server:
        session = opened(KINDS[kind](server.url))
        for given in (TRACE, OTHER):
            session.run(None, {"x": X}, entries(traceparent=given))
        session.run(None, {"x": X})
    assert traces(server) == [TRACE, OTHER, None]


@pytest.mark.parametrize(
    ("name", "value"),
    [("deadline_ms", value) for value in ("", "0", "-5", "1.5", "1 s", "86400001", "soon")]
    + [("traceparent", value) for value in ("", "00-1-2-3", TRACE.upper(), "calls", f"{TRACE}\r\nX-Evil: 1")],
)
def test_an_entry_that_cannot_be_read_is_refused_before_anything_is_sent(name: str, value: str) -> None:
    with raw_server(answer(reply())) as server:
        session = opened(adder(server.url))
        assert "[OH597]" in failing(session, entries(**{name: value}))
        assert server.requests == []
        session.run(None, {"x": X})


def ended(session: onnxruntime.InferenceSession, given: onnxruntime.RunOptions) -> str:
    """What the run says that is ended."""
    with pytest.raises(Exception, match=r"OH514|terminate flag") as caught:
        session.run(None, {"x": X}, given)
    return str(caught.value)


def terminate(_: onnxruntime.InferenceSession, given: onnxruntime.RunOptions) -> None:
    given.terminate = True


def by_tag(session: onnxruntime.InferenceSession, given: onnxruntime.RunOptions) -> None:
    session.set_ep_dynamic_options({"cancel": given.logid})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", [terminate, by_tag])
def test_a_run_that_is_ended_ends_its_calls(
    end: Callable[[onnxruntime.InferenceSession, onnxruntime.RunOptions], None], kind: str
) -> None:
    gate, given, said = Gate(), entries(), list[str]()
    given.logid = "this one"
    with raw_server(gate.watch) as server:
        session = opened(KINDS[kind](server.url))
        thread = threading.Thread(target=lambda: said.append(ended(session, given)))
        thread.start()
        assert gate.seen.wait(SOON)
        end(session, given)
        assert gate.gone.wait(SOON)
        thread.join(SOON)
    # Between two nodes ONNX Runtime sees the flag first.
    assert "[OH514]" in said[0] or (end is terminate and "terminate flag" in said[0])


def test_runs_of_another_tag_or_of_another_session_go_on() -> None:
    gate, given, results = Gate(), entries(), list[Any]()
    given.logid = "this one"
    with raw_server(gate.hold) as server:
        session, other = (opened(adder(server.url, timeout=LONG)) for _ in range(2))
        thread = threading.Thread(target=lambda: results.append(session.run(None, {"x": X}, given)))
        thread.start()
        assert gate.seen.wait(SOON)
        session.set_ep_dynamic_options({"cancel": "that one"})
        other.set_ep_dynamic_options({"cancel": "this one"})
        gate.let.set()
        thread.join(SOON)
        session.set_ep_dynamic_options({"cancel": "this one"})  # it is over
    assert len(results) == 1


def test_runs_side_by_side_with_the_same_options_are_ended_each_while_it_lasts() -> None:
    gate, given, said = Gate(), entries(), list[str]()
    given.logid = "both"

    def first_held(connection: socket.socket, request: bytes) -> None:
        (answer(reply()) if gate.seen.is_set() else gate.watch)(connection, request)

    with raw_server(first_held) as server:
        session = opened(adder(server.url, timeout=LONG))
        thread = threading.Thread(target=lambda: said.append(ended(session, given)))
        thread.start()
        assert gate.seen.wait(SOON)
        session.run(None, {"x": X}, given)
        session.set_ep_dynamic_options({"cancel": "both"})
        assert gate.gone.wait(SOON)
        thread.join(SOON)
    assert "[OH514]" in said[0]


def test_another_option_of_an_open_session_is_refused() -> None:
    session = opened(adder("http://127.0.0.1:1"))
    with pytest.raises(RuntimeError, match=r"\[OH598\].*\"policy\".*\"cancel\""):
        session.set_ep_dynamic_options({"policy": "{}"})


def test_a_call_that_was_begun_ends_with_its_run() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        first, second = halves(server.url)
        session = opened(first)
        (ticket,) = session.run(None, {"x": X})
        assert gate.has_lost_its_client()
        awaits = opened(second)
        with pytest.raises(Exception, match="OH515"):
            awaits.run(None, {"ticket": ticket})


def test_a_call_that_was_begun_ends_with_a_run_that_fails() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        begun = begin(adder(server.url, timeout=LONG), "ticket", ["x"])
        broken = helper.make_node("Reshape", ["x", "shape"], ["r"])
        made = graph(
            [begun, broken],
            [floats("x", "n", 3), helper.make_tensor_value_info("shape", TensorProto.INT64, [2])],
            [ticket_value(), floats("r", None, None)],
        )
        session = opened(made)
        with pytest.raises(Exception, match="Reshape"):
            session.run(None, {"x": X, "shape": np.array([7, 7])}, entries())
        assert gate.has_lost_its_client()


def test_a_call_can_be_begun_and_cancelled() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        nodes = [begin(adder(server.url, timeout=LONG), "ticket", ["x"]), cancel(["ticket"], "dropped")]
        dropped = helper.make_tensor_value_info("dropped", TensorProto.BOOL, [])
        session = opened(graph(nodes, [floats("x", "n", 3)], [dropped], [ticket_value()]))
        assert session.run(None, {"x": X})[0]
        assert gate.has_lost_its_client()


def test_runs_of_run_async_have_their_deadline_trace_and_end() -> None:
    gate, said, over = Gate(), list[str](), threading.Event()

    def done(_: object, __: object, error: str) -> None:
        said.append(error)
        over.set()

    with raw_server(gate.watch) as server:
        settings = options()
        settings.intra_op_num_threads = 2
        proto = whole(server.url, timeout=LONG).to_proto()
        session = onnxruntime.InferenceSession(proto.SerializeToString(), settings)
        session.run_async(None, {"x": X}, done, None, entries(deadline_ms=50, traceparent=TRACE))
        assert over.wait(SOON)
        assert gate.has_lost_its_client()
    assert "within the 50 ms that the run has for its calls" in said[0]
    assert traces(server) == [TRACE]


def test_a_session_with_parallel_execution_calls_by_its_nodes_own_deadlines() -> None:
    with raw_server(answer(reply())) as server:
        settings = options()
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        settings.inter_op_num_threads = 2
        one, two = (adder(server.url, name=name) for name in ("one", "two"))
        proto = oh.parallel(one=one, two=two).to_proto()
        session = onnxruntime.InferenceSession(proto.SerializeToString(), settings)
        for _ in range(8):
            for value in session.run(None, {"x": X}, entries(deadline_ms=60_000)):
                assert value.tolist() == [[1, 2], [3, 4]]


def test_what_is_begun_and_not_awaited_in_parallel_execution_ends_at_its_deadline() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        settings = options()
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        begun = begin(adder(server.url, timeout=0.3), "ticket", ["x"])
        proto = graph([begun], [floats("x", "n", 3)], [ticket_value()]).to_proto()
        session = onnxruntime.InferenceSession(proto.SerializeToString(), settings)
        session.run(None, {"x": X})
        assert gate.has_lost_its_client()


def test_threads_have_runs_of_their_own() -> None:
    def behave(connection: socket.socket, request: bytes) -> None:
        with suppress(OSError):
            if b"never" in request.split(b"\r\n")[0]:
                connection.recv(1)
            else:
                answer(reply())(connection, request)

    with raw_server(behave) as server:
        session = opened(whole(server.url))
        never = opened(
            oh.remote.triton(
                server.url, "never", inputs=adder(server.url).inputs, outputs=adder(server.url).outputs, timeout=LONG
            )
        )
        failed, right = [], []

        def work(number: int) -> None:
            for turn in range(10):
                if (number + turn) % 3 == 0:
                    failed.append(failing(never, entries(deadline_ms=5 + number)))
                else:
                    right.append(session.run(None, {"x": X}, entries(deadline_ms=60_000))[0].tolist())

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (len(failed) + len(right), set(map(str, right))) == (80, {str([[1.0, 2.0], [3.0, 4.0]])})
    assert all("that the run has for its calls" in said for said in failed)


def test_awaiting_takes_no_longer_than_the_run_may() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        remote = adder(server.url, timeout=LONG, on_error="flag")
        flags = [spec.to_value_info() for spec in remote.outputs[1:]]
        outputs = [floats("y", None, None), *flags]
        nodes = [begin(remote, "ticket", ["x"]), await_(["ticket"], [output.name for output in outputs])]
        session = opened(graph(nodes, [floats("x", "n", 3)], outputs))
        _, ok, status, error = session.run(None, {"x": X}, entries(deadline_ms=50))
    assert (bool(ok), int(status)) == (False, 0)
    assert "OH502" in str(error)

"""What a signal handler raises ends a run wherever it is, comes out as itself, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid import library
from onnxhybrid.runtime import interruption
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, raw_server, silence
from tests.strategies import dense, rows
from tests.test_begin import SOON

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no timer that sends a signal")

FEED = {"x": np.ones(1, np.float32)}


@contextlib.contextmanager
def handler(handle: Callable[[int, FrameType | None], Any] | int, number: int = signal.SIGALRM) -> Iterator[None]:
    """Handle a signal like this until the block ends."""
    before = signal.signal(number, handle)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def soon(handle: Callable[[int, FrameType | None], Any] = signal.default_int_handler) -> Iterator[None]:
    """A signal while the block computes."""
    with handler(handle):
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        yield


def alarms(times: int, step: Callable[[], object]) -> Iterator[BaseException]:
    """What comes out of `step`, again and again, with an alarm after another time each."""
    gc.disable()  # what is raised in a callback of the collector, as test tools have them, comes out nowhere
    try:
        for turn in range(times):
            yield _alarmed(5e-6 * (1 + turn % 40), step)
    finally:
        gc.enable()


def _alarmed(seconds: float, step: Callable[[], object]) -> BaseException:
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            step()
    except BaseException as problem:  # noqa: BLE001
        return problem


class Stop(BaseException):
    """What no program catches by mistake."""


@pytest.mark.parametrize("kind", [TimeoutError, ValueError, RuntimeError, KeyError, Stop, KeyboardInterrupt])
def test_what_a_signal_handler_raises_beside_the_wait_comes_out_as_itself(kind: type[BaseException]) -> None:
    def handle(*_: object) -> None:
        raise kind("mine")

    session = oh.Session(dense("m", "x", "y", (3, 3)))
    with handler(handle):
        for raised in alarms(150, lambda: session.run(None, {"x": X})):
            assert type(raised) is kind
            assert raised.args == ("mine",)


def test_a_handlers_exception_comes_out_as_itself_from_a_remote_run() -> None:
    def handle(*_: object) -> None:
        raise TimeoutError("mine")

    with raw_server(answer(reply())) as server, handler(handle):
        session = oh.Session(adder(server.url))
        for raised in alarms(150, lambda: session.run(None, {"x": X})):
            assert type(raised) is TimeoutError


def test_a_handlers_exception_comes_out_as_itself_where_a_session_is_made() -> None:
    def handle(*_: object) -> None:
        raise TimeoutError("mine")

    model = dense("m", "x", "y", (3, 3))
    with handler(handle):
        for raised in alarms(60, lambda: oh.Session(model)):
            assert type(raised) is TimeoutError


def broken(session: oh.Session, at: int) -> bool:
    """Run, and raise at this step of what is around the run; whether there are as many."""
    steps = iter(range(at))

    def step(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename == interruption.__file__:
            frame.f_trace_opcodes = True
            if event == "opcode" and next(steps, None) is None:
                sys.settrace(None)
                raise Stop
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        session.run(None, {"x": X})
    except Stop:
        return True
    finally:
        sys.settrace(before)
    return False


def test_a_run_that_is_broken_off_at_any_step_leaves_nothing_that_the_library_may_not_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every step of Python is one after which a handler may raise; some interpreters look for signals after fewer.
    session, (enter, leave) = oh.Session(dense("m", "x", "y", (3, 3))), library.border()
    within: list[int] = []

    def entered(run: int, check: Any, token: int) -> None:
        within.append(token)
        enter(run, check, token)

    def left(token: int) -> None:
        within[:] = [other for other in within if other < token]
        leave(token)

    monkeypatch.setattr(library, "border", lambda: (entered, left))
    at = 0
    while broken(session, at):
        at += 1
    assert at > 20
    assert within  # a run that was never left
    gc.collect()
    with raw_server(silence) as server, pytest.raises(oh.RemoteTimeout):
        # A wait on this very thread; then one for which the runs from before are the last.
        oh.Session(adder(server.url, timeout=0.2)).run(None, {"x": X})
    with raw_server(silence) as server, pytest.raises(oh.RemoteTimeout):
        oh.remote.triton(server.url, "m", timeout=0.2, retries=0)
    left(within[0])
    assert session.run(None, {"x": X})


def loop(within: Callable[[onnx.GraphProto], onnx.ModelProto] | None = None) -> oh.Model:
    """A model that never ends: x + x, again and again."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["ci"], ["co"]), helper.make_node("Add", ["a", "a"], ["b"])],
        "body",
        [value("i", TensorProto.INT64, []), value("ci", TensorProto.BOOL, []), value("a", TensorProto.FLOAT, [1])],
        [value("co", TensorProto.BOOL, []), value("b", TensorProto.FLOAT, [1])],
    )
    nodes = [
        helper.make_node("Constant", [], ["most"], value_int=1 << 62),
        helper.make_node("Loop", ["most", "", "x"], ["y"], body=body),
    ]
    x, y = value("x", TensorProto.FLOAT, [1]), value("y", TensorProto.FLOAT, [1])
    return oh.Model.from_proto((within or whole)(helper.make_graph(nodes, "loop", [x], [y])))


def whole(graph: onnx.GraphProto, **more: Any) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **more)


def in_branch(graph: onnx.GraphProto) -> onnx.ModelProto:
    """The graph as a branch of an If."""
    branch = helper.make_graph(graph.node, "branch", [], graph.output)
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
    ]
    return whole(helper.make_graph(nodes, "outer", graph.input, graph.output))


def in_function(graph: onnx.GraphProto) -> onnx.ModelProto:
    """The graph as a function of the model."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    function = helper.make_function("mine", "Endless", ["x"], ["y"], graph.node, opsets[:1])
    node = helper.make_node("Endless", ["x"], ["y"], domain="mine")
    outer = helper.make_graph([node], "outer", graph.input, graph.output)
    return helper.make_model(outer, opset_imports=opsets, functions=[function], ir_version=8)


def as_scan(graph: onnx.GraphProto) -> onnx.ModelProto:
    """The graph for each element of a sequence that is scanned."""
    value = helper.make_tensor_value_info
    inner = [*graph.node, helper.make_node("Identity", ["e"], ["f"])]
    scalars = [value(name, TensorProto.FLOAT, [1]) for name in ("x", "e", "y", "f")]
    body = helper.make_graph(inner, "scanned", scalars[:2], scalars[2:])
    nodes = [
        helper.make_node("Constant", [], ["es"], value=helper.make_tensor("es", TensorProto.FLOAT, [1, 1], [0.0])),
        helper.make_node("Scan", ["x", "es"], ["y", "fs"], body=body, num_scan_inputs=1),
    ]
    return whole(helper.make_graph(nodes, "outer", graph.input, graph.output))


@pytest.mark.parametrize("within", [whole, in_branch, in_function, as_scan])
@pytest.mark.parametrize("options", [None, onnxruntime.RunOptions()])
def test_ctrl_c_ends_a_local_loop(within: Any, options: onnxruntime.RunOptions | None) -> None:
    session = oh.Session(loop(within))
    for _ in range(2):
        with soon(), pytest.raises(KeyboardInterrupt):
            session.run(None, FEED, options)
    assert options is None or not options.terminate


def bound(session: oh.Session) -> None:
    binding = session.io_binding()
    binding.bind_cpu_input("x", FEED["x"])
    binding.bind_output("y")
    session.run_with_iobinding(binding)


def valued(session: oh.Session) -> None:
    session.run_with_ort_values(None, {"x": onnxruntime.OrtValue.ortvalue_from_numpy(FEED["x"])})


@pytest.mark.parametrize("run", [bound, valued])
def test_ctrl_c_ends_a_local_loop_however_it_is_run(run: Callable[[oh.Session], None]) -> None:
    session = oh.Session(loop())
    with soon(), pytest.raises(KeyboardInterrupt):
        run(session)


@pytest.mark.parametrize("own", [True, False])
def test_ctrl_c_ends_the_loop_of_a_file(tmp_path: Path, own: bool) -> None:
    path = tmp_path / "loop.onnx"
    loop().save(path)
    session = oh.Session(path, sess_options=None if own else onnxruntime.SessionOptions())
    with soon(), pytest.raises(KeyboardInterrupt):
        session.run(None, FEED)


@pytest.mark.parametrize("options", [None, onnxruntime.RunOptions()])
def test_a_cancelled_future_ends_a_local_loop(options: onnxruntime.RunOptions | None) -> None:
    future = oh.Session(loop()).submit(None, FEED, options)
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    assert concurrent.futures.wait([future], timeout=SOON).done
    assert options is None or not options.terminate


def test_the_timeout_of_a_task_ends_a_local_loop() -> None:
    async def ended() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(oh.Session(loop()).arun(None, FEED), 0.1)

    asyncio.run(ended())


def test_terminate_ends_a_local_loop_and_stays_the_users_own() -> None:
    options = onnxruntime.RunOptions()

    def handle(*_: object) -> None:
        options.terminate = True

    session = oh.Session(loop())
    with soon(handle), pytest.raises(oh.Error, match="OH540"):
        session.run(None, FEED, options)
    assert options.terminate


def test_runs_that_share_options_end_when_each_is_cancelled() -> None:
    options, session = onnxruntime.RunOptions(), oh.Session(loop())
    futures = [session.submit(None, FEED, options) for _ in range(2)]
    while not all(future.running() for future in futures):
        os.sched_yield()
    futures[0].cancel()
    assert not options.terminate
    futures[1].cancel()
    assert concurrent.futures.wait(futures, timeout=SOON).not_done == set()
    assert not options.terminate
    assert oh.Session(dense("m", "x", "y", (3, 3))).run(None, {"x": rows(1, 3)}, options)


def test_what_a_loop_gives_and_raises_is_what_it_gives_and_raises_elsewhere() -> None:
    proto = loop().to_proto()
    proto.graph.node[0].attribute[0].i = 3
    session = oh.Session(oh.Model.from_proto(proto))
    assert session.run(None, FEED)[0].tolist() == [8]
    with pytest.raises(oh.Error, match="OH540"):
        session.run(["nothing"], FEED)

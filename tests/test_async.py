"""Running without waiting, and ending what waits: futures, coroutines, signals, forks and the end of the process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxhybrid as oh
from onnxhybrid.runtime.workers import Workers
from tests.begun import await_, barrier, begin, floats, graph
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, raw_server
from tests.strategies import dense, rows
from tests.test_begin import LONG, SOON, Gate, in_turn, plain

ROOT = Path(__file__).parent.parent


def test_a_future_has_what_run_returns() -> None:
    session = oh.Session(dense("m", "x", "y", (3, 3)))
    expected = session.run(["y"], {"x": rows(2, 3)})
    np.testing.assert_array_equal(session.submit(["y"], {"x": rows(2, 3)}).result(SOON), expected)
    np.testing.assert_array_equal(asyncio.run(session.arun(None, {"x": rows(2, 3)})), expected)


def test_what_run_raises_a_future_raises() -> None:
    with raw_server(answer(b"", status="403 Forbidden")) as server:
        session = oh.Session(adder(server.url))
        with pytest.raises(oh.RemoteStatusError, match="OH503"):
            session.submit(None, {"x": X}).result(SOON)
        with pytest.raises(oh.RemoteStatusError, match="OH503"):
            asyncio.run(session.arun(None, {"x": X}))
    with pytest.raises(oh.Error, match="OH540"):
        session.submit(["nothing"], {"x": X}).result(SOON)


def called_back(session: Any, feeds: dict[str, Any]) -> tuple[Any, ...]:
    """What `run_async` gives its callback."""
    heard: concurrent.futures.Future[tuple[Any, ...]] = concurrent.futures.Future()
    assert session.run_async(["y"], feeds, lambda *arguments: heard.set_result(arguments), "mine") is None
    return heard.result(SOON)


def test_run_async_calls_back_as_onnx_runtime_does() -> None:
    model, feeds = dense("m", "x", "y", (3, 3)), {"x": rows(2, 3)}
    theirs = plain(model, onnxruntime.SessionOptions())
    for right in (feeds, {"x": rows(2, 4)}):
        ours, expected = called_back(oh.Session(model), right), called_back(theirs, right)
        assert [type(argument) for argument in ours] == [type(argument) for argument in expected]
        np.testing.assert_array_equal(ours[0], expected[0])
        assert ours[1] == "mine"
        assert (ours[2] == "") == (expected[2] == "")
    assert ours[2].startswith("[OH540]")
    with pytest.raises(oh.Error, match="OH540"):
        oh.Session(model).run_async(None, {}, print, None)


def test_a_remote_failure_reaches_the_callback_with_its_code() -> None:
    with raw_server(answer(b"", status="403 Forbidden")) as server:
        outputs, _, error = called_back(oh.Session(adder(server.url)), {"x": X})
    assert (outputs, error[:7]) == ([], "[OH503]")


def test_sixty_four_runs_wait_at_once_and_hold_no_thread_of_onnx_runtimes_pool() -> None:
    # The server answers none of them before it has seen them all; the session has one thread for its own work.
    together = threading.Barrier(64)

    def behave(connection: socket.socket, request: bytes) -> None:
        together.wait(SOON)
        answer(reply())(connection, request)

    async def many(session: oh.Session) -> list[list[Any]]:
        return await asyncio.gather(*[session.arun(None, {"x": X}) for _ in range(64)])

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with raw_server(behave) as server:
        session = oh.Session(adder(server.url, timeout=LONG), sess_options=options)
        for _ in range(2):
            assert len(asyncio.run(many(session))) == 64
        assert session.stats()["adder"].connections == 64


def test_threads_are_used_again() -> None:
    session = oh.Session(dense("m", "x", "y", (3, 3)))
    threads = set()
    for _ in range(300):
        heard: concurrent.futures.Future[int] = concurrent.futures.Future()
        session.run_async(
            None, {"x": rows(1, 3)}, lambda *_, heard=heard: heard.set_result(threading.get_ident()), None
        )
        threads.add(heard.result(SOON))
    assert len(threads) < 100


def test_without_a_thread_nothing_is_run() -> None:
    workers = Workers()
    workers.close()
    with pytest.raises(oh.Error, match="OH541"):
        workers.do(lambda: None)


def test_what_finds_no_thread_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxhybrid.runtime.workers.MOST", 2)
    workers, done, go = Workers(), threading.Semaphore(0), threading.Event()
    threads = set()

    def work() -> None:
        go.wait(SOON)
        threads.add(threading.get_ident())
        done.release()

    for _ in range(20):
        workers.do(work)
    go.set()
    assert all(done.acquire(timeout=SOON) for _ in range(20))
    assert len(threads) <= 2


def test_a_cancelled_future_ends_its_remote_calls_at_once() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = oh.Session(adder(server.url, timeout=LONG))
        future = session.submit(None, {"x": X})
        assert gate.seen.wait(SOON)
        assert future.running()
        assert future.cancel()
        assert future.cancelled()
        assert not future.running()
        assert gate.gone.wait(SOON)
        assert concurrent.futures.wait([future], timeout=SOON).done == {future}
        with pytest.raises(concurrent.futures.CancelledError):
            future.result()
        assert session.stats()["adder"].errors == {"OH514": 1}


def test_what_is_over_cannot_be_cancelled() -> None:
    future = oh.Session(dense("m", "x", "y", (3, 3))).submit(None, {"x": rows(1, 3)})
    future.result(SOON)
    assert not future.cancel()


@pytest.mark.parametrize("flag", ["raise", "flag"])
def test_a_cancelled_task_ends_its_remote_calls_at_once(flag: Any) -> None:
    gate = Gate()

    async def cancelled(session: oh.Session) -> None:
        task = asyncio.create_task(session.arun(None, {"x": X}))
        await asyncio.to_thread(gate.seen.wait, SOON)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with raw_server(gate.watch) as server:
        asyncio.run(cancelled(oh.Session(adder(server.url, timeout=LONG, on_error=flag))))
        assert gate.gone.wait(SOON)


def test_a_cancelled_run_drops_what_it_has_begun_as_well() -> None:
    gate, other = Gate(), Gate()
    behaviours = in_turn([gate.watch, other.watch])
    with raw_server(behaviours) as server:
        busy = adder(server.url, timeout=LONG).to_proto().graph.node[0]
        busy.name, busy.input[:], busy.output[:] = "busy", ["x1"], ["z"]
        nodes = [
            begin(adder(server.url, timeout=LONG), "ticket", ["x"]),
            *barrier("ticket", "x", "x1"),
            busy,
            await_(["ticket", "z"], ["y"]),
        ]
        declared = [floats("y", None, None), floats("z", None, None)]
        future = oh.Session(graph(nodes, [floats("x", "n", 3)], declared)).submit(None, {"x": X})
        assert gate.seen.wait(SOON)
        assert other.seen.wait(SOON)
        future.cancel()
        assert gate.gone.wait(SOON)
        assert other.gone.wait(SOON)


def test_the_next_call_after_a_cancelled_one_gets_its_own_answer() -> None:
    gate = Gate()
    behaviours = in_turn([gate.watch, answer(reply())])
    with raw_server(behaviours) as server:
        session = oh.Session(adder(server.url, timeout=LONG))
        future = session.submit(None, {"x": X})
        assert gate.seen.wait(SOON)
        future.cancel()
        assert session.run(None, {"x": X})[0].tolist() == [[1, 2], [3, 4]]


def test_terminate_ends_a_waiting_call() -> None:
    options = onnxruntime.RunOptions()

    def behave(connection: socket.socket, _: bytes) -> None:
        options.terminate = True
        assert connection.recv(1) == b""

    with raw_server(behave) as server:
        session = oh.Session(adder(server.url, timeout=LONG))
        with pytest.raises(oh.RemoteError, match="OH514"):
            session.run(None, {"x": X}, options)
        options.terminate = False
        with pytest.raises(oh.RemoteError, match="OH514"):
            session.submit(None, {"x": X}, options).result(SOON)


@pytest.fixture
def python_hears_ctrl_c() -> Iterator[None]:
    """Python's own handler: a shell that starts the tests in the background has them ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_hears_ctrl_c")
def test_ctrl_c_ends_a_waiting_run_on_the_main_thread() -> None:
    def behave(connection: socket.socket, _: bytes) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert connection.recv(1) == b""

    with raw_server(behave) as server:
        session = oh.Session(adder(server.url, timeout=LONG))
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                session.run(None, {"x": X})


def test_what_a_signal_handler_raises_ends_a_waiting_run_and_is_raised() -> None:
    class Alarm(Exception):
        pass

    def handle(*_: object) -> None:
        raise Alarm

    def behave(connection: socket.socket, _: bytes) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert connection.recv(1) == b""

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with raw_server(behave) as server, pytest.raises(Alarm):
            oh.Session(adder(server.url, timeout=LONG)).run(None, {"x": X})
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_may_run_a_session_while_another_run_waits() -> None:
    let = threading.Event()
    inner = oh.Session(dense("m", "x", "y", (3, 3)))

    def handle(*_: object) -> None:
        inner.run(None, {"x": rows(1, 3)})
        let.set()

    def behave(connection: socket.socket, request: bytes) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert let.wait(SOON)
        answer(reply())(connection, request)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with raw_server(behave) as server:
            assert len(oh.Session(adder(server.url, timeout=LONG)).run(None, {"x": X})) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_with_parallel_execution_a_cancelled_run_ends_by_its_deadline() -> None:
    gate = Gate()
    options = onnxruntime.SessionOptions()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    with raw_server(gate.watch) as server:
        future = oh.Session(adder(server.url, timeout=1.0), sess_options=options).submit(None, {"x": X})
        assert gate.seen.wait(SOON)
        assert future.cancel()
        assert gate.gone.wait(SOON)
        assert concurrent.futures.wait([future], timeout=SOON).done == {future}


def script(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program of its own."""
    program = "import sys\nimport numpy as np\nimport onnxhybrid as oh\nfrom tests.remotes import X, adder\n"
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program + textwrap.dedent(text), *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def require_peaceful_end(program: str, waiting: int, last: bytes) -> None:
    """Require that a program ends with 7, as it says, while so many requests wait; before, it asks for `last`."""
    seen, enough = threading.Semaphore(0), threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if last in request:
            assert all(seen.acquire(timeout=SOON) for _ in range(waiting))
            enough.set()
            answer(reply())(connection, request)
        else:
            seen.release()
            connection.recv(1)

    with raw_server(behave) as server:
        done = script(program, server.url)
    assert enough.is_set()
    assert done.returncode == 7, done.stderr
    for word in ("terminate called", "Fatal", "panicked", "core dumped"):
        assert word not in done.stderr


def test_a_process_ends_while_its_calls_wait() -> None:
    # 20 requests of futures, threads, plain sessions and tickets are under way when the main thread ends.
    program = f"""
    import threading
    from tests.test_begin import halves, plain, registered

    model = adder(sys.argv[1], timeout={LONG})
    session, other = oh.Session(model), plain(model, registered())
    futures = [session.submit(None, {{"x": X}}) for _ in range(5)]
    session.run_async(None, {{"x": X}}, lambda *arguments: print(arguments[2][:7]), None)


    def quietly(run):  # a daemon thread that prints at the interpreter's end may abort it
        try:
            run(None, {{"x": X}})
        except Exception:
            pass


    for run in [session.run] * 5 + [other.run] * 4:
        threading.Thread(target=quietly, args=(run,), daemon=True).start()
    begins = plain(halves(sys.argv[1], timeout={LONG})[0], registered())
    for _ in range(5):
        begins.run(None, {{"x": X}})
    last = oh.remote.triton(sys.argv[1], "finish", inputs=model.inputs, outputs=model.outputs)
    oh.Session(last).run(None, {{"x": X}})
    sys.exit(7)
    """
    require_peaceful_end(program, 20, b"/finish")


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@needs_fork
def test_a_forked_child_works_and_leaves_its_parent_alone() -> None:
    with raw_server(answer(reply())) as server:
        done = script(
            """
            import asyncio, multiprocessing, os

            model = adder(sys.argv[1], timeout=20.0)
            session = oh.Session(model)
            session.run(None, {"x": X})
            asyncio.run(session.arun(None, {"x": X}))

            def work(_=None):
                for each in (session, oh.Session(model)):
                    assert each.run(None, {"x": X})[0].shape == (2, 2)
                    assert asyncio.run(each.arun(None, {"x": X}))[0].shape == (2, 2)
                return os.getpid()

            for _ in range(5):
                child = os.fork()
                if child == 0:
                    try:
                        work()
                    except BaseException:
                        os._exit(1)
                    os._exit(0)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                session.run(None, {"x": X})
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert os.getpid() not in pool.map(work, range(4))
            session.run(None, {"x": X})
            assert session.stats()["adder"].connections == 1, session.stats()
            print("done")
            """,
            server.url,
        )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@needs_fork
def test_a_process_forks_while_its_threads_call() -> None:
    with raw_server(answer(reply())) as server:
        done = script(
            """
            import os, threading

            model = adder(sys.argv[1], timeout=20.0)
            session = oh.Session(model)
            end, failed = threading.Event(), []

            def call():
                try:
                    while not end.is_set():
                        session.run(None, {"x": X})
                except BaseException as problem:
                    failed.append(problem)

            threads = [threading.Thread(target=call) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(40):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        # A session that other threads were running has locks of ONNX Runtime's that stay locked.
                        own = oh.Session(model)
                        own.run(None, {"x": X})
                        own.submit(None, {"x": X}).result(20)
                        session.stats()
                        status = 0
                    finally:
                        os._exit(status)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            end.set()
            for thread in threads:
                thread.join()
            assert not failed, failed
            assert session.stats()["adder"].connections <= 4, session.stats()
            print("done")
            """,
            server.url,
        )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


class _Lines(logging.Handler):
    """A logger's lines, to be waited for: they are written after those who wait for the run go on."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.put(record.getMessage())


def test_a_callback_that_exits_ends_no_thread_and_is_logged() -> None:
    session, handler = oh.Session(dense("m", "x", "y", (3, 3))), _Lines()
    loggers = [logging.getLogger(name) for name in ("onnxhybrid", "concurrent.futures")]

    def leave(*_: object) -> None:
        raise SystemExit(3)

    for logger in loggers:
        logger.addHandler(handler)
    try:
        for width in (3, 3, 3, 4):  # the last one fails
            session.run_async(None, {"x": rows(1, width)}, leave, None)
        assert {handler.lines.get(timeout=10) for _ in range(4)} == {"a callback of a run raised"}
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert session.submit(None, {"x": rows(1, 3)}).result(10)


def test_a_callback_is_never_called_on_the_callers_thread() -> None:
    session, callers, called = oh.Session(dense("m", "x", "y", (3, 3))), threading.get_ident(), threading.Semaphore(0)
    threads: set[int] = set()

    def note(*_: object) -> None:
        threads.add(threading.get_ident())
        called.release()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that many runs are over before run_async goes on
    try:
        for _ in range(1000):
            session.run_async(None, {"x": rows(1, 3)}, note, None)
        assert all(called.acquire(timeout=10) for _ in range(1000))
    finally:
        sys.setswitchinterval(interval)
    assert callers not in threads

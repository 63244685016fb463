"""A ledger: one file that keeps what all sessions and processes which name it spend."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import answer, raw_server

ROOT = Path(__file__).parent.parent


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "spend.ledger"


def opened(url: str, ledger: Path, *, options: dict[str, Any] | None = None, **limits: Any) -> oh.Session:
    model = adder(url, name="adder", **(options or {}))
    return oh.Session(model, policy=oh.Policy(budget={**limits, "ledger": ledger}))


def spent(ledger: Path) -> dict[str, int]:
    """What the file says, read as its documentation says that it is to be read."""
    head, _, *records = (line.strip() for line in ledger.read_text("ascii").splitlines())
    assert json.loads(head) == {"format": "onnxhybrid.ledger", "version": 1}
    return max((json.loads(record) for record in records), key=lambda record: int(record["number"]))


def calls_until_refused(session: oh.Session, most: int = 1000) -> int:
    for count in range(most):
        try:
            session.run(None, {"x": X})
        except oh.PolicyDenied as error:
            assert error.code == "OH521"
            return count
    raise AssertionError("nothing was refused")


def test_sessions_that_name_one_ledger_spend_of_one_sum_one_after_the_other_and_at_once(ledger: Path) -> None:
    with raw_server(answer(reply())) as server:
        for most, passed in ((3, 3), (5, 2)):  # the limits are each session's own
            session = opened(server.url, ledger, calls=most, price={"*": 0.25})
            assert (calls_until_refused(session), calls_until_refused(session)) == (passed, 0)
        one, two = (opened(server.url, ledger, cost=2.0, price={"adder": 0.25}) for _ in range(2))
        one.run(None, {"x": X})
        budget = two.stats().budget
        assert budget is not None
        assert (budget.calls, budget.cost, budget.left) == (6, 1.5, {"cost": 0.5})
        assert calls_until_refused(two) == 2
        assert calls_until_refused(one) == 0
        assert one.stats()["adder"].spent == 0.25  # a node tells what this session spent
    assert len(server.requests) == 8
    assert spent(ledger)["cost_billionths"] == 2_000_000_000


def test_bytes_of_requests_and_answers_are_kept(ledger: Path) -> None:
    with raw_server(answer(reply())) as server:
        session = opened(server.url, ledger)
        for _ in range(3):
            session.run(None, {"x": X})
        node = session.stats()["adder"]
        assert spent(ledger)["bytes"] == node.bytes_in + node.bytes_out
        with pytest.raises(oh.PolicyDenied, match=r"OH521.*bytes"):
            opened(server.url, ledger, bytes=spent(ledger)["bytes"]).run(None, {"x": X})


def test_what_an_answer_cost_is_in_the_file_when_the_run_is_over(ledger: Path) -> None:
    body = {"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 20, "completion_tokens": 3}}
    with raw_server(answer(json.dumps(body).encode())) as server:
        model = oh.remote.openai_chat("m", url=server.url, auth=None, retries=0, max_tokens=100)
        price = {"m": {"input_token": 0.001, "output_token": 0.01}}
        session = oh.Session(model, policy=oh.Policy(budget={"cost": 1.04, "price": price, "ledger": ledger}))
        session.run(None, {"prompt": np.array(["a"])})
        assert spent(ledger)["cost_billionths"] == 50_000_000
        with pytest.raises(oh.PolicyDenied, match="OH521"):  # it might come to 1.05
            session.run(None, {"prompt": np.array(["a"])})


def test_what_was_set_aside_before_a_ledger_was_replaced_is_not_taken_from_what_others_spent_since(
    ledger: Path,
) -> None:
    body = {"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 10, "completion_tokens": 0}}
    has_come, go_on = threading.Event(), threading.Event()

    def when_told(connection: socket.socket, request: bytes) -> None:
        has_come.set()
        assert go_on.wait(10)
        answer(json.dumps(body).encode())(connection, request)

    price = {"m": {"input_token": 1.0, "output_token": 1.0}}
    policy = oh.Policy(budget={"cost": 1000.0, "price": price, "ledger": ledger})
    with raw_server(when_told) as slow, raw_server(answer(json.dumps(body).encode())) as fast:
        models = [
            oh.remote.openai_chat("m", url=server.url, auth=None, retries=0, max_tokens=100) for server in (slow, fast)
        ]
        before = oh.Session(models[0], policy=policy)
        future = before.submit(None, {"prompt": np.array(["a"])})
        assert has_come.wait(10)
        assert spent(ledger)["cost_billionths"] == 100_000_000_000
        ledger.unlink()
        oh.Session(models[1], policy=policy).run(None, {"prompt": np.array(["a"])})
        go_on.set()
        future.result(10)
    assert spent(ledger)["cost_billionths"] == 20_000_000_000


FULL = """
    import resource, signal, sys
    import onnxhybrid as oh
    from tests.remotes import adder

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        oh.Session(adder("http://127.0.0.1:9"), policy=oh.Policy(budget={"ledger": sys.argv[1]}))
    except oh.Error as error:
        print(error.code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files there have no such limit")
@pytest.mark.parametrize("most", [0, 100, 700])
def test_a_disk_that_is_full_leaves_nothing_that_is_in_the_way_once_there_is_room(ledger: Path, most: int) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FULL), str(ledger), str(most)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "OH581\n"
    assert list(ledger.parent.iterdir()) == []
    opened("http://127.0.0.1:9", ledger)


def test_a_repeat_at_another_server_is_one_more_call_and_is_not_sent_where_there_is_none_left(ledger: Path) -> None:
    busy = answer(b'{"error": "busy"}', status="503 Service Unavailable", more="retry-after-ms: 1\r\n")
    with raw_server(busy) as first, raw_server(answer(reply())) as second:
        model = adder(oh.Endpoint("gpu", default=None), retries=1)
        for calls, works in ((2, True), (3, False)):
            policy = oh.Policy(budget={"calls": calls, "ledger": ledger})
            session = oh.Session(model, endpoints={"gpu": [first.url, second.url]}, policy=policy)
            if works:
                session.run(None, {"x": X})
            else:
                with pytest.raises(oh.RemoteStatusError, match="busy"):
                    session.run(None, {"x": X})
            assert spent(ledger)["calls"] == calls
    assert (len(first.requests), len(second.requests)) == (2, 1)


def test_a_plain_session_spends_of_it_too(ledger: Path) -> None:
    with raw_server(answer(reply())) as server:
        options = onnxruntime.SessionOptions()
        oh.register(options, policy=oh.Policy(budget={"calls": 1, "ledger": ledger}))
        session = onnxruntime.InferenceSession(adder(server.url).to_proto().SerializeToString(), options)
        session.run(None, {"x": X})
        with pytest.raises(Exception, match="OH521"):
            session.run(None, {"x": X})
    assert len(server.requests) == 1


def test_the_file_is_for_its_owner_alone_and_holds_nothing_but_sums(ledger: Path) -> None:
    with raw_server(answer(reply())) as server:
        model = adder(server.url, auth=oh.Credential("key"))
        policy = oh.Policy(budget={"ledger": ledger, "price": {"secret-model": 5}})
        oh.Session(model, credentials={"key": TOKEN}, policy=policy).run(None, {"x": X})
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    assert list(ledger.parent.iterdir()) == [ledger]
    text = ledger.read_text()
    assert not any(word in text for word in (TOKEN, "adder", "127.0.0.1", "secret-model"))
    assert set(spent(ledger)) == {"number", "calls", "bytes", "cost_billionths", "check"}


def _folder(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    other = path.with_name("other")
    oh.Session(adder("http://127.0.0.1:9"), policy=oh.Policy(budget={"ledger": other}))
    path.symlink_to(other)


def _version(path: Path) -> None:
    oh.Session(adder("http://127.0.0.1:9"), policy=oh.Policy(budget={"ledger": path}))
    path.write_text(path.read_text().replace('"version":1', '"version":2'))


def _damaged(path: Path) -> None:
    oh.Session(adder("http://127.0.0.1:9"), policy=oh.Policy(budget={"ledger": path}))
    path.write_text(path.read_text().replace('"calls":0', '"calls":1'))


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (_folder, "is no regular file"),
    "a FIFO": (os.mkfifo, "is no regular file"),
    "a link": (_link, "is a symbolic link"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "is a symbolic link"),
    "another file": (lambda path: path.write_bytes(b"photo" * 1000), "is no ledger"),
    "an empty file": (lambda path: path.write_bytes(b""), "is empty"),
    "nothing but zeros": (lambda path: path.write_bytes(bytes(1536)), "is no ledger"),
    "another version": (_version, "another version"),
    "changed by hand": (_damaged, "is damaged"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_no_ledger_is_refused_when_the_session_opens_and_left_as_it_is(kind: str, ledger: Path) -> None:
    make, said = UNFIT[kind]
    make(ledger)
    before = ledger.read_bytes() if ledger.is_file() else None
    with pytest.raises(oh.Error, match=rf"OH581.*spend\.ledger.*{said}"):
        opened("http://127.0.0.1:9", ledger)
    assert before is None or ledger.read_bytes() == before


@pytest.mark.parametrize("path", ["/dev/null", "/proc/self/mem", "/no/such/folder/ledger", "/proc/ledger"])
def test_a_path_where_no_ledger_can_be_is_refused(path: str) -> None:
    with pytest.raises(oh.Error, match="OH581"):
        opened("http://127.0.0.1:9", Path(path))


@pytest.mark.parametrize("kind", [*UNFIT, "nothing"])
def test_a_ledger_that_becomes_something_else_refuses_the_call_and_no_flag_hides_it(kind: str, ledger: Path) -> None:
    with raw_server(answer(reply())) as server:
        session = opened(server.url, ledger, options={"on_error": "flag"}, calls=100)
        session.run(None, {"x": X})
        kept = ledger.read_bytes()
        ledger.unlink()
        if kind != "nothing":
            UNFIT[kind][0](ledger)
        with pytest.raises(oh.PolicyDenied, match="OH582") as caught:
            session.run(None, {"x": X})
        assert caught.value.attempts == 0
        assert len(server.requests) == 1
        budget = session.stats().budget
        assert budget is not None
        assert budget.calls == 1
        if kind == "a folder":
            ledger.rmdir()
        ledger.unlink(missing_ok=True)
        ledger.write_bytes(kept)
        session.run(None, {"x": X})
        assert spent(ledger)["calls"] == 2


def test_a_ledger_that_was_deleted_begins_anew_for_all_once_a_session_opens(ledger: Path) -> None:
    with raw_server(answer(reply())) as server:
        old = opened(server.url, ledger, calls=2)
        assert calls_until_refused(old) == 2
        ledger.unlink()
        new = opened(server.url, ledger, calls=2)
        assert (calls_until_refused(old), calls_until_refused(new)) == (2, 0)


@contextlib.contextmanager
def locked(ledger: Path) -> Iterator[None]:
    with ledger.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_ledger_that_is_locked_is_waited_for_until_the_deadline_and_holds_up_nobody_else(ledger: Path) -> None:
    with raw_server(answer(reply())) as server:
        session = opened(server.url, ledger, options={"timeout": 2.0})
        other = oh.Session(adder(server.url), policy=oh.Policy(budget={"calls": 9}))
        with locked(ledger):
            outcomes: list[object] = []

            def attempt() -> None:
                try:
                    outcomes.append(session.run(None, {"x": X}))
                except oh.RemoteError as error:
                    outcomes.append((error.code, error.attempts))

            threads = [threading.Thread(target=attempt) for _ in range(4)]
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            other.run(None, {"x": X})
            assert session.stats().budget is not None
            for thread in threads:
                thread.join()
            assert time.monotonic() - begun < 5
        assert outcomes == [("OH583", 0)] * 4
        session.run(None, {"x": X})
    assert len(server.requests) == 2


def test_an_answer_is_given_although_its_cost_cannot_be_written_and_the_next_call_writes_it(ledger: Path) -> None:
    locks: list[contextlib.AbstractContextManager[None]] = []

    def lock_and_answer(connection: socket.socket, request: bytes) -> None:
        if not locks:
            locks.append(locked(ledger))
            locks[0].__enter__()
        answer(reply())(connection, request)

    with raw_server(lock_and_answer) as server:
        session = opened(server.url, ledger, options={"timeout": 10.0})
        session.run(None, {"x": X})
        before = spent(ledger)["bytes"]
        locks[0].__exit__(None, None, None)
        session.run(None, {"x": X})
    node = session.stats()["adder"]
    assert before < spent(ledger)["bytes"] == node.bytes_in + node.bytes_out


WORKER = """
    import json, sys, threading
    import numpy as np
    import onnxhybrid as oh
    from tests.remotes import X, adder

    url, threads, budget, service = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
    if service == "chat":
        model = oh.remote.openai_chat("m", url=url, auth=None, retries=0, timeout=60.0)
        feeds = {"prompt": np.array(["a"])}
    else:
        model, feeds = adder(url, timeout=60.0), {"x": X}
    session = oh.Session(model, policy=oh.Policy(budget=budget))

    def work():
        try:
            while True:
                session.run(None, feeds)
        except oh.PolicyDenied as error:
            assert error.code == "OH521", error

    every = [threading.Thread(target=work) for _ in range(threads)]
    [thread.start() for thread in every]
    [thread.join() for thread in every]
    print("refused")
"""


def started(url: str, threads: int, budget: dict[str, Any], service: str = "adder") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), url, str(threads), json.dumps(budget), service],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


@settings(max_examples=3)
@given(
    deaths=st.lists(st.integers(1, 150), min_size=1, max_size=3),
    threads=st.integers(1, 4),
    answers_first=st.booleans(),
)
def test_processes_that_are_killed_at_any_moment_lose_nothing_and_never_let_the_sum_pass(
    tmp_path_factory: pytest.TempPathFactory, deaths: list[int], threads: int, answers_first: bool
) -> None:
    most, ledger = 200, tmp_path_factory.mktemp("ledger") / "spend.ledger"
    workers: list[subprocess.Popen[str]] = []
    counting, count = threading.Lock(), 0

    def behave(connection: socket.socket, request: bytes) -> None:
        nonlocal count
        with counting:
            count += 1
            now = count
        if answers_first:
            answer(reply())(connection, request)
        for worker, death in zip(workers, deaths, strict=False):
            if now == death:
                worker.send_signal(signal.SIGKILL)
        if not answers_first:
            answer(reply())(connection, request)

    with raw_server(behave) as server:
        budget = {"calls": most, "cost": most * 0.5, "price": {"*": 0.5}, "ledger": str(ledger)}
        workers += [started(server.url, threads, budget) for _ in range(len(deaths) + 1)]
        outputs = [worker.communicate(timeout=120)[0] for worker in workers]
        assert outputs[-1] == "refused\n"
        assert count <= spent(ledger)["calls"] == most
        assert spent(ledger)["cost_billionths"] == most * 500_000_000
        assert most - count <= len(deaths) * threads  # what was under way where one was killed
        assert calls_until_refused(opened(server.url, ledger, calls=most + 3)) == 3


@settings(max_examples=3)
@given(
    used=st.lists(st.integers(1, 90), min_size=5, max_size=20), deaths=st.lists(st.integers(1, 40), max_size=2),
    threads=st.integers(1, 4),
)  # fmt: skip
def test_by_tokens_the_sum_is_passed_by_no_more_than_the_calls_under_way(
    tmp_path_factory: pytest.TempPathFactory, used: list[int], deaths: list[int], threads: int
) -> None:
    ledger = tmp_path_factory.mktemp("ledger") / "spend.ledger"
    workers: list[subprocess.Popen[str]] = []
    counting, tokens = threading.Lock(), list[int]()

    def behave(connection: socket.socket, request: bytes) -> None:
        with counting:
            mine = used[len(tokens) % len(used)]
            tokens.append(mine)
            now = len(tokens)
        for worker, death in zip(workers, deaths, strict=False):
            if now == death:
                worker.send_signal(signal.SIGKILL)
        usage = {"prompt_tokens": mine, "completion_tokens": 0}
        body = {"choices": [{"message": {"content": "hi"}}], "usage": usage}
        answer(json.dumps(body).encode())(connection, request)

    with raw_server(behave) as server:
        price = {"m": {"request": 0.001, "input_token": 0.001}}
        budget = {"cost": 2.0, "price": price, "ledger": str(ledger)}
        workers += [started(server.url, threads, budget, "chat") for _ in range(len(deaths) + 1)]
        outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert outputs[-1] == "refused\n"
    thousandths = spent(ledger)["cost_billionths"] / 1_000_000
    at_server = sum(tokens) + len(tokens)
    most = max(used)
    assert at_server - len(deaths) * threads * most <= thousandths <= 2000 + len(workers) * threads * most
    assert thousandths + 1 > 2000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_spends_of_the_same_sum_also_where_others_spend_meanwhile(ledger: Path) -> None:
    program = """
        import os, sys, threading
        import onnxhybrid as oh
        from tests.remotes import X, adder

        budget = {"calls": 60, "ledger": sys.argv[2]}
        session = oh.Session(adder(sys.argv[1], timeout=60.0), policy=oh.Policy(budget=budget))

        def spend(times):
            for _ in range(times):
                session.run(None, {"x": X})

        spend(2)
        threads = [threading.Thread(target=spend, args=(9,)) for _ in range(2)]
        [thread.start() for thread in threads]
        children = []
        for _ in range(4):
            children.append(os.fork())
            if children[-1] == 0:
                try:
                    spend(10)
                except BaseException:
                    os._exit(1)
                os._exit(0)
        [thread.join() for thread in threads]
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
        try:
            session.run(None, {"x": X})
        except oh.PolicyDenied as error:
            print(error.code)
    """
    with raw_server(answer(reply())) as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program), server.url, ledger],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "OH521\n"), done.stderr
    assert len(server.requests) == spent(ledger)["calls"] == 60

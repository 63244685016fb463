"""Wherever a server stops, in every protocol: the call ends by its deadline, and at once where it is ended."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import onnxhybrid as oh
from tests.begun import await_, begin, graph
from tests.dialects import DIALECTS, Dialect
from tests.servers.faults import SECRET, Fault, faulty_server
from tests.servers.faults.certificates import AUTHORITY
from tests.servers.faults.fault import Good, answered
from tests.servers.faults.stalls import GRPC, HTTP, TLS
from tests.servers.raw import listening, read_head

SHORT, LONGER, NEVER = 0.15, 0.4, 60.0
"""Deadlines in seconds; the last one is later than any of these tests waits."""

MARGIN = 5.0
"""Seconds that a call may take beyond its deadline, on a machine under load too."""

LATE, CANCELLED = "OH502", "OH514"


@dataclass(frozen=True)
class Way:
    """How a call is made, and ended."""

    name: str
    deadline: float
    on_error: str = "raise"
    begun: bool = False


WAYS = (
    Way("raised", SHORT),
    Way("raised later", LONGER),
    Way("flagged", SHORT, "flag"),
    Way("begun and awaited", SHORT, begun=True),
    Way("ended by the host", NEVER),
)


@dataclass(frozen=True)
class Case:
    dialect: Dialect
    stall: Fault
    way: Way

    @property
    def name(self) -> str:
        return f"{self.dialect.name}: {self.stall.name}, {self.way.name}"


def _cases() -> Iterator[Case]:
    """Each place in each protocol, and one way after the other to make the call."""
    ways = itertools.cycle(WAYS)
    for dialect in DIALECTS:
        for stall in (*(GRPC if dialect.scheme == "grpc" else HTTP), *TLS):
            way = next(ways)
            # What may end by itself is nothing that the host can end.
            yield Case(dialect, stall, way if way.deadline < NEVER or stall.ends == {LATE} else WAYS[0])


CASES = list(_cases())


@dataclass(frozen=True)
class Outcome:
    code: str
    seconds: float
    """From the call, or from its end by the host."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deadlines") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, authority: Path) -> Iterator[dict[str, Future[Outcome]]]:
    """The cases that were chosen, met side by side."""
    chosen = [item.callspec.params["case"] for item in request.session.items if item.name.startswith(ENDS)]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(16) as pool:
        yield {case.name: pool.submit(_met, case, authority) for case in chosen}


def _met(case: Case, authority: Path) -> Outcome:
    stopped = threading.Event()

    def answer(good: Good) -> bytes:
        stopped.set()
        return case.stall.answer(good)

    dialect, way = case.dialect, case.way
    stall = dataclasses.replace(case.stall, answer=answer)
    policy = oh.Policy(ca_file=authority) if stall.tls else None
    options: dict[str, Any] = {"timeout": way.deadline, "on_error": way.on_error}
    with faulty_server(stall, dialect.good, grpc=dialect.scheme == "grpc", always=True) as server:
        url = f"{dialect.scheme}{'s' if stall.tls else ''}://{server}"
        session = _session(dialect, url, policy=policy, begun=way.begun, retries=stall.retries, **options)
        if way.deadline == NEVER:
            return _ended(session, dialect, stopped)
        started = time.monotonic()
        code = _code(session, dialect.feeds)
        return Outcome(code, time.monotonic() - started)


def _session(
    dialect: Dialect, url: str, *, policy: oh.Policy | None = None, begun: bool = False, **options: Any
) -> oh.Session:
    model = dialect.build(url, **{"auth": oh.Credential("key"), "retries": 0, "connect_timeout": NEVER, **options})
    alone = onnxruntime.SessionOptions()
    alone.intra_op_num_threads = 1  # there would be thousands of threads
    alone.log_severity_level = 4
    return oh.Session(_begun(model) if begun else model, credentials={"key": SECRET}, policy=policy, sess_options=alone)


def _begun(remote: oh.Model) -> oh.Model:
    """The same call, begun and awaited."""
    inputs = [spec.name for spec in remote.inputs]
    outputs = [spec.to_value_info() for spec in remote.outputs]
    nodes = [begin(remote, "ticket", inputs), await_(["ticket"], [output.name for output in outputs])]
    return graph(nodes, [spec.to_value_info() for spec in remote.inputs], outputs)


def _code(session: oh.Session, feeds: Any, options: onnxruntime.RunOptions | None = None) -> str:
    try:
        _, *flags = session.run(None, feeds, options)
    except oh.RemoteError as problem:
        return problem.code
    return str(flags[2])[1:6] if flags and not flags[0] else "no failure"


def _ended(session: oh.Session, dialect: Dialect, stopped: threading.Event) -> Outcome:
    """What comes of a call that the host ends once the server has stopped."""
    options = onnxruntime.RunOptions()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(_code, session, dialect.feeds, options)
        assert stopped.wait(MARGIN)
        started = time.monotonic()
        options.terminate = True
        return Outcome(call.result(NEVER), time.monotonic() - started)


ENDS = "test_a_call_ends_by_its_deadline_and_at_once_where_the_host_ends_it"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_call_ends_by_its_deadline_and_at_once_where_the_host_ends_it(
    case: Case, outcomes: dict[str, Future[Outcome]]
) -> None:
    outcome = outcomes[case.name].result()
    if case.way.deadline == NEVER:
        assert outcome.code == CANCELLED
        assert outcome.seconds < MARGIN
        return
    assert outcome.code in case.stall.ends
    assert outcome.seconds < case.way.deadline + MARGIN
    assert outcome.code != LATE or outcome.seconds > 0.9 * case.way.deadline


@contextlib.contextmanager
def _crowded() -> Iterator[str]:
    """A port where no connection is accepted any more, since too many wait."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("secured", ["", "s"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_connection_that_is_never_made_ends_by_the_deadline(dialect: Dialect, secured: str) -> None:
    with _crowded() as address:
        session = _session(dialect, f"{dialect.scheme}{secured}://{address}", timeout=SHORT)
        _ends(session, dialect.feeds, SHORT)


def _ends(session: oh.Session, feeds: Any, deadline: float) -> None:
    started = time.monotonic()
    assert _code(session, feeds) == LATE
    assert 0.9 * deadline < time.monotonic() - started < deadline + MARGIN


def _says(*pieces: bytes) -> Callable[[socket.socket], None]:
    """Whoever says one piece for each that it hears, and then nothing more."""

    def talk(connection: socket.socket) -> None:
        for piece in pieces:
            connection.recv(65536)
            connection.sendall(piece)
        while connection.recv(65536):
            pass

    return talk


_TUNNEL = (b"", b"H", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nX: y\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
_SOCKS = ((), (b"\5",), (b"\5\0",), (b"\5\0", b"\5"), (b"\5\0", b"\5\0\0\1"), (b"\5\0", b"\5\0\0\3\7abc"),
          (b"\5\0", b"\5\0\0\1\0\0\0\0\0\0"))  # fmt: skip
PROXIES = [
    *((dialect, "http", (said,)) for dialect in ("http", "https", "grpc", "grpcs") for said in _TUNNEL),
    *((dialect, "socks5h", said) for dialect in ("http", "https", "grpc", "grpcs") for said in _SOCKS),
]


@pytest.mark.parametrize(("scheme", "kind", "said"), PROXIES)
def test_a_proxy_that_stops_keeps_no_call_past_its_deadline(
    scheme: str, kind: str, said: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    dialect = DIALECTS[scheme.startswith("grpc")]
    with listening(_says(*said)) as address:
        monkeypatch.setenv("https_proxy" if scheme.endswith("s") else "http_proxy", f"{kind}://{address}")
        # An address that belongs to documentation and leads nowhere.
        session = _session(dialect, f"{scheme}://192.0.2.1:8000", timeout=SHORT, auth=None)
        _ends(session, dialect.feeds, SHORT)


SIZE = 12 << 20
_ZEROS = b",".join([b"0.0"] * (SIZE // 4))
LARGE = {
    "triton.http": b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [%d, 2], "data": [%s]}]}'
    % (SIZE // 8, _ZEROS),
    "azureml.score named": b'{"y": [' + b",".join([b"[0.0,0.0]"] * (SIZE // 10)) + b"]}",
    "azureml.score data": b'{"result": [' + b",".join([b"[0.0,0.0]"] * (SIZE // 10)) + b"]}",
    "openai.embeddings": b'{"data": ['
    + b",".join(b'{"index":%d,"embedding":[0.0]}' % row for row in range(SIZE // 40))
    + b"]}",
    "openai.chat": b'{"choices": [' + b",".join([b"[[]]"] * (SIZE // 5)) + b"]}",
    "openai.audio": b'{"x": [' + _ZEROS + b"]}",
}


@pytest.mark.parametrize("deadline", [0.02, 0.1])
@pytest.mark.parametrize("name", LARGE)
def test_an_answer_that_takes_long_to_read_keeps_no_call_past_its_deadline(name: str, deadline: float) -> None:
    (dialect,) = (dialect for dialect in DIALECTS if dialect.name == name)
    whole = answered(dialect.good, LARGE[name])

    def talk(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(whole)

    with listening(talk) as address:
        session = _session(dialect, f"http://{address}", timeout=deadline)
        started = time.monotonic()
        assert _code(session, dialect.feeds) in {
            LATE,
            "OH504",
            "OH505",
            "OH506",
        }  # it may be read, and then is no answer
        assert time.monotonic() - started < deadline + 1.0


@pytest.mark.parametrize("rows", [2, 5, 40])
@pytest.mark.parametrize("stalling", [0, -1])
def test_one_row_that_is_not_answered_ends_the_call_of_all_by_the_deadline(rows: int, stalling: int) -> None:
    (dialect,) = (dialect for dialect in DIALECTS if dialect.name == "openai.chat")
    prompts = [f"prompt-{row}-" for row in range(rows)]

    def talk(connection: socket.socket) -> None:
        while request := read_head(connection):
            while b"prompt-" not in request:
                request += connection.recv(65536)
            if prompts[stalling].encode() in request:
                connection.recv(1)
                return
            connection.sendall(answered(dialect.good))

    with listening(talk) as address:
        session = _session(dialect, f"http://{address}", timeout=LONGER)
        _ends(session, {"prompt": np.array(prompts)}, LONGER)


DISCOVERED = [*(("http", stall) for stall in HTTP), *(("grpc", stall) for stall in GRPC)]


@pytest.mark.parametrize(
    ("scheme", "stall"),
    [(scheme, stall) for scheme, stall in DISCOVERED if stall.ends == {LATE}][::3],
    ids=lambda value: value.name if isinstance(value, Fault) else value,
)
def test_a_model_that_its_server_does_not_describe_ends_by_the_deadline(scheme: str, stall: Fault) -> None:
    with faulty_server(stall, DIALECTS[scheme == "grpc"].good, grpc=scheme == "grpc", always=True) as server:
        started = time.monotonic()
        with pytest.raises(oh.RemoteTimeout) as caught:
            oh.remote.triton(f"{scheme}://{server}", "m", timeout=SHORT, connect_timeout=NEVER, retries=0)
        assert caught.value.code == LATE
        assert 0.9 * SHORT < time.monotonic() - started < SHORT + MARGIN


@pytest.mark.parametrize("stall", HTTP[2:20:4], ids=lambda stall: stall.name)
def test_a_call_within_a_branch_ends_by_its_deadline(stall: Fault) -> None:
    dialect = DIALECTS[0]
    local = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["gone"])],
        "condition",
        [helper.make_tensor_value_info("go", 9, [])],
        [helper.make_tensor_value_info("gone", 9, [])],
    )
    condition = oh.Model.from_proto(helper.make_model(local, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    with faulty_server(stall, dialect.good, always=True) as server:
        remote = dialect.build(f"http://{server}", timeout=SHORT, retries=0)
        session = oh.Session(oh.switch(condition, then=remote, else_=remote))
        _ends(session, {**dialect.feeds, "go": np.array(True)}, SHORT)


def test_there_are_hundreds_of_places_to_stop() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200
    assert {case.way for case in CASES} == set(WAYS)

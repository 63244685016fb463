"""Longer attacks on what waits and reads: many signals, names that nobody answers, bodies without an end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import onnxhybrid as oh
from tests.remotes import X, adder
from tests.servers.raw import raw_server, silence
from tests.strategies import dense
from tests.test_begin import SOON
from tests.test_interruption import alarms, handler

pytestmark = [pytest.mark.attack, pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")]


def held() -> int:
    """The most bytes of memory that this process has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("chunk", [b"1\r\n0\r\n", b"1;" + b"a" * 900 + b"\r\n0\r\n", b"2\r\n{}\r\n"])
def test_a_body_without_an_end_takes_little_more_memory_than_the_policy_allows(chunk: bytes) -> None:
    limit = 32 << 20

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(chunk * (1 + (1 << 20) // len(chunk)))

    before = held()
    with raw_server(behave) as server:
        session = oh.Session(adder(server.url, timeout=10.0), policy=oh.Policy(max_response_bytes=limit))
        with pytest.raises((oh.ProtocolError, oh.RemoteTimeout)):
            session.run(None, {"x": X})
    assert held() - before < 4 * limit


def test_thousands_of_signals_leave_no_run_behind() -> None:
    session = oh.Session(dense("m", "x", "y", (3, 3)))
    with handler(signal.default_int_handler):
        for raised in alarms(20_000, lambda: session.run(None, {"x": X})):
            assert type(raised) is KeyboardInterrupt
    started = time.monotonic()
    with raw_server(silence) as server, pytest.raises(oh.RemoteTimeout):
        oh.remote.triton(server.url, "m", timeout=0.4, retries=0)
    assert 0.4 <= time.monotonic() - started < SOON


NAMES = textwrap.dedent(
    """
    import socket, sys, threading
    import onnxhybrid as oh
    from tests.remotes import X, adder, reply
    from tests.servers.raw import answer, raw_server

    nobody = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    nobody.bind(("127.0.0.1", 53))  # and never answers

    def calls(session, times):
        for _ in range(times):
            try:
                session.run(None, {"x": X})
            except oh.RemoteError:
                pass

    with raw_server(answer(reply())) as server:
        port = server.url.rsplit(":", 1)[1]
        evil = [oh.Session(adder(f"http://n{n}.evil.example:{port}", timeout=0.2)) for n in range(8)]
        threads = [threading.Thread(target=calls, args=(evil[n % 8], 20)) for n in range(160)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(oh.Session(adder(f"http://good.example:{port}")).run(None, {"x": X})[0].shape)
        secret = oh.Secret(lambda: "token", hosts=["127.0.0.1"])
        asked = adder(f"http://127.0.0.1:{port}", auth=oh.Credential("c"))
        print(oh.Session(asked, credentials={"c": secret}).run(None, {"x": X})[0].shape)
        sys.stdout.flush()
        import os
        os._exit(0)
    """
)


@pytest.mark.skipif(not shutil.which("unshare") or os.geteuid() != 0, reason="it makes a network of its own")
def test_names_that_nobody_answers_keep_no_other_session_from_its_own(tmp_path: Path) -> None:
    files = {
        "resolv.conf": "nameserver 127.0.0.1\noptions timeout:30 attempts:3\n",
        "hosts": "127.0.0.1 localhost good.example\n",
        "nsswitch.conf": "hosts: files dns\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    binds = [f"mount --bind {tmp_path / name} /etc/{name}" for name in files]
    command = "; ".join(["ip link set lo up", *binds, 'exec "$0" -c "$1"'])
    root = Path(__file__).parent.parent
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", command, sys.executable, NAMES],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["(2, 2)", "(2, 2)"], done.stderr

"""A server that goes away ends no process, in hosts that leave SIGPIPE as the system has it."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.servers.raw import listening, read_head

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGPIPE")

ROOT = Path(__file__).parent.parent
AUTHORITY = trustme.CA()

SCRIPT = textwrap.dedent(
    """
    import signal, sys
    import numpy as np
    import onnxhybrid as oh

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _, url, authority = sys.argv
    spec = oh.TensorSpec("x", "float32", ("n",))
    remote = oh.remote.triton(url, "m", inputs=[spec], outputs=[oh.TensorSpec("y", "float32", None)], retries=1)
    for model in (remote, oh.overlap(oh.parallel(a=remote, b=remote))):  # awaited, and begun
        session = oh.Session(model, policy=oh.Policy(ca_file=authority or None))
        feeds = {spec.name: np.zeros(1 << 21, np.float32) for spec in model.inputs}
        for _ in range(2):
            try:
                session.run(None, feeds)
            except oh.RemoteError as problem:
                print(problem.code)
    """
)

Secure = Callable[[socket.socket], socket.socket]


def hang_up(secure: Secure) -> Callable[[socket.socket], None]:
    """Read the beginning of a request and go: what is sent ends, and then, since more has come, comes a reset.

    After both the system has the client's next write fail with EPIPE.
    """

    def talk(plain: socket.socket) -> None:
        with secure(plain) as connection:
            connection.recv(1)
            connection.shutdown(socket.SHUT_WR)

    return talk


def through_proxy(secure: Secure) -> Callable[[socket.socket], None]:
    """Be the proxy, too."""

    def talk(connection: socket.socket) -> None:
        assert read_head(connection).startswith(b"CONNECT")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        hang_up(secure)(connection)

    return talk


def by_tls(*protocols: str) -> Secure:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1", "there.example").configure_cert(context)
    context.set_alpn_protocols(list(protocols))
    return lambda plain: context.wrap_socket(plain, server_side=True)


def plainly(connection: socket.socket) -> socket.socket:
    return connection


@pytest.mark.parametrize(
    ("scheme", "talk"),
    [
        ("http", hang_up(plainly)),
        ("grpc", hang_up(plainly)),
        ("https", hang_up(by_tls("http/1.1"))),
        ("https", hang_up(by_tls("h2"))),
        ("grpcs", hang_up(by_tls("h2"))),
        ("grpc", through_proxy(plainly)),
        ("https", through_proxy(by_tls("http/1.1"))),
    ],
)
def test_a_server_that_goes_away_ends_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, talk: Callable[[socket.socket], None]
) -> None:
    authority = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(authority)
    proxied = talk.__qualname__.startswith("through_proxy")
    with listening(talk) as address:
        for name in ("https_proxy", "http_proxy") if proxied else ():
            monkeypatch.setenv(name, f"http://{address}")
        host = "there.example" if proxied else address
        arguments = [f"{scheme}://{host}", str(authority) if scheme.endswith("s") else ""]
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done
    assert len(done.stdout.split()) == 4

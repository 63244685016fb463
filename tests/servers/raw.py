"""A server that says exactly what a test tells it to, byte by byte, and keeps what it heard."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket, bytes], None]
"""What is done with a connection once a whole request was read."""


@dataclass
class RawServer:
    """The base URL, and the requests (head and body) in the order in which they came."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def raw_server(behave: Behaviour) -> Iterator[RawServer]:
    """Serve on a free loopback port until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    connections: list[socket.socket] = []

    threads: list[threading.Thread] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=_talk, args=(connection, server, behave), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        # Each thread closes its own socket: closed from here, its number could be another's before the thread looks.
        _wake(listener)
        accepting.join(5)
        listener.close()
        for connection in connections:
            _wake(connection)
        for thread in threads:
            thread.join(5)


def _wake(waited_for: socket.socket) -> None:
    with contextlib.suppress(OSError):
        waited_for.shutdown(socket.SHUT_RDWR)


def _talk(connection: socket.socket, server: RawServer, behave: Behaviour) -> None:
    with contextlib.suppress(OSError, ConnectionError), connection:
        while request := _request(connection):
            server.requests.append(request)
            behave(connection, request)


def _request(connection: socket.socket) -> bytes:
    """One HTTP/1.1 request with a Content-Length, head and body; empty at the connection's end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        piece = connection.recv(65536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


def answer(body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = "") -> Behaviour:
    """Answer every request with this."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
    return lambda connection, _: connection.sendall(head + body)


def send_and_close(data: bytes) -> Behaviour:
    """Send these bytes, whatever they are, and close the connection."""

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    return behave


def silence(connection: socket.socket, _: bytes) -> None:
    """Never answer."""
    connection.recv(1)

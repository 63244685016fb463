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
def listening(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listen on a free loopback port until the block ends; each connection has a thread that talks on it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def hold(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            talk(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=hold, args=(connection,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Each thread closes its own socket: closed from here, its number could be another's before the thread looks.
        _wake(listener)
        accepting.join(5)
        listener.close()
        for connection in connections:
            _wake(connection)
        for thread in threads:
            thread.join(5)


@contextlib.contextmanager
def raw_server(behave: Behaviour) -> Iterator[RawServer]:
    """Serve on a free loopback port until the block ends."""
    server = RawServer("")

    def talk(connection: socket.socket) -> None:
        while request := read_request(connection):
            server.requests.append(request)
            behave(connection, request)

    with listening(talk) as address:
        server.url = f"http://{address}"
        yield server


def _wake(waited_for: socket.socket) -> None:
    with contextlib.suppress(OSError):
        waited_for.shutdown(socket.SHUT_RDWR)


def read_head(connection: socket.socket) -> bytes:
    """What comes up to the end of an HTTP/1.1 head, and perhaps more; empty at the connection's end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    return data


def read_request(connection: socket.socket) -> bytes:
    """One HTTP/1.1 request with a Content-Length, head and body; empty at the connection's end."""
    head, _, body = read_head(connection).partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    pieces, left = [body], int(lengths[0] if lengths else 0) - len(body)
    while left > 0:
        pieces.append(connection.recv(1 << 20))
        if not pieces[-1]:
            return b""
        left -= len(pieces[-1])
    return head + b"\r\n\r\n" + b"".join(pieces) if head else b""


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

"""What a fault is, and the server that commits it once."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from tests.servers.faults import http2
from tests.servers.faults.certificates import context
from tests.servers.raw import listening, read_head, read_request

SECRET = "sk-" + "".join(hashlib.sha256(bytes([part])).hexdigest() for part in range(10))
"""The token of every call: servers repeat it, and it is to be seen nowhere. Longer than a message may be."""

VALUE = "value"
"""How a call ends that brings the right value."""


@dataclasses.dataclass(frozen=True)
class Good:
    """What a right answer holds."""

    body: bytes
    kind: str = "application/json"
    stream: int = 0
    """The stream of HTTP/2 that waits for it; 0 for HTTP/1.1."""

    def answer(self) -> bytes:
        """The right answer as it travels."""
        return http2.good(self.stream, self.body) if self.stream else answered(self)


def answered(
    good: Good, body: bytes | None = None, *, status: str = "200 OK", kind: str | None = None, more: str = ""
) -> bytes:
    """An answer of HTTP/1.1 with its length; what is not given is as it ought to be."""
    body, kind = good.body if body is None else body, good.kind if kind is None else kind
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + body


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way of misbehaving."""

    name: str
    answer: Callable[[Good], bytes]
    """What is sent."""
    ends: frozenset[str]
    """How a call may end: VALUE, or a code."""
    hear: str = "request"
    """What is waited for before: "request", "head", or "nothing"."""
    then: str = "keep"
    """What follows: "keep" and answer further requests well, "hold" and never do, "close", "half" close, or "reset"."""
    pause: float = 0.0
    """Seconds between the bytes, each of which is sent by itself; 0 for all at once."""
    endless: bytes = b""
    """What is sent after the answer, again and again."""
    hangs: bool = False
    """Whether nothing but the deadline ends the call."""
    retries: int = 0
    tls: str = ""
    """The certificate that the server shows, or "none" where it answers a client of TLS in plain text."""
    alpn: str = ""
    """What the server says that it speaks, over TLS; the right thing when empty."""


def ends(*expected: str) -> frozenset[str]:
    """VALUE or codes, as a row's column."""
    return frozenset(expected)


@contextlib.contextmanager
def faulty_server(fault: Fault, good: Good, *, grpc: bool = False, always: bool = False) -> Iterator[str]:
    """The address of a server whose first connection meets the fault, or each; other requests are answered well."""
    turn = itertools.count()

    def talk(plain: socket.socket) -> None:
        first = always or next(turn) == 0
        with _secured(plain, fault, grpc=grpc, first=first) as connection:
            speech = http2.Speech(connection) if grpc else _Speech(connection)
            if first:
                _misbehave(speech, fault, good)
            while stream := speech.request():
                connection.sendall(dataclasses.replace(good, stream=stream if grpc else 0).answer())

    with listening(talk) as address:
        yield address


class _Speech:
    """HTTP/1.1 on a connection, as its server hears it; the numbers are those of HTTP/2's streams."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def head(self) -> int:
        """Wait for a request's head; 0 at the connection's end."""
        return int(bool(read_head(self.connection)))

    def request(self) -> int:
        """Wait for a whole request; 0 at the connection's end."""
        return int(bool(read_request(self.connection)))


def _misbehave(speech: _Speech | http2.Speech, fault: Fault, good: Good) -> None:
    connection, stream = speech.connection, 1
    if fault.hear != "nothing":
        stream = speech.head() if fault.hear == "head" else speech.request()
    stream = stream if isinstance(speech, http2.Speech) else 0
    _send(connection, fault, fault.answer(dataclasses.replace(good, stream=stream)))
    while fault.endless:
        connection.sendall(fault.endless)
        _NEVER.wait(0.001)  # as fast as a network may be, and not faster
    _follow(connection, fault.then)


_NEVER = threading.Event()


def _send(connection: socket.socket, fault: Fault, data: bytes) -> None:
    if not fault.pause:
        connection.sendall(data)
        return
    for position in range(len(data)):
        connection.sendall(data[position : position + 1])
        _NEVER.wait(fault.pause)


def _follow(connection: socket.socket, then: str) -> None:
    if then == "half":
        connection.shutdown(socket.SHUT_WR)
    if then == "reset":  # instead of an orderly end
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if then in ("hold", "half"):
        while connection.recv(65536):
            pass
    if then != "keep":
        connection.close()


@contextlib.contextmanager
def _secured(plain: socket.socket, fault: Fault, *, grpc: bool, first: bool) -> Iterator[socket.socket]:
    """The connection, encrypted where the fault is one of TLS."""
    if fault.tls in ("", "none") and (first or not fault.tls):
        yield plain
        return
    speaks = fault.alpn if first and fault.alpn else "h2" if grpc else "http/1.1"
    with context(fault.tls if first else "right", speaks).wrap_socket(plain, server_side=True) as wrapped:
        yield wrapped

"""HTTP/2 by hand, as little of it as a server needs that says anything it likes (RFC 9113, RFC 7541)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence

DATA, HEADERS, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

Rows = Sequence[tuple[str, str]]
OPENING: Rows = ((":status", "200"), ("content-type", "application/grpc"))
CLOSING: Rows = (("grpc-status", "0"),)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame whose length is right."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def packed(rows: Rows) -> bytes:
    """Headers in HPACK's plainest form: no index, no table, no Huffman code."""

    def text(value: str) -> bytes:
        data = value.encode("latin-1")
        return (bytes([len(data)]) if len(data) < 127 else b"\x7f" + _varint(len(data) - 127)) + data

    return b"".join(b"\x00" + text(name) + text(value) for name, value in rows)


def _varint(value: int) -> bytes:
    data = b""
    while value >= 128:
        data, value = data + bytes([value & 127 | 128]), value >> 7
    return data + bytes([value])


def headers(stream: int, rows: Rows, flags: int = END_HEADERS) -> bytes:
    """A frame of headers."""
    return frame(HEADERS, flags, stream, packed(rows))


def message(body: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A message of gRPC behind its prefix."""
    return struct.pack(">BI", compressed, len(body) if length is None else length) + body


def good(stream: int, body: bytes) -> bytes:
    """The whole answer of gRPC that carries this message."""
    return headers(stream, OPENING) + frame(DATA, 0, stream, message(body)) + end(stream)


def end(stream: int, rows: Rows = CLOSING) -> bytes:
    """Trailers."""
    return headers(stream, rows, END_HEADERS | END_STREAM)


class Speech:
    """HTTP/2 on a connection, as its server hears it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._greeted = False
        self.heard = b""
        """The payload of the last frame of data."""

    def head(self) -> int:
        """The stream of the next request, once its headers have come; 0 at the connection's end."""
        return self._until(lambda kind, _: kind == HEADERS)

    def request(self) -> int:
        """The stream of the next whole request; 0 at the connection's end."""
        return self._until(lambda kind, flags: kind in (HEADERS, DATA) and bool(flags & END_STREAM))

    def _until(self, enough: Callable[[int, int], bool]) -> int:
        if not self._greeted:
            self._greeted = bool(self._exactly(_PREFACE))
            self.connection.sendall(frame(SETTINGS, 0, 0))
        while len(head := self._exactly(9)) == 9:
            length, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], head[5:]
            payload = self._exactly(length)
            self.heard = payload if kind == DATA and payload else self.heard
            if kind == SETTINGS and not flags & ACK:
                self.connection.sendall(frame(SETTINGS, ACK, 0))
            if enough(kind, flags):
                return int.from_bytes(stream, "big")
        return 0

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := self.connection.recv(count - len(data))):
            data += piece
        return data

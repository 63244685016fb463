"""Answers that can be understood in two ways: each holds the right answer and, in another reading, a wrong one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.servers.faults.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PUSH,
    RESET,
    Rows,
    frame,
    headers,
    message,
    packed,
)


@dataclass(frozen=True)
class Said:
    """The body of the right answer, that of a wrong one, and the stream of HTTP/2 that waits."""

    own: bytes
    wrong: bytes
    stream: int = 0


@dataclass(frozen=True)
class Ambiguous:
    """What is sent to the first request; whether the connection then ends."""

    name: str
    answer: Callable[[Said], bytes]
    closes: bool = False


_OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

LENGTHS: dict[str, str] = {
    "a length": "Content-Length: {n}\r\n",
    "no length": "",
    "chunks": "Transfer-Encoding: chunked\r\n",
    "a length and chunks": "Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n",
    "chunks and a length": "Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n",
    "a length and an encoding that is none": "Content-Length: {n}\r\nTransfer-Encoding: xchunked\r\n",
    "two lengths, the first short": "Content-Length: 1\r\nContent-Length: {n}\r\n",
    "two lengths, the second short": "Content-Length: {n}\r\nContent-Length: 1\r\n",
    "a list of two lengths": "Content-Length: {n}, 1\r\n",
    "the same length twice": "Content-Length: {n}\r\nContent-Length: {n}\r\n",
    "a length with a sign": "Content-Length: +{n}\r\n",
    "a length in hexadecimal": "Content-Length: 0x{n:x}\r\n",
    "a length with zeros": "Content-Length: 000{n}\r\n",
    "a length with a space in it": "Content-Length: {n} 0\r\n",
    "a length behind a space and a colon": "Content-Length : {n}\r\n",
    "a folded length": "Content-Length:\r\n {n}\r\n",
    "a length in the fold of another header": "X: y\r\n Content-Length: 1\r\nContent-Length: {n}\r\n",
    "chunks in a fold": "Transfer-Encoding:\r\n chunked\r\nContent-Length: {n}\r\n",
    "chunks behind a bare line feed": "X: y\nTransfer-Encoding: chunked\r\nContent-Length: {n}\r\n",
    "a length behind a bare carriage return": "X: y\rContent-Length: 1\r\nContent-Length: {n}\r\n",
    "a length behind a NUL": "X: y\0\r\nContent-Length: {n}\r\n",
    "chunks in capitals": "TRANSFER-ENCODING: CHUNKED\r\nContent-Length: {n}\r\n",
    "chunks and identity": "Transfer-Encoding: chunked, identity\r\nContent-Length: {n}\r\n",
    "identity and chunks": "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "chunks twice": "Transfer-Encoding: chunked, chunked\r\n",
    "gzip and chunks": "Transfer-Encoding: gzip, chunked\r\n",
    "chunks in quotes": 'Transfer-Encoding: "chunked"\r\nContent-Length: {n}\r\n',
    "chunks behind a vertical tab": "Transfer-Encoding: \x0bchunked\r\nContent-Length: {n}\r\n",
    "a length that ends in a letter": "Content-Length: {n}x\r\n",
    "a negative length": "Content-Length: -{n}\r\n",
}
"""Ways to say where a body ends, of which some are two."""


def _whole(body: bytes) -> bytes:
    return _OK.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _chunked(body: bytes, size: str = "{:x}\r\n", end: bytes = b"0\r\n\r\n", behind: bytes = b"\r\n") -> bytes:
    half = len(body) // 2
    return b"".join(size.format(len(part)).encode() + part + behind for part in (body[:half], body[half:])) + end


BODIES: dict[str, Callable[[Said], bytes]] = {
    "plain": lambda said: said.own,
    "plain, and a second answer": lambda said: said.own + _whole(said.wrong),
    "plain, and another body": lambda said: said.own + said.wrong,
    "in chunks": lambda said: _chunked(said.own),
    "in chunks, and a second answer": lambda said: _chunked(said.own) + _whole(said.wrong),
    "an end of chunks before it, and a second answer": lambda said: b"0\r\n\r\n" + _whole(said.wrong),
    "the wrong one in chunks behind it": lambda said: said.own + b"\r\n" + _chunked(said.wrong),
    "in chunks, with the wrong one in a trailer": lambda said: _chunked(
        said.own, end=b"0\r\nX: " + said.wrong + b"\r\n\r\n"
    ),
}

CHUNKS: dict[str, Callable[[Said], bytes]] = {
    "a size with a space": lambda said: _chunked(said.own, "{:x} \r\n"),
    "a size behind a space": lambda said: _chunked(said.own, " {:x}\r\n"),
    "a size with 0x": lambda said: _chunked(said.own, "0x{:x}\r\n"),
    "a size with a sign": lambda said: _chunked(said.own, "+{:x}\r\n"),
    "a size in decimal": lambda said: _chunked(said.own, "{:d}\r\n"),
    "a size with an underscore": lambda said: _chunked(said.own, "0_{:x}\r\n"),
    "a size with zeros": lambda said: _chunked(said.own, "0000{:x}\r\n"),
    "a size beyond 64 bits that wraps": lambda said: _chunked(said.own, "10000000000000000{:x}\r\n"),
    "a size that ends in a line feed": lambda said: _chunked(said.own, "{:x}\n"),
    "a size that ends in a carriage return": lambda said: _chunked(said.own, "{:x}\r"),
    "an extension with a line feed": lambda said: _chunked(said.own, "{:x};a\nb\r\n"),
    "an extension that holds a size": lambda said: _chunked(said.own, "{:x};\r1\r\n"),
    "data that end in a line feed": lambda said: _chunked(said.own, behind=b"\n"),
    "data without an end": lambda said: _chunked(said.own, behind=b""),
    "data longer than their size": lambda said: _chunked(said.own, behind=b" " * 9 + b"\r\n"),
    "an end of two zeros": lambda said: _chunked(said.own, end=b"00\r\n\r\n") + _whole(said.wrong),
    "an end with a space": lambda said: _chunked(said.own, end=b"0 \r\n\r\n") + _whole(said.wrong),
    "an end without an empty line": lambda said: _chunked(said.own, end=b"0\r\n") + _whole(said.wrong),
    "an end with a line feed": lambda said: _chunked(said.own, end=b"0\n\n") + _whole(said.wrong),
    "a length in a trailer": lambda said: _chunked(said.own, end=b"0\r\nContent-Length: 9\r\n\r\n"),
    "chunks in a trailer": lambda said: (
        _chunked(said.own, end=b"0\r\nTransfer-Encoding: chunked\r\n\r\n") + _chunked(said.wrong)
    ),
    "a folded trailer": lambda said: _chunked(said.own, end=b"0\r\nX: y\r\n z\r\n\r\n") + _whole(said.wrong),
}

_STATUSES = (
    "100 Continue",
    "101 Switching Protocols",
    "102 Processing",
    "103 Early Hints",
    "199 Odd",
    "201 Created",
    "202 Accepted",
    "203 Non-Authoritative",
    "204 No Content",
    "205 Reset Content",
    "206 Partial Content",
    "226 IM Used",
    "304 Not Modified",
    "307 Temporary Redirect",
)


def _status(line: str, body: bytes) -> bytes:
    return _whole(body).replace(b"200 OK", line.encode())


def _before(line: str, said: Said) -> bytes:
    return _status(line, said.wrong) + _whole(said.own)


def _instead(line: str, said: Said) -> bytes:
    return _status(line, said.own)


def _interim(count: int, said: Said) -> bytes:
    return b"HTTP/1.1 102 Wait\r\n\r\n" * count + _whole(said.own)


def _in_chunks(body: Callable[[Said], bytes], said: Said) -> bytes:
    return f"{_OK}Transfer-Encoding: chunked\r\n\r\n".encode() + body(said)


OTHERS: dict[str, Callable[[Said], bytes]] = {
    **{f"{line} with the wrong body before it": partial(_before, line) for line in _STATUSES},
    **{f"{line} with the right body": partial(_instead, line) for line in _STATUSES},
    **{f"{count} interim answers": partial(_interim, count) for count in (1, 2, 63, 64, 65, 5_000)},
    "two answers": lambda said: _whole(said.own) + _whole(said.wrong),
    "a hundred answers": lambda said: _whole(said.own) + _whole(said.wrong) * 100,
    "an answer and half of another": lambda said: _whole(said.own) + _whole(said.wrong)[:-9],
    "an answer and empty lines": lambda said: _whole(said.own) + b"\r\n" * 5,
    "an answer and a byte": lambda said: _whole(said.own) + b"H",
    "a head of line feeds": lambda said: _whole(said.own).replace(b"\r\n", b"\n"),
    "a head that ends in a line feed": lambda said: _whole(said.own).replace(b"\r\n\r\n", b"\r\n\n"),
    "a head that ends twice": lambda said: _whole(said.own).replace(b"\r\n\r\n", b"\n\r\n\r\n"),
    "HTTP/1.0 that is kept": lambda said: (
        _whole(said.own).replace(b"1.1 200 OK", b"1.0 200 OK\r\nConnection: keep-alive") + _whole(said.wrong)
    ),
    "a connection to be closed that is not": lambda said: (
        _whole(said.own).replace(b"OK\r\n", b"OK\r\nConnection: close\r\n") + _whole(said.wrong)
    ),
}


def http1() -> Iterator[Ambiguous]:
    """Answers of HTTP/1.1."""
    for (stated, line), (how, body) in itertools.product(LENGTHS.items(), BODIES.items()):
        head = (_OK + line).encode("latin-1").decode("latin-1")

        def answer(said: Said, head: str = head, body: Callable[[Said], bytes] = body) -> bytes:
            return head.format(n=len(said.own)).encode("latin-1") + b"\r\n" + body(said)

        yield Ambiguous(f"{stated}; {how}", answer)
        yield Ambiguous(f"{stated}; {how}; closed", answer, closes=True)
    for name, body in CHUNKS.items():
        yield Ambiguous(name, partial(_in_chunks, body))
    yield from (Ambiguous(name, made) for name, made in OTHERS.items())


_TYPE = ("content-type", "application/grpc")
OPENINGS: dict[str, Rows] = {
    "headers": ((":status", "200"), _TYPE),
    "a status in the headers": ((":status", "200"), _TYPE, ("grpc-status", "0")),
    "another status in the headers": ((":status", "200"), _TYPE, ("grpc-status", "13")),
    "a length that is another": ((":status", "200"), _TYPE, ("content-length", "3")),
    "204": ((":status", "204"), _TYPE),
    "206": ((":status", "206"), _TYPE),
}
CLOSINGS: dict[str, Rows | None] = {
    "OK": (("grpc-status", "0"),),
    "no status": (("x", "y"),),
    "OK twice": (("grpc-status", "0"), ("grpc-status", "0")),
    "OK and a failure": (("grpc-status", "0"), ("grpc-status", "13")),
    "a failure and OK": (("grpc-status", "13"), ("grpc-status", "0")),
    "a list": (("grpc-status", "0, 0"),),
    "two zeros": (("grpc-status", "00"),),
    "a zero with a sign": (("grpc-status", "+0"),),
    "a zero with a space": (("grpc-status", " 0"),),
    "no trailers": None,
}
DATAS: dict[str, Callable[[Said], bytes]] = {
    "one message": lambda said: frame(DATA, 0, said.stream, message(said.own)),
    "two messages": lambda said: frame(DATA, 0, said.stream, message(said.own) + message(said.wrong)),
    "a length too short": lambda said: frame(DATA, 0, said.stream, message(said.own, length=len(said.own) - 1)),
    "a length too long": lambda said: frame(DATA, 0, said.stream, message(said.own, length=len(said.own) + 1)),
    "a length that spans both": lambda said: frame(
        DATA, 0, said.stream, message(said.own + said.wrong, length=len(said.own) + len(said.wrong))
    ),
    "a compressed message that is none": lambda said: frame(DATA, 0, said.stream, message(said.own, compressed=1)),
    "padding that is the wrong message": lambda said: frame(
        DATA, PADDED, said.stream, bytes([len(said.wrong)]) + message(said.own) + said.wrong
    ),
}


def _closed(stream: int, rows: Rows | None) -> bytes:
    return frame(DATA, END_STREAM, stream) if rows is None else headers(stream, rows, END_HEADERS | END_STREAM)


def _good(stream: int, body: bytes) -> bytes:
    return (
        headers(stream, OPENINGS["headers"]) + frame(DATA, 0, stream, message(body)) + _closed(stream, CLOSINGS["OK"])
    )


STREAMS: dict[str, Callable[[Said], bytes]] = {
    "an answer for a call to come": lambda said: _good(said.stream + 2, said.wrong) + _good(said.stream, said.own),
    "an answer for a call to come, behind": lambda said: (
        _good(said.stream, said.own) + _good(said.stream + 2, said.wrong)
    ),
    "an answer on a stream of the server": lambda said: _good(2, said.wrong) + _good(said.stream, said.own),
    "an answer on stream 0": lambda said: _good(0, said.wrong) + _good(said.stream, said.own),
    "an answer again": lambda said: _good(said.stream, said.own) + _good(said.stream, said.wrong),
    "data behind the trailers": lambda said: (
        _good(said.stream, said.own) + frame(DATA, 1, said.stream, message(said.wrong))
    ),
    "headers twice": lambda said: headers(said.stream, OPENINGS["headers"]) + _good(said.stream, said.own),
    "trailers twice": lambda said: _good(said.stream, said.own) + _closed(said.stream, (("grpc-status", "13"),)),
    "a push of the wrong answer": lambda said: (
        frame(
            PUSH,
            END_HEADERS,
            said.stream,
            b"\0\0\0\2" + packed(((":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "h"))),
        )
        + _good(2, said.wrong)
        + _good(said.stream, said.own)
    ),
    "a reset behind the answer": lambda said: _good(said.stream, said.own) + frame(RESET, 0, said.stream, bytes(4)),
    "a reset before the trailers": lambda said: (
        headers(said.stream, OPENINGS["headers"])
        + frame(DATA, 0, said.stream, message(said.own))
        + frame(RESET, 0, said.stream, bytes(4))
    ),
    "interim headers with data": lambda said: (
        headers(said.stream, ((":status", "103"),))
        + frame(DATA, 0, said.stream, message(said.wrong))
        + _good(said.stream, said.own)
    ),
    "the wrong answer within the headers": lambda said: (
        frame(HEADERS, 0, said.stream, packed(OPENINGS["headers"]))
        + _good(said.stream + 2, said.wrong)
        + frame(CONTINUATION, END_HEADERS, said.stream)
        + frame(DATA, 0, said.stream, message(said.own))
        + _closed(said.stream, CLOSINGS["OK"])
    ),
    "the right message in two streams": lambda said: (
        headers(said.stream, OPENINGS["headers"])
        + frame(DATA, 0, said.stream, message(said.own)[:20])
        + frame(DATA, 0, said.stream + 2, message(said.wrong)[20:])
        + _closed(said.stream, CLOSINGS["OK"])
    ),
}


def grpc() -> Iterator[Ambiguous]:
    """Answers of HTTP/2 and gRPC."""
    parts = itertools.product(OPENINGS.items(), DATAS.items(), CLOSINGS.items())
    for (opening, rows), (how, data), (closing, trailers) in parts:

        def answer(
            said: Said, rows: Rows = rows, data: Callable[[Said], bytes] = data, trailers: Rows | None = trailers
        ) -> bytes:
            return headers(said.stream, rows) + data(said) + _closed(said.stream, trailers)

        yield Ambiguous(f"{opening}; {how}; {closing}", answer)
    yield from (Ambiguous(name, made) for name, made in STREAMS.items())

"""Where a server can stop in the middle of what it does: a call that meets it ends by its deadline, and not before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.servers.faults.fault import Fault, Good, answered, ends
from tests.servers.faults.http2 import DATA, END_HEADERS, HEADERS, OPENING, PING, frame, headers, message, packed
from tests.servers.faults.wire import LATE, NO_ANSWER, STATUS, always, nothing

SLOW = 0.02
"""Seconds between the bytes of what drips; more than a thousand of them come in no deadline of these tests."""

_LONG = "X: " + "y" * 2_000 + "\r\n"


def _head(good: Good, length: str) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {good.kind}\r\n{length}\r\n"


def _sized(good: Good) -> str:
    return _head(good, f"Content-Length: {len(good.body)}\r\n")


def _upto(count: Callable[[Good], int]) -> Callable[[Good], bytes]:
    """The right answer, up to here."""
    return lambda good: answered(good)[: count(good)]


def _chunks(*pieces: str) -> Callable[[Good], bytes]:
    """A head that announces chunks, and what is sent of them."""
    return lambda good: (_head(good, "Transfer-Encoding: chunked\r\n") + "".join(pieces)).encode()


def _long(good: Good) -> bytes:
    """A body of spaces, which JSON and text may hold before and behind what they say."""
    return (_head(good, "Content-Length: 100000\r\n")).encode() + b" " * 5_000


def _stall(name: str, answer: Callable[[Good], bytes], hear: str = "request", pause: float = 0.0) -> Fault:
    return Fault(name, answer, ends(LATE), hear=hear, then="hold", pause=pause, hangs=True)


def _drips(name: str, answer: Callable[[Good], bytes], drop: bytes, *codes: str) -> Fault:
    """An answer whose rest comes drop by drop; it may be refused where there are too many of them."""
    return Fault(name, answer, ends(LATE, *codes), endless=drop, hangs=True)


HTTP: Sequence[Fault] = [
    _stall("the request is not read", nothing, hear="nothing"),
    _stall("the request's body is not read", nothing, hear="head"),
    _stall("the request is not answered", nothing),
    _stall("after the first byte", always(b"H")),
    _stall("within the version", always(b"HTTP/1.")),
    _stall("within the status", always(b"HTTP/1.1 20")),
    _stall("within the reason", always(b"HTTP/1.1 200 O")),
    _stall("behind the status line", always(b"HTTP/1.1 200 OK\r\n")),
    _stall("within a header's name", always(b"HTTP/1.1 200 OK\r\nContent-Le")),
    _stall("within a header's value", always(b"HTTP/1.1 200 OK\r\nContent-Length: 1")),
    _stall("between two headers", always(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n")),
    _stall("before the empty line", lambda good: _sized(good).removesuffix("\r\n").encode()),
    _stall("within the empty line", lambda good: _sized(good).removesuffix("\n").encode()),
    _stall("behind an interim answer", always(b"HTTP/1.1 100 Continue\r\n\r\n")),
    _stall("within an interim answer", always(b"HTTP/1.1 103 Early Hints\r\nLink: </x>")),
    _stall("behind the head", lambda good: _sized(good).encode()),
    _stall("after the body's first byte", _upto(lambda good: len(_sized(good)) + 1)),
    _stall("before the body's last byte", _upto(lambda good: len(answered(good)) - 1)),
    _stall("within a long body", _long),
    _stall("without a length, behind the head", lambda good: _head(good, "").encode()),
    _stall("without a length, behind the body", lambda good: _head(good, "").encode() + good.body),
    _stall("before the first chunk", _chunks()),
    _stall("within a chunk's size", _chunks("1")),
    _stall("within a chunk's extension", _chunks("1;a=")),
    _stall("behind a chunk's size", _chunks("5\r\n")),
    _stall("within a chunk", _chunks("5\r\n   ")),
    _stall("behind a chunk", _chunks("3\r\n   ")),
    _stall("between two chunks", _chunks("3\r\n   \r\n")),
    _stall("within the last chunk", _chunks("3\r\n   \r\n0\r")),
    _stall("before the trailers", _chunks("3\r\n   \r\n0\r\n")),
    _stall("within the trailers", _chunks("3\r\n   \r\n0\r\nX: y")),
    _stall("behind a trailer", _chunks("3\r\n   \r\n0\r\nX: y\r\n")),
    _stall("a head in drips", lambda good: _head(good, _LONG).encode(), pause=SLOW),
    _stall("an interim answer in drips", always(f"HTTP/1.1 102 Wait\r\n{_LONG}".encode()), pause=SLOW),
    _drips("a body in drips", _long, b" "),
    _drips("chunks in drips", _chunks(), b"1\r\n \r\n"),
    _drips("a chunk's size in drips", _chunks(), b"0", "OH508"),
    _drips("a chunk's extension in drips", _chunks("1;a="), b"b", "OH508"),
    _drips("trailers in drips", _chunks("0\r\n"), b"X: y\r\n", "OH508"),
    _drips("headers in drips", always(b"HTTP/1.1 200 OK\r\nX: "), b"y", NO_ANSWER),
    Fault("interim answers without an end", nothing, ends(LATE, NO_ANSWER),
          endless=b"HTTP/1.1 102 Wait\r\n\r\n", hangs=True),
    Fault("within an error's body", lambda _: b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nno", ends(LATE, STATUS),
          then="hold", hangs=True),
    Fault("an error's body in drips", lambda _: b"HTTP/1.1 500 No\r\n\r\n" + b"no " * 1_000, ends(LATE, STATUS),
          then="hold", pause=SLOW, hangs=True),
    Fault("a busy server for ever", lambda good: answered(good, status="503 Busy"), ends(LATE, STATUS), then="close",
          retries=100, hangs=True),
    Fault("a busy server that names a pause", lambda good: answered(good, status="429 Busy", more="Retry-After: 9\r\n"),
          ends(LATE, STATUS), then="close", retries=100, hangs=True),
    Fault("connections that are reset for ever", nothing, ends(LATE, "OH508"), then="reset", retries=100,
          hangs=True),
]  # fmt: skip

_HELLO = bytes.fromhex("160303007a02000076")
"""The record and the beginning of a ServerHello."""

TLS: Sequence[Fault] = [
    Fault(name, answer, ends(LATE), hear="nothing", then="hold", tls="none", pause=pause, hangs=True)
    for name, answer, pause in (
        ("a handshake that is not answered", nothing, 0.0),
        ("within a record of the handshake", always(_HELLO[:3]), 0.0),
        ("within the server's greeting", always(_HELLO), 0.0),
        ("a greeting in drips", always(_HELLO + bytes(118)), SLOW),
    )
] + [
    Fault("behind the handshake", nothing, ends(LATE), then="hold", tls="right", hangs=True),
]


def _opened(good: Good, data: bytes = b"", flags: int = 0) -> bytes:
    return headers(good.stream, OPENING) + (frame(DATA, flags, good.stream, data) if data else b"")


def _part(end: int) -> Callable[[Good], bytes]:
    """The message behind its prefix, up to here."""
    return lambda good: _opened(good, message(good.body)[:end])


GRPC: Sequence[Fault] = [
    _stall("the preface is not answered", nothing, hear="nothing"),
    _stall("within the server's settings", always(b"\0\0\0\4"), hear="nothing"),
    _stall("the request's body is not read", nothing, hear="head"),
    _stall("the request is not answered", nothing),
    _stall("within a frame's head", always(b"\0\0\5\1")),
    _stall("within the headers", lambda good: headers(good.stream, OPENING)[:-3]),
    _stall("before the headers' continuation", lambda good: frame(HEADERS, 0, good.stream, packed(OPENING))),
    _stall("behind the headers", _opened),
    _stall("behind interim headers", lambda good: headers(good.stream, ((":status", "103"),))),
    _stall("within the prefix", _part(3)),
    _stall("behind the prefix", _part(5)),
    _stall("within the message", _part(9)),
    _stall("within a frame of data", lambda good: _opened(good, message(good.body))[:-4]),
    _stall("before the trailers", lambda good: _opened(good, message(good.body))),
    _stall("within the trailers", lambda good: _opened(good, message(good.body)) + frame(HEADERS, 1, good.stream,
           packed((("grpc-status", "0"),)))),
    _stall("headers in drips", lambda good: headers(good.stream, (*OPENING, ("x", "y" * 2_000))), pause=SLOW),
    _drips("a message in drips", lambda good: _opened(good, b"\0\0\x20\0\0"), frame(DATA, 0, 1, b"x")),
    _drips("pings in drips", nothing, frame(PING, 0, 0, bytes(8)), NO_ANSWER, "OH508"),
    _drips("empty frames in drips", _opened, frame(DATA, 0, 1), NO_ANSWER, "OH508"),
    Fault("a busy server for ever", lambda good: headers(good.stream, (*OPENING, ("grpc-status", "14")),
          END_HEADERS | 1), ends(LATE, STATUS, "OH508"), then="close",  # whose last attempt may meet the closing
          retries=100, hangs=True),
    Fault("a busy server that names a pause", lambda good: headers(good.stream, (*OPENING, ("grpc-status", "14"),
          ("grpc-retry-pushback-ms", "9000")), END_HEADERS | 1), ends(LATE, STATUS), then="close", retries=100,
          hangs=True),
    Fault("connections that are reset for ever", nothing, ends(LATE, "OH508"), then="reset", retries=100,
          hangs=True),
]  # fmt: skip

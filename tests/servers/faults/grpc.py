"""Faults of HTTP/2, of its headers' compression, and of gRPC."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.servers.faults.answers import LIMIT
from tests.servers.faults.fault import SECRET, VALUE, Fault, Good, ends
from tests.servers.faults.http2 import (
    ACK,
    CLOSING,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OPENING,
    PADDED,
    PING,
    PUSH,
    RESET,
    SETTINGS,
    WINDOW,
    Rows,
    end,
    frame,
    headers,
    message,
)  # fmt: skip
from tests.servers.faults.messages import GOOD, MESSAGES, opened
from tests.servers.faults.wire import CUT, LATE, NO_ANSWER, STATUS, TOO_LARGE, always

_BROKEN = (NO_ANSWER, CUT)
"""A peer that breaks the protocol: what of it is told first depends on which side ends the connection first."""


def _after(data: Callable[[int], bytes]) -> Callable[[Good], bytes]:
    """Frames that depend on the stream, and nothing else."""
    return lambda good: data(good.stream)


def _first(data: bytes) -> Callable[[Good], bytes]:
    """These frames, then the right answer."""
    return lambda good: data + good.answer()


def _block(block: bytes, flags: int = END_HEADERS | END_STREAM) -> Callable[[Good], bytes]:
    """Headers in these very bytes."""
    return lambda good: frame(HEADERS, flags, good.stream, block)


def _setting(number: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, struct.pack(">HI", number, value))


def _reset(reason: int) -> Callable[[Good], bytes]:
    return _after(lambda stream: frame(RESET, 0, stream, struct.pack(">I", reason)))


def _cut(good: Good) -> bytes:
    return headers(good.stream, OPENING) + frame(DATA, 0, good.stream, message(good.body)[:9])


def _pieces(good: Good) -> bytes:
    pieces = b"".join(frame(DATA, 0, good.stream, bytes([byte])) for byte in message(good.body))
    return headers(good.stream, OPENING) + pieces + end(good.stream)


def _padded(good: Good) -> bytes:
    data = bytes([20]) + message(good.body) + bytes(20)
    return headers(good.stream, OPENING) + frame(DATA, PADDED, good.stream, data) + end(good.stream)


def _continued(good: Good) -> bytes:
    whole = headers(good.stream, OPENING)[9:]
    start = frame(HEADERS, 0, good.stream, whole[:5]) + frame(CONTINUATION, 0, good.stream, whole[5:9])
    rest = frame(CONTINUATION, END_HEADERS, good.stream, whole[9:])
    return start + rest + frame(DATA, 0, good.stream, message(good.body)) + end(good.stream)


def _again(good: Good) -> bytes:
    return good.answer() + frame(DATA, END_STREAM, good.stream, b"poison")


def _with(*rows: tuple[str, str]) -> Rows:
    return (*OPENING, *rows)


HTTP2 = [
    Fault("HTTP/1.1", always(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), ends(*_BROKEN),
          hear="nothing", then="close"),
    Fault("the banner of SSH", always(b"SSH-2.0-OpenSSH_9.2\r\n" * 3), ends(*_BROKEN), hear="nothing", then="close"),
    Fault("an answer byte by byte in frames", _pieces, ends(VALUE)),
    Fault("padding", _padded, ends(VALUE)),
    Fault("padding longer than the frame", _after(lambda s: frame(DATA, PADDED, s, b"\xff\0")), ends(*_BROKEN)),
    Fault("headers in three frames", _continued, ends(VALUE)),
    Fault("a frame without a request", always(frame(DATA, END_STREAM, 9, b"x")), ends(*_BROKEN)),
    Fault("data on stream 0", always(frame(DATA, 0, 0, b"x")), ends(*_BROKEN)),
    Fault("headers on stream 0", always(headers(0, OPENING)), ends(*_BROKEN)),
    Fault("headers on a stream of the server", always(headers(2, OPENING)), ends(*_BROKEN)),
    Fault("data before headers", _after(lambda s: frame(DATA, END_STREAM, s, b"x")), ends(*_BROKEN)),
    Fault("data behind the end", _again, ends(VALUE, *_BROKEN)),
    Fault("a frame longer than may be", _after(lambda s: b"\xff\xff\xff" + frame(DATA, 0, s)[3:] + bytes(70_000)),
          ends(*_BROKEN)),
    Fault("a frame cut short, then closed", _after(lambda s: frame(DATA, 0, s, b"abc")[:-1]), ends(*_BROKEN),
          then="close"),
    Fault("an unknown frame", _first(frame(0xEE, 0xFF, 0, b"what?")), ends(VALUE)),
    Fault("settings of an odd length", always(frame(SETTINGS, 0, 0, b"abc")), ends(*_BROKEN)),
    Fault("settings on a stream", _after(lambda s: frame(SETTINGS, 0, s)), ends(*_BROKEN)),
    Fault("an acknowledgement with settings", always(frame(SETTINGS, ACK, 0, bytes(6))), ends(*_BROKEN)),
    Fault("a window of 2^31", always(_setting(4, 1 << 31)), ends(*_BROKEN)),
    Fault("frames of one byte as the setting", always(_setting(5, 1)), ends(*_BROKEN)),
    Fault("pushes allowed by the server", always(_setting(2, 7)), ends(*_BROKEN)),
    Fault("an unknown setting", _first(_setting(0xABCD, 5)), ends(VALUE)),
    Fault("a push", _after(lambda s: frame(PUSH, END_HEADERS, s, struct.pack(">I", 2))), ends(*_BROKEN)),
    Fault("a ping, then the answer", _first(frame(PING, 0, 0, bytes(8))), ends(VALUE)),
    Fault("a ping of an odd length", always(frame(PING, 0, 0, b"abc")), ends(*_BROKEN)),
    Fault("a thousand pings", _first(frame(PING, 0, 0, bytes(8)) * 1_000), ends(VALUE, *_BROKEN)),
    Fault("endless pings", always(b""), ends(LATE, *_BROKEN), endless=frame(PING, 0, 0, bytes(8)) * 100, hangs=True),
    Fault("endless settings", always(b""), ends(LATE, *_BROKEN), endless=frame(SETTINGS, 0, 0) * 100, hangs=True),
    Fault("a window of nothing more", _after(lambda s: frame(WINDOW, 0, s, bytes(4))), ends(*_BROKEN)),
    Fault("a window beyond 2^31", always(frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 2), ends(*_BROKEN)),
    Fault("a farewell", always(frame(GOAWAY, 0, 0, bytes(8))), ends(*_BROKEN), then="close"),
    Fault("a farewell, then silence", always(frame(GOAWAY, 0, 0, bytes(8))), ends(LATE, *_BROKEN), then="hold",
          hangs=True),
    Fault("a farewell in anger", always(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11) + SECRET.encode())),
          ends(*_BROKEN), then="close"),
    Fault("a farewell of an odd length", always(frame(GOAWAY, 0, 0, b"abc")), ends(*_BROKEN)),
    *(
        Fault(f"the request reset for reason {reason}", _reset(reason), ends(*_BROKEN))
        for reason in (0, 1, 2, 3, 5, 6, 8, 9, 10, 12, 13, 999)
    ),
    *(Fault(f"the request refused at first for reason {reason}", _reset(reason), ends(VALUE)) for reason in (7, 11)),
    Fault("a reset of an odd length", _after(lambda s: frame(RESET, 0, s, b"abc")), ends(*_BROKEN)),
    Fault("a reset of stream 0", always(frame(RESET, 0, 0, bytes(4))), ends(*_BROKEN)),
    Fault("half an answer, then reset by frame", lambda good: _cut(good) + frame(RESET, 0, good.stream, b"\0\0\0\2"),
          ends(CUT)),
    Fault("half an answer, then a farewell", lambda good: _cut(good) + frame(GOAWAY, 0, 0, bytes(7) + b"\1"),
          ends(*_BROKEN), then="close"),
    Fault("empty frames without an end", _after(lambda s: headers(s, OPENING)), ends(LATE, *_BROKEN),
          endless=frame(DATA, 0, 1) * 100, hangs=True),
]  # fmt: skip

COMPRESSION = [
    Fault("headers of garbage", _block(b"\xff" * 30), ends(*_BROKEN)),
    Fault("headers of index 0", _block(b"\x80"), ends(*_BROKEN)),
    Fault("headers of an index out of range", _block(b"\xff\xff\xff\x07"), ends(*_BROKEN)),
    Fault("an integer without an end", _block(b"\x7f" + b"\xff" * 40), ends(*_BROKEN)),
    Fault("a table of a gigabyte", _block(b"\x3f\xe1\xff\xff\xff\x03"), ends(*_BROKEN)),
    Fault("a Huffman code that is none", _block(b"\x00\x83\xff\xff\xff\x00"), ends(*_BROKEN)),
    Fault("a text longer than its headers", _block(b"\x00\x7f\x80\x7f"), ends(*_BROKEN)),
    Fault("no headers", _block(b""), ends(*_BROKEN)),
    Fault("no status", opened(OPENING[1:]), ends(*_BROKEN)),
    Fault("two statuses", opened((OPENING[0], *OPENING)), ends(*_BROKEN)),
    Fault("a status of letters", opened(((":status", "abc"), OPENING[1])), ends(*_BROKEN)),
    Fault("a status behind other headers", opened(OPENING[::-1]), ends(*_BROKEN)),
    Fault("an unknown pseudo header", opened((*OPENING[:1], (":what", "x"), OPENING[1])), ends(*_BROKEN)),
    Fault("a name in capitals", opened(_with(("X-Y", "z"))), ends(*_BROKEN)),
    Fault("a line feed in a header", opened(_with(("x", "a\r\nb: c"))), ends(*_BROKEN)),
    Fault("headers of a connection", opened(_with(("connection", "close"))), ends(*_BROKEN, VALUE)),
    Fault("a bomb of headers", _block(b"\x40\x01x\x7f\x81\x1e" + b"y" * 4000 + b"\xbe" * 12_000), ends(*_BROKEN)),
    Fault("a header of fifteen kilobytes", opened(_with(("x", "y" * 15_000))), ends(VALUE)),
    Fault("headers that never end", _after(lambda s: frame(HEADERS, 0, s)), ends(LATE, *_BROKEN),
          endless=frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y") * 50, hangs=True),
    Fault("empty headers that never end", _after(lambda s: frame(HEADERS, 0, s)), ends(LATE, *_BROKEN),
          endless=frame(CONTINUATION, 0, 1) * 50, hangs=True),
    Fault("other frames within headers", _after(lambda s: frame(HEADERS, 0, s) + frame(PING, 0, 0, bytes(8))),
          ends(*_BROKEN)),
    Fault("a continuation of nothing", _after(lambda s: frame(CONTINUATION, END_HEADERS, s)), ends(*_BROKEN)),
    Fault("go on, then the answer", lambda good: headers(good.stream, ((":status", "100"),)) + good.answer(),
          ends(VALUE)),
    Fault("a status in the trailers", opened(closing=((":status", "200"), *CLOSING)), ends(VALUE, *_BROKEN)),
    Fault("trailers that end nothing", lambda good: good.answer()[:-len(end(1))] + headers(good.stream, CLOSING),
          ends(*_BROKEN, LATE), hangs=True),
]  # fmt: skip

_LINES = tuple(range(1, 17))


def _status(*rows: tuple[str, str]) -> Callable[[Good], bytes]:
    """An answer of trailers alone."""
    return lambda good: headers(good.stream, (*OPENING, *rows), END_HEADERS | END_STREAM)


def _http(status: str, *rows: tuple[str, str]) -> Callable[[Good], bytes]:
    return lambda good: headers(good.stream, ((":status", status), *rows), END_HEADERS | END_STREAM)


GRPC = [
    *(Fault(f"gRPC status {number}", _status(("grpc-status", str(number))), ends(LATE if number == 4 else STATUS))
      for number in _LINES),
    Fault("gRPC status 14 at first", _status(("grpc-status", "14")), ends(VALUE), retries=2),
    Fault("gRPC status 77", _status(("grpc-status", "77")), ends(STATUS)),
    Fault("gRPC status 0 alone", _status(("grpc-status", "0")), ends(NO_ANSWER)),
    Fault("a negative gRPC status", opened(closing=(("grpc-status", "-1"),)), ends(NO_ANSWER)),
    Fault("a gRPC status of 2^40", opened(closing=(("grpc-status", str(2**40)),)), ends(NO_ANSWER)),
    Fault("an empty gRPC status", opened(closing=(("grpc-status", ""),)), ends(NO_ANSWER)),
    Fault("no gRPC status", opened(closing=(("x", "y"),)), ends(NO_ANSWER)),
    Fault("a gRPC status in the headers alone", opened(_with(*CLOSING), closing=(("x", "y"),)), ends(NO_ANSWER)),
    Fault("two gRPC statuses", opened(closing=(*CLOSING, ("grpc-status", "13"))), ends(NO_ANSWER, STATUS)),
    Fault("an answer and a failure", opened(closing=(("grpc-status", "13"),)), ends(STATUS)),
    Fault("a failure that repeats the token", _status(("grpc-status", "16"), ("grpc-message", f"bad {SECRET}")),
          ends(STATUS)),
    Fault("a failure that encodes the token", _status(("grpc-status", "16"), ("grpc-message",
          "".join(f"%{ord(character):02X}" for character in SECRET))), ends(STATUS)),
    Fault("a failure of broken codes", _status(("grpc-status", "3"), ("grpc-message", "%zz%F%FF%0A%00")), ends(STATUS)),
    Fault("a failure beyond ASCII", _status(("grpc-status", "3"), ("grpc-message", "\xe9\xff")), ends(STATUS)),
    Fault("a failure of ten kilobytes", _status(("grpc-status", "3"), ("grpc-message", "x" * 10_000)), ends(STATUS)),
    Fault("a pause of years", _status(("grpc-status", "14"), ("grpc-retry-pushback-ms", "999999999")), ends(STATUS),
          retries=2),
    *(Fault(f"HTTP status {status}", _http(status), ends(STATUS))
      for status in ("204", "301", "302", "400", "401", "403", "404", "429", "500", "502", "503", "504")),
    Fault("a redirect to itself", _http("307", ("location", "/")), ends(STATUS)),
    Fault("a page to log in", opened((OPENING[0], ("content-type", "text/html")), b"<html>"),
          ends(NO_ANSWER, TOO_LARGE)),
    Fault("JSON", opened((OPENING[0], ("content-type", "application/json")), b"{}"), ends(NO_ANSWER)),
    Fault("another codec", opened((OPENING[0], ("content-type", "application/grpc+json"))), ends(NO_ANSWER)),
    Fault("no content type", opened(OPENING[:1]), ends(VALUE)),
    Fault("an encoding of HTTP", opened(_with(("content-encoding", "gzip"))), ends(NO_ANSWER)),
    Fault("no message", opened(body=b""), ends(NO_ANSWER)),
    Fault("half a prefix", opened(body=b"\0\0\0"), ends(CUT)),
    Fault("a compressed message", opened(_with(("grpc-encoding", "gzip")), message(GOOD.body, compressed=1)),
          ends(NO_ANSWER)),
    Fault("a flag that is none", opened(body=message(GOOD.body, compressed=7)), ends(NO_ANSWER)),
    Fault("a message shorter than it says", opened(body=message(GOOD.body, length=500)), ends(CUT)),
    Fault("a message longer than it says", opened(body=message(GOOD.body, length=5)), ends(NO_ANSWER)),
    Fault("a message of 4 GB, as announced", lambda good: headers(good.stream, OPENING)
          + frame(DATA, 0, good.stream, b"\0\xff\xff\xff\xff"), ends(TOO_LARGE)),
    Fault("a message without an end", _after(lambda s: headers(s, OPENING)), ends(TOO_LARGE, LATE),
          endless=frame(DATA, 0, 1, bytes(10_000)), hangs=True),
    Fault("two messages", opened(body=message(GOOD.body) * 2), ends(NO_ANSWER)),
    Fault("an empty message and the right one", opened(body=message(b"") + message(GOOD.body)), ends(NO_ANSWER)),
    Fault("one byte more than may be", opened(body=message(bytes(60_000)) * (LIMIT // 60_000 + 1)), ends(TOO_LARGE)),
]  # fmt: skip


FAULTS = (*HTTP2, *COMPRESSION, *GRPC, *MESSAGES)

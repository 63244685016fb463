"""Faults of the messages of KServe v2 over gRPC."""

from __future__ import annotations

from collections.abc import Callable

from tests.servers.faults.answers import SHAPE, TYPE
from tests.servers.faults.fault import SECRET, VALUE, Fault, Good, ends
from tests.servers.faults.http2 import CLOSING, DATA, OPENING, Rows, end, frame, headers, message
from tests.servers.faults.wire import NO_ANSWER


def field(number: int, data: bytes) -> bytes:
    """A field of bytes, text or a message."""
    length, size = len(data), b""
    while length >= 128:
        length, size = length >> 7, size + bytes([length & 127 | 128])
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


_FOUR = bytes.fromhex("0000803f000000400000404000008040")


def tensor(name: bytes = b"y", datatype: bytes = b"FP32", shape: bytes = b"\x02\x02", more: bytes = b"") -> bytes:
    """An output's description; the shape is packed."""
    return field(5, field(1, name) + field(2, datatype) + field(3, shape) + more)


GOOD = Good(tensor() + field(6, _FOUR), "application/grpc")


def opened(rows: Rows = OPENING, body: bytes | None = None, closing: Rows = CLOSING) -> Callable[[Good], bytes]:
    """An answer with these headers, these bytes instead of the message, and these trailers."""

    def made(good: Good) -> bytes:
        data = message(good.body) if body is None else body
        return headers(good.stream, rows) + frame(DATA, 0, good.stream, data) + end(good.stream, closing)

    return made


def _message(body: bytes) -> Callable[[Good], bytes]:
    return opened(body=message(body))


_RAW, _HUGE = field(6, _FOUR), b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"

MESSAGES = [
    Fault("an empty answer", _message(b""), ends(NO_ANSWER)),
    Fault("garbage for a message", _message(b"\xff" * 50), ends(NO_ANSWER)),
    Fault("a field that is cut short", _message(GOOD.body[:-1]), ends(NO_ANSWER)),
    Fault("a field of number 0", _message(b"\x02\x00" + GOOD.body), ends(NO_ANSWER)),
    Fault("a group", _message(b"\x0b\x0c" + GOOD.body), ends(NO_ANSWER)),
    Fault("a length of 2^63", _message(b"\x2a" + _HUGE), ends(NO_ANSWER)),
    Fault("an integer of eleven bytes", _message(b"\x08" + b"\xff" * 10 + b"\x01" + GOOD.body), ends(NO_ANSWER)),
    Fault("an unknown field", _message(b"\xfa\x07\x01x" + GOOD.body), ends(VALUE)),
    Fault("an output that is a number", _message(b"\x28\x01" + _RAW), ends(NO_ANSWER)),
    Fault("no outputs", _message(field(1, b"adder")), ends(NO_ANSWER)),
    Fault("another output", _message(tensor(b"z") + _RAW), ends(NO_ANSWER)),
    Fault("a name of the token", _message(tensor(SECRET.encode()) + _RAW), ends(NO_ANSWER)),
    Fault("a name that is no UTF-8", _message(tensor(b"\xff") + _RAW), ends(NO_ANSWER)),
    Fault("an output twice", _message((tensor() + _RAW) * 2), ends(NO_ANSWER)),
    Fault("an output more", _message(tensor(b"z") + tensor() + field(6, b"z") + _RAW), ends(VALUE)),
    Fault("a hundred thousand outputs", _message(b"\x2a\x00" * 100_000), ends(NO_ANSWER)),
    Fault("another type", _message(tensor(datatype=b"INT64") + _RAW), ends(TYPE)),
    Fault("an unknown type", _message(tensor(datatype=b"FP31") + _RAW), ends(TYPE)),
    Fault("a type of the token", _message(tensor(datatype=b"x" * 480 + SECRET.encode()) + _RAW), ends(TYPE)),
    Fault("no type", _message(tensor(datatype=b"") + _RAW), ends(TYPE)),
    Fault("no shape", _message(tensor(shape=b"") + _RAW), ends(SHAPE)),
    Fault("another rank", _message(tensor(shape=b"\x04") + _RAW), ends(SHAPE)),
    Fault("another size", _message(tensor(shape=b"\x04\x01") + _RAW), ends(SHAPE)),
    Fault("other rows than were asked", _message(tensor(shape=b"\x03\x02") + field(6, _FOUR + _FOUR[:8])), ends(SHAPE)),
    Fault("a negative size", _message(tensor(shape=(b"\xff" * 9 + b"\x01") * 2) + _RAW), ends(SHAPE)),
    Fault("a size of 2^63 - 1", _message(tensor(shape=_HUGE * 2) + _RAW), ends(SHAPE)),
    Fault("a shape that is cut short", _message(tensor(shape=b"\x02\x82") + _RAW), ends(NO_ANSWER)),
    Fault("ten thousand dimensions", _message(tensor(shape=b"\x01" * 10_000) + _RAW), ends(SHAPE)),
    Fault("no data", _message(tensor()), ends(SHAPE, NO_ANSWER)),
    Fault("too few bytes", _message(tensor() + field(6, _FOUR[:12])), ends(SHAPE)),
    Fault("too many bytes", _message(tensor() + field(6, _FOUR + b"\0")), ends(SHAPE)),
    Fault("more data than outputs", _message(tensor() + _RAW * 2), ends(NO_ANSWER)),
    Fault("contents of its own", _message(tensor(more=field(5, field(6, _FOUR)))), ends(VALUE)),
    Fault("contents of another type", _message(tensor(more=field(5, field(7, _FOUR * 2)))), ends(SHAPE, NO_ANSWER)),
    Fault("contents that are too few", _message(tensor(more=field(5, field(6, _FOUR[:8])))), ends(SHAPE)),
    Fault("contents that are cut short", _message(tensor(more=field(5, field(6, _FOUR[:7])))), ends(NO_ANSWER, SHAPE)),
    Fault("contents and bytes", _message(tensor(more=field(5, field(6, _FOUR[::-1]))) + _RAW), ends(NO_ANSWER)),
]  # fmt: skip

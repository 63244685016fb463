"""Faults of sockets, of TLS and of the framing of HTTP/1.1: the same for whatever is asked."""

from __future__ import annotations

from collections.abc import Callable

from tests.servers.faults.fault import VALUE, Fault, Good, answered, ends

REFUSED, LATE, STATUS, NO_ANSWER, TOO_LARGE, CUT = "OH501", "OH502", "OH503", "OH504", "OH507", "OH508"
_GARBAGE = bytes((index * 37 + 11) % 256 for index in range(700))


def nothing(_: Good) -> bytes:
    """No byte."""
    return b""


def always(data: bytes) -> Callable[[Good], bytes]:
    """These bytes."""
    return lambda _: data


def _part(share: float) -> Callable[[Good], bytes]:
    """The right answer, up to a part of its body; of its head where the share is negative."""

    def cut(good: Good) -> bytes:
        whole = good.answer()
        head = len(whole) - len(good.body)
        return whole[: int(head * -share) if share < 0 else head + int(len(good.body) * share)]

    return cut


def _head(line: str, *, length: str | None = "Content-Length: {}\r\n", more: str = "") -> Callable[[Good], bytes]:
    """The right body behind a head with this status line and this way to tell the length."""

    def made(good: Good) -> bytes:
        stated = (length or "").format(len(good.body))
        return f"{line}\r\nContent-Type: {good.kind}\r\n{stated}{more}\r\n".encode("latin-1") + good.body

    return made


def _more(line: str) -> Callable[[Good], bytes]:
    return _head("HTTP/1.1 200 OK", more=line)


def _sized(line: str) -> Callable[[Good], bytes]:
    return _head("HTTP/1.1 200 OK", length=line)


def _chunked(
    size: str = "{:x}\r\n", *, piece: int = 7, after: str = "\r\n", last: str = "0\r\n\r\n", coding: str = "chunked"
) -> Callable[[Good], bytes]:
    """The right body in chunks."""

    def made(good: Good) -> bytes:
        pieces = [good.body[at : at + piece] for at in range(0, len(good.body), piece)]
        body = b"".join(size.format(len(data)).encode() + data + after.encode() for data in pieces)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {good.kind}\r\nTransfer-Encoding: {coding}\r\n\r\n"
        return head.encode() + body + last.encode()

    return made


def _poisoned(good: Good) -> bytes:
    return answered(good) + answered(good, b'{"text": "poison", "y": [[666]], "result": [[666]]}')


def _before(line: str, times: int = 1) -> Callable[[Good], bytes]:
    return lambda good: f"HTTP/1.1 {line}\r\n\r\n".encode() * times + answered(good)


SOCKET = [
    Fault("closed before the request", nothing, ends(CUT), hear="nothing", then="close"),
    Fault("reset before the request", nothing, ends(CUT, REFUSED), hear="nothing", then="reset"),
    Fault("accepted and left alone", nothing, ends(LATE), hear="nothing", then="hold", hangs=True),
    Fault("closed after the request's head", nothing, ends(CUT), hear="head", then="close"),
    Fault("reset after the request's head", nothing, ends(CUT), hear="head", then="reset"),
    Fault("closed after the request", nothing, ends(CUT), then="close"),
    Fault("reset after the request", nothing, ends(CUT), then="reset"),
    Fault("half closed after the request", nothing, ends(CUT), then="half"),
    Fault("silence", nothing, ends(LATE), then="hold", hangs=True),
    Fault("reset at first, well when tried again", nothing, ends(VALUE), then="reset", retries=2),
    Fault("half a head, then closed", _part(-0.5), ends(CUT), then="close"),
    Fault("half a head, then reset", _part(-0.5), ends(CUT), then="reset"),
    Fault("half a head, then silence", _part(-0.5), ends(LATE), then="hold", hangs=True),
    Fault("a head alone, then closed", _part(0), ends(CUT), then="close"),
    Fault("a head alone, then silence", _part(0), ends(LATE), then="hold", hangs=True),
    Fault("half a body, then closed", _part(0.5), ends(CUT), then="close"),
    Fault("half a body, then half closed", _part(0.5), ends(CUT), then="half"),
    Fault("half a body, then reset", _part(0.5), ends(CUT), then="reset"),
    Fault("half a body, then silence", _part(0.5), ends(LATE), then="hold", hangs=True),
    Fault("an answer that drips too slowly", Good.answer, ends(LATE), pause=0.05, hangs=True),
    Fault("an answer byte by byte", Good.answer, ends(VALUE), pause=1e-6),
    Fault("a right answer, then closed", Good.answer, ends(VALUE, CUT), then="close"),
    Fault("a right answer, then half closed", Good.answer, ends(VALUE), then="half"),
    Fault("a right answer, then reset", Good.answer, ends(VALUE, CUT), then="reset"),
]

EARLY = [
    Fault("an answer before the request", Good.answer, ends(VALUE, NO_ANSWER, CUT), hear="nothing"),
    Fault("an answer before the request's body", Good.answer, ends(VALUE, CUT), hear="head", then="close"),
]

FRAMING = [
    Fault("the banner of SSH", always(b"SSH-2.0-OpenSSH_9.2\r\n"), ends(NO_ANSWER), then="close"),
    Fault("the banner of SMTP", always(b"220 mail ESMTP\r\n"), ends(NO_ANSWER), then="close"),
    Fault("garbage", always(_GARBAGE), ends(NO_ANSWER), then="close"),
    Fault("endless garbage", nothing, ends(NO_ANSWER), endless=_GARBAGE),
    Fault("frames of HTTP/2", always(bytes.fromhex("000000040000000000")), ends(NO_ANSWER), then="close"),
    Fault("an alert of TLS", always(bytes.fromhex("15030100020250")), ends(NO_ANSWER), then="close"),
    Fault("RTSP", _head("RTSP/1.0 200 OK"), ends(NO_ANSWER)),
    Fault("HTTP/2.0 in a status line", _head("HTTP/2.0 200 OK"), ends(NO_ANSWER)),
    Fault("http in small letters", _head("http/1.1 200 OK"), ends(NO_ANSWER)),
    Fault("no reason", _head("HTTP/1.1 200"), ends(VALUE)),
    Fault("a reason beyond ASCII", _head("HTTP/1.1 200 \xe9\xff"), ends(VALUE)),
    Fault("no status", _head("HTTP/1.1 OK"), ends(NO_ANSWER)),
    Fault("a status of two digits", _head("HTTP/1.1 99 Low"), ends(NO_ANSWER)),
    Fault("a status of four digits", _head("HTTP/1.1 2000 OK"), ends(NO_ANSWER)),
    Fault("a negative status", _head("HTTP/1.1 -200 OK"), ends(NO_ANSWER)),
    Fault("empty lines before the status", lambda good: b"\r\n\r\n" + answered(good), ends(VALUE, NO_ANSWER)),
    Fault("line feeds alone", lambda good: answered(good).replace(b"\r\n", b"\n", 5), ends(VALUE, NO_ANSWER)),
    Fault("a header without a colon", _more("broken\r\n"), ends(NO_ANSWER)),
    Fault("a header without a name", _more(": x\r\n"), ends(NO_ANSWER)),
    Fault("a space before the colon", _more("X : y\r\n"), ends(VALUE, NO_ANSWER)),
    Fault("a folded header", _more("X: y\r\n z\r\n"), ends(VALUE, NO_ANSWER)),
    Fault("a NUL in a header", _more("X: a\0b\r\n"), ends(NO_ANSWER)),
    Fault("a header beyond ASCII", _more("X: \xe9\xff\r\n"), ends(VALUE)),
    Fault("two hundred headers", _more("X: y\r\n" * 200), ends(NO_ANSWER)),
    Fault("a header of a megabyte", _more(f"X: {'y' * 1_000_000}\r\n"), ends(NO_ANSWER)),
    Fault("an endless head", always(b"HTTP/1.1 200 OK\r\n"), ends(NO_ANSWER), endless=b"X: y\r\n" * 10_000),
    Fault("a negative length", _sized("Content-Length: -1\r\n"), ends(NO_ANSWER)),
    Fault("a length that is no number", _sized("Content-Length: ten\r\n"), ends(NO_ANSWER)),
    Fault("a length with a sign", _sized("Content-Length: +{}\r\n"), ends(NO_ANSWER)),
    Fault("an empty length", _sized("Content-Length:\r\n"), ends(NO_ANSWER)),
    Fault("a length of 2^64", _sized("Content-Length: 18446744073709551616\r\n"), ends(NO_ANSWER)),
    Fault("two lengths that differ", _sized("Content-Length: {}\r\nContent-Length: 1\r\n"), ends(NO_ANSWER)),
    Fault("the same length twice", _sized("Content-Length: {0}\r\nContent-Length: {0}\r\n"), ends(VALUE, NO_ANSWER)),
    Fault("a list of lengths", _sized("Content-Length: {0}, {0}\r\n"), ends(VALUE, NO_ANSWER)),
    Fault("a length that is too large, then closed", _sized("Content-Length: 9999\r\n"), ends(CUT), then="close"),
    Fault("no length, then closed", _sized(""), ends(VALUE), then="close"),
    Fault("HTTP/1.0, then closed", _head("HTTP/1.0 200 OK", length=None), ends(VALUE), then="close"),
    Fault("HTTP/1.0 with a length", _head("HTTP/1.0 200 OK"), ends(VALUE), then="close"),
    Fault("bytes behind the answer", lambda good: answered(good) + b"\0garbage" * 9, ends(VALUE)),
    Fault("a second answer behind the first", _poisoned, ends(VALUE)),
    Fault("chunks", _chunked(), ends(VALUE)),
    Fault("chunks of one byte", _chunked(piece=1), ends(VALUE)),
    Fault("chunks with extensions", _chunked('{:x};a=b;c="d"\r\n'), ends(VALUE)),
    Fault("chunk sizes with leading zeros", _chunked("{:08X}\r\n"), ends(VALUE)),
    Fault("trailers", _chunked(last="0\r\nX: y\r\nContent-Length: 1\r\n\r\n"), ends(VALUE)),
    Fault("a chunk size that is none", _chunked("zz\r\n"), ends(CUT, NO_ANSWER)),
    Fault("a negative chunk size", _chunked("-7\r\n"), ends(CUT, NO_ANSWER)),
    Fault("a chunk size beyond 64 bits", _chunked("fffffffffffffffff\r\n"), ends(CUT, NO_ANSWER)),
    Fault("a chunk size of an exabyte", _chunked("fffffffffffffff\r\n"), ends(CUT, NO_ANSWER), then="close"),
    Fault("a chunk longer than it says", _chunked("3\r\n"), ends(CUT, NO_ANSWER)),
    Fault("chunks without ends", _chunked(after="XX"), ends(CUT, NO_ANSWER)),
    Fault("no last chunk, then closed", _chunked(last=""), ends(CUT), then="close"),
    Fault("no last chunk, then silence", _chunked(last=""), ends(LATE), then="hold", hangs=True),
    Fault("half a last chunk, then closed", _chunked(last="0\r\n"), ends(VALUE, CUT), then="close"),
    Fault("an endless chunk extension", _chunked("1;", piece=1, after="", last=""), ends(CUT, NO_ANSWER),
          endless=b"x" * 5_000),
    Fault("endless trailers", _chunked(last="0\r\n"), ends(CUT, NO_ANSWER), endless=b"X: y\r\n" * 1_000),
    Fault("chunks that are no chunks", _head("HTTP/1.1 200 OK", length="Transfer-Encoding: chunked\r\n"),
          ends(CUT, NO_ANSWER)),
    Fault("a coding that nobody knows", _chunked(coding="chunked, rot13"), ends(CUT, NO_ANSWER), then="close"),
    Fault("a length and chunks", _chunked(coding="chunked\r\nContent-Length: 3"), ends(VALUE, NO_ANSWER)),
    Fault("go on, then the answer", _before("100 Continue"), ends(VALUE)),
    Fault("early hints, then the answer", _before("103 Early Hints\r\nLink: </x>; rel=preload"), ends(VALUE)),
    Fault("a hundred times go on", _before("102 Processing", 100), ends(VALUE, NO_ANSWER)),
    Fault("go on for ever", nothing, ends(LATE, NO_ANSWER), endless=b"HTTP/1.1 100 Continue\r\n\r\n" * 50, hangs=True),
    Fault("another protocol", _head("HTTP/1.1 101 Switching Protocols", more="Upgrade: h2c\r\n"),
          ends(STATUS, NO_ANSWER), then="close"),
]  # fmt: skip

TLS = [
    Fault("a certificate of a stranger", Good.answer, ends(REFUSED), tls="of a stranger"),
    Fault("a certificate of another host", Good.answer, ends(REFUSED), tls="of another host"),
    Fault("a certificate that expired", Good.answer, ends(REFUSED), tls="expired"),
    Fault("plain text to a client of TLS", always(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ends(REFUSED),
          hear="nothing", tls="none", then="close"),
    Fault("garbage to a client of TLS", always(_GARBAGE), ends(REFUSED), hear="nothing", tls="none", then="close"),
    Fault("an alert to a client of TLS", always(bytes.fromhex("15030100020228")), ends(REFUSED), hear="nothing",
          tls="none", then="close"),
    Fault("closed in a handshake", nothing, ends(REFUSED), hear="nothing", tls="none", then="close"),
    Fault("reset in a handshake", nothing, ends(REFUSED), hear="nothing", tls="none", then="reset"),
    Fault("silence in a handshake", nothing, ends(REFUSED, LATE), hear="nothing", tls="none", then="hold", hangs=True),
    Fault("closed after a handshake", nothing, ends(CUT), hear="nothing", tls="right", then="close"),
    Fault("half a body over TLS, then closed", _part(0.5), ends(CUT), tls="right", then="close"),
    Fault("silence over TLS", nothing, ends(LATE), tls="right", then="hold", hangs=True),
    Fault("a right answer over TLS", Good.answer, ends(VALUE), tls="right"),
]  # fmt: skip

"""Faults of an answer: its status, its headers, its encoding, its size, and JSON that is none."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

from tests.servers.faults.fault import SECRET, VALUE, Fault, Good, answered, ends
from tests.servers.faults.wire import CUT, LATE, NO_ANSWER, STATUS, TOO_LARGE, always

LIMIT = 1_000_000
"""Bytes that the sessions of the tests let an answer have."""

TYPE, SHAPE = "OH505", "OH506"
_UNFIT = (NO_ANSWER, TYPE, SHAPE)
_ESCAPED = "".join(f"\\u{ord(character):04x}" for character in SECRET)


def _status(line: str, body: bytes | None = None, **options: str) -> Callable[[Good], bytes]:
    return lambda good: answered(good, body, status=line, **options)


def _typed(kind: str) -> Callable[[Good], bytes]:
    return lambda good: answered(good, kind=kind)


def _encoded(name: str, encode: Callable[[bytes], bytes] = lambda body: body) -> Callable[[Good], bytes]:
    more = f"Content-Encoding: {name}\r\n" if name else ""
    return lambda good: answered(good, encode(good.body), more=more)


def _instead(body: bytes) -> Callable[[Good], bytes]:
    return lambda good: answered(good, body)


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Good], bytes]:
    return lambda good: answered(good, change(good.body))


_LINES = (
    "201 Created", "202 Accepted", "203 Non-Authoritative Information", "206 Partial Content", "226 IM Used",
    "299 Odd", "300 Multiple Choices", "305 Use Proxy", "400 Bad Request", "401 Unauthorized", "403 Forbidden",
    "404 Not Found", "407 Proxy Authentication Required", "408 Request Timeout", "413 Content Too Large",
    "418 I'm a teapot", "422 Unprocessable Content", "425 Too Early", "429 Too Many Requests",
    "451 Unavailable For Legal Reasons", "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable",
    "504 Gateway Timeout", "599 Odd", "999 Odder",
)  # fmt: skip
_MOVED = ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect")

STATUSES = [
    *(Fault(f"{line} with the right body", _status(line), ends(STATUS)) for line in _LINES),
    *(Fault(f"{line} to itself", _status(line, more="Location: /\r\n"), ends(STATUS)) for line in _MOVED),
    *(
        Fault(f"{line} without a body", always(f"HTTP/1.1 {line}\r\n\r\n".encode()), ends(STATUS), then="close")
        for line in ("204 No Content", "205 Reset Content", "304 Not Modified")
    ),
    Fault("204 with a body", _status("204 No Content"), ends(STATUS)),
    Fault("503 at first", _status("503 Busy"), ends(VALUE), retries=2),
    Fault("429 with a pause at first", _status("429 Busy", more="Retry-After: 0\r\n"), ends(VALUE), retries=1),
    Fault("503 with a pause of years", _status("503 Busy", more="Retry-After: 99999999\r\n"), ends(STATUS), retries=2),
    Fault("503 with a pause that is none", _status("503 Busy", more="Retry-After: -\xff\r\n"), ends(VALUE), retries=2),
    Fault("an error that repeats the token", _status("401 No", json.dumps({"error": SECRET}).encode()), ends(STATUS)),
    Fault("an error that repeats the token's header", _status("401 No", f"Bearer {SECRET} bad".encode()), ends(STATUS)),
    Fault("an error that escapes the token", _status("401 No", f'{{"message": "{_ESCAPED}"}}'.encode()), ends(STATUS)),
    Fault("an error with the token where it is cut", _status("401 No", b"x" * 490 + SECRET.encode()), ends(STATUS)),
    Fault("a reason that repeats the token", _status(f"401 {SECRET}", b""), ends(STATUS)),
    Fault("headers that repeat the token", _status("302 Found", b"", more=f"Location: /{SECRET}\r\n"), ends(STATUS)),
    Fault("an error of control characters", _status("500 No", b"\x1b[2J\r\n\0\x7f\xff\xe2\x80\xae"), ends(STATUS)),
    Fault("an error of a megabyte", _status("500 No", b"\xc3" * LIMIT), ends(STATUS)),
    Fault("an error in lists of lists", _status("500 No", b'{"error": ' + b"[" * 50_000), ends(STATUS)),
    Fault("an endless error", lambda _: b"HTTP/1.1 500 No\r\n\r\n", ends(STATUS), endless=b"no " * 10_000),
    Fault("an error that ends early", _status("500 No", more="Content-Length: 999\r\n"), ends(STATUS, NO_ANSWER),
          then="close"),
    Fault("an error that never ends", lambda _: b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nno", ends(STATUS, LATE),
          then="hold", hangs=True),
    Fault("an error that is zipped", lambda good: answered(good, gzip.compress(b"no"), status="500 No",
          more="Content-Encoding: gzip\r\n"), ends(STATUS)),
]  # fmt: skip

HEADERS = [
    Fault("no content type", lambda good: answered(good).replace(b"Content-Type", b"X-Type"), ends(VALUE)),
    Fault("a content type in capitals", lambda good: answered(good, kind=good.kind.upper()), ends(VALUE)),
    Fault("the right body as HTML", _typed("text/html"), ends(NO_ANSWER)),
    Fault("the right body as a picture", _typed("image/png"), ends(NO_ANSWER)),
    Fault("the right body as XML", _typed("application/xml; charset=utf-8"), ends(NO_ANSWER)),
    Fault("an empty content type", _typed(""), ends(NO_ANSWER)),
    Fault("a content type beyond ASCII", _typed("text/html\xff"), ends(NO_ANSWER)),
    Fault("a second content type", lambda good: answered(good, more="Content-Type: text/html\r\n"), ends(NO_ANSWER)),
    Fault("a page to log in", lambda good: answered(good, b"<html>log in</html>", kind="text/html"), ends(NO_ANSWER)),
    Fault("gzip", _encoded("gzip", gzip.compress), ends(VALUE)),
    Fault("gzip in two", _encoded("x-gzip", lambda body: gzip.compress(body) + gzip.compress(b"")), ends(VALUE)),
    Fault("gzip cut short", _encoded("gzip", lambda body: gzip.compress(body)[:-1]), ends(CUT)),
    Fault("gzip with another sum", _encoded("gzip", lambda body: gzip.compress(body)[:-8] + bytes(8)), ends(NO_ANSWER)),
    Fault("gzip and more", _encoded("gzip", lambda body: gzip.compress(body) + b"more"), ends(NO_ANSWER)),
    Fault("gzip in gzip", _encoded("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))), ends(NO_ANSWER)),
    Fault("deflate", _encoded("deflate", zlib.compress), ends(VALUE)),
    Fault("deflate without a head", _encoded("deflate", lambda body: zlib.compress(body)[2:-4]), ends(VALUE)),
    Fault("an encoding that is not read", _encoded("br"), ends(NO_ANSWER)),
    Fault("gzip in name only", _encoded("gzip"), ends(NO_ANSWER)),
    Fault("gzip in capitals", _encoded("GZIP", gzip.compress), ends(VALUE)),
    Fault("gzip, unsaid", _encoded("", gzip.compress), ends(NO_ANSWER)),
    Fault("a bomb", _encoded("gzip", lambda _: gzip.compress(bytes(20_000_000))), ends(TOO_LARGE)),
    Fault("an encoding that nobody knows", _encoded("rot13"), ends(NO_ANSWER)),
    Fault("an encoding beyond ASCII", _encoded("gz\xffip"), ends(NO_ANSWER)),
    Fault("no encoding, and gzip", _encoded("identity\r\nContent-Encoding: gzip", gzip.compress), ends(VALUE)),
    Fault("no encoding, said aloud", _encoded("Identity"), ends(VALUE)),
    Fault("cookies", lambda good: answered(good, more="Set-Cookie: a=b\r\n" * 20), ends(VALUE)),
    Fault("a connection to be closed", lambda good: answered(good, more="Connection: close\r\n"), ends(VALUE),
          then="close"),
]  # fmt: skip


def _bytes_and_text(expected: str) -> list[Fault]:
    """The right body under types that may hold anything."""
    return [
        Fault(f"the right body as {kind}", _typed(kind), ends(expected))
        for kind in ("application/octet-stream", "text/plain", "application/x-y", "text/plain\r\nContent-Type: a/b")
    ]


TYPES_OF_JSON = _bytes_and_text(VALUE)
"""Of a protocol whose JSON shows what it is, whatever it is called."""

TYPES_OF_TEXT = _bytes_and_text(VALUE)[:2]
"""Of a text, which nothing else tells from other things."""

SIZES = [
    Fault("a terabyte, as announced", lambda good: answered(good)[:-1].replace(b"Length: ", b"Length: 1099511627776"),
          ends(TOO_LARGE), then="hold"),
    Fault("a body without an end", lambda good: answered(good).replace(b"Content-Length", b"X-Length"),
          ends(TOO_LARGE), endless=b" " * 65_536),
    Fault("chunks without an end", lambda good: f"HTTP/1.1 200 OK\r\nContent-Type: {good.kind}\r\n"
          "Transfer-Encoding: chunked\r\n\r\n".encode(), ends(TOO_LARGE), endless=b"2000\r\n" + b" " * 8192 + b"\r\n"),
    Fault("one byte more than may be", _instead(b" " * (LIMIT + 1)), ends(TOO_LARGE)),
]  # fmt: skip


def _behind(key: bytes) -> Callable[[Good], bytes]:
    """An entry that nobody asked for, at the beginning."""
    return _changed(lambda body: body.replace(b"{", b"{" + key + b", ", 1))


def _listed(value: Any, depth: int) -> Any:
    """A JSON value whose objects, down to a depth, are the lists of their values."""
    if isinstance(value, dict):
        values = [_listed(item, depth - 1) for item in value.values()]
        return values if depth > 0 else dict(zip(value, values, strict=True))
    return [_listed(item, depth) for item in value] if isinstance(value, list) else value


def _lists(depth: int) -> Callable[[Good], bytes]:
    return _changed(lambda body: json.dumps(_listed(json.loads(body), depth)).encode())


JSON = [
    Fault("a list of an object's values for the object", _lists(1), ends(*_UNFIT)),
    Fault("a list of values for each object", _lists(99), ends(*_UNFIT)),
    Fault("an empty body", _instead(b""), ends(NO_ANSWER)),
    Fault("a body of spaces", _instead(b" " * 1000), ends(NO_ANSWER)),
    Fault("null", _instead(b"null"), ends(NO_ANSWER)),
    Fault("a number", _instead(b"5"), ends(NO_ANSWER)),
    Fault("a string", _instead(b'"text"'), ends(NO_ANSWER)),
    Fault("an empty list", _instead(b"[]"), ends(NO_ANSWER)),
    Fault("an empty object", _instead(b"{}"), ends(NO_ANSWER)),
    Fault("an error with status 200", _instead(f'{{"error": {{"message": "{SECRET}"}}}}'.encode()), ends(NO_ANSWER)),
    Fault("an error that calls itself one", _instead(b'{"object": "error", "message": "no", "code": 404}'),
          ends(NO_ANSWER)),
    Fault("a detail and nothing else", _instead(b'{"detail": [{"msg": "field required"}]}'), ends(NO_ANSWER)),
    Fault("an empty error beside the answer", _behind(b'"error": null'), ends(VALUE)),
    Fault("brackets the wrong way round", _instead(b"}{"), ends(NO_ANSWER)),
    Fault("fifty thousand brackets", _instead(b"[" * 50_000), ends(*_UNFIT)),
    Fault("fifty thousand brackets within", _behind(b'"zz": ' + b"[" * 50_000 + b"]" * 50_000), ends(VALUE, *_UNFIT)),
    Fault("half the JSON", _changed(lambda body: body[: len(body) // 2]), ends(NO_ANSWER)),
    Fault("JSON without its last byte", _changed(lambda body: body[:-1]), ends(NO_ANSWER)),
    Fault("garbage behind the JSON", _changed(lambda body: body + b" x"), ends(NO_ANSWER)),
    Fault("the JSON twice", _changed(lambda body: body + body), ends(NO_ANSWER)),
    Fault("a NUL behind the JSON", _changed(lambda body: body + b"\0"), ends(NO_ANSWER)),
    Fault("the JSON in a list", _changed(lambda body: b"[" + body + b"]"), ends(NO_ANSWER)),
    Fault("a byte order mark", _changed(lambda body: b"\xef\xbb\xbf" + body), ends(VALUE, NO_ANSWER)),
    Fault("UTF-16", _changed(lambda body: body.decode().encode("utf-16")), ends(NO_ANSWER)),
    Fault("no UTF-8", _behind(b'"zz": "\xff"'), ends(NO_ANSWER)),
    Fault("half a surrogate", _behind(b'"zz\\ud800": 1'), ends(VALUE, NO_ANSWER)),
    Fault("a comma too many", _changed(lambda body: body[:-1] + b",}"), ends(NO_ANSWER)),
    Fault("single quotes", _changed(lambda body: body.replace(b'"', b"'")), ends(NO_ANSWER)),
    Fault("a comment", _changed(lambda body: b"/* hi */" + body), ends(NO_ANSWER)),
    Fault("an unknown key", _behind(b'"zz": [1e999, -0]'), ends(VALUE, NO_ANSWER)),
    Fault("a huge number that nobody reads", _behind(b'"zz": ' + b"9" * 400_000),
          ends(VALUE, NO_ANSWER)),
    Fault("a key of the token", _changed(lambda body: body.replace(b'"', f'"{SECRET}'.encode(), 1)),
          ends(VALUE, *_UNFIT)),
    Fault("lines of server-sent events", _changed(lambda body: b"data: " + body + b"\n\n"), ends(NO_ANSWER)),
]  # fmt: skip

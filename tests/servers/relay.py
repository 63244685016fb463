"""A server between a client and another, which passes requests and answers on and keeps what it heard."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.servers.raw import RawServer, answer, raw_server


@contextlib.contextmanager
def relay(url: str) -> Iterator[RawServer]:
    """Stand before the server at a URL until the block ends."""

    def pass_on(connection: socket.socket, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        method, path, _ = line.split(" ")
        there = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        with contextlib.closing(there):
            there.request(method, path, body, dict(field.split(": ", 1) for field in fields))
            response = there.getresponse()
            content = response.read()
        length = response.getheader("Inference-Header-Content-Length")
        more = f"Inference-Header-Content-Length: {length}\r\n" if length else ""
        kind = response.getheader("Content-Type", "application/json")
        answer(content, status=f"{response.status} {response.reason}", kind=kind, more=more)(connection, request)

    with raw_server(pass_on) as server:
        yield server


def sizes(server: RawServer) -> list[int]:
    """The bytes of the bodies that were heard, behind the JSON header of tensors in bytes."""
    return [_size(request) for request in server.requests if request.startswith(b"POST")]


def _size(request: bytes) -> int:
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"inference-header")]
    return len(body) - int(lengths[0])

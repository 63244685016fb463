"""A server of KServe v2 that reads JSON alone, and keeps what it heard: it gives its inputs back under other names."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.servers.raw import Behaviour, answer, raw_server

Json = dict[str, Any]

MLSERVER: Json = {"name": "mlserver", "version": "1.7.1", "extensions": []}


@dataclass
class Heard:
    """Where the server is, and what it was asked: the paths, and the bodies in JSON of inference requests."""

    url: str
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)

    def count(self, question: str) -> int:
        """How often it was asked this, such as `GET /v2`."""
        return self.asked.count(question)


def hang_up(connection: socket.socket, _: bytes) -> None:
    """End the connection without an answer."""
    connection.shutdown(socket.SHUT_RDWR)


def echo(request: Json) -> Json:
    """The answer of MLServer to a request: each input under the name of an output, and what it says beside."""
    outputs = [
        {**tensor, "name": f"{tensor['name']}_out", "parameters": {"content_type": "np"}}
        for tensor in request["inputs"]
    ]
    return {"model_name": "m", "model_version": None, "id": None, "parameters": None, "outputs": outputs[::-1]}


@contextlib.contextmanager
def json_server(
    described: Behaviour | None = None, refuse: Behaviour | None = None, respond: Callable[[Json], Json] = echo
) -> Iterator[Heard]:
    """Serve models of any name until the block ends.

    Args:
        described: what becomes of `GET /v2`; the answer of MLServer by default.
        refuse: what becomes of a request in bytes.
        respond: the answer to a request in JSON.
    """
    refusing = refuse or answer(b"Internal Server Error", status="500 Internal Server Error", kind="text/plain")
    describing = described or answer(json.dumps(MLSERVER).encode())

    def behave(connection: socket.socket, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        heard.asked.append(f"{method} {path}")
        heard.heads.append(head.lower())
        if path == "/v2":
            describing(connection, request)
        elif method == "GET":
            answer(b'{"detail": "Not Found"}', status="404 Not Found")(connection, request)
        elif b"inference-header-content-length" in head.lower():
            refusing(connection, request)
        else:
            heard.requests.append(json.loads(body))
            answer(json.dumps(respond(heard.requests[-1])).encode())(connection, request)

    with raw_server(behave) as server:
        heard = Heard(server.url)
        yield heard

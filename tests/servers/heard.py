"""A server of either wire that gives right answers and keeps what it heard: where to, which headers, which body."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]

from tests.servers.faults import Good
from tests.servers.raw import RawServer, answer, raw_server


@dataclass
class Heard:
    """One request: its path with the query, the host that it names, its headers in lower case and its body."""

    path: str
    host: str
    headers: dict[str, Any]
    body: bytes


@dataclass
class Listener:
    """A server, and what it heard so far."""

    url: str
    requests: list[Heard] = field(default_factory=list)


@contextlib.contextmanager
def listening_to(good: Good, scheme: str = "http") -> Iterator[Listener]:
    """Serve these answers over HTTP/1.1, or with the scheme "grpc" as a gRPC server of the official library."""
    if scheme == "grpc":
        with _grpc(good.body) as listener:
            yield listener
        return
    with raw_server(answer(good.body, kind=good.kind)) as server:
        yield _Read(server)


class _Read(Listener):
    """What a raw server heard, read whenever somebody asks."""

    def __init__(self, server: RawServer) -> None:
        self.url, self._server = server.url, server

    @property
    def requests(self) -> list[Heard]:  # type: ignore[override]
        return [heard(request) for request in self._server.requests]


def heard(request: bytes) -> Heard:
    """A request over HTTP/1.1; one that has two headers of a name is no request that a server should get."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    rows = [(name.lower(), value.strip()) for name, _, value in (row.partition(":") for row in rest)]
    headers = dict(rows)
    assert len(headers) == len(rows), rows
    return Heard(line.split(" ")[1], headers["host"], headers, body)


@contextlib.contextmanager
def _grpc(message: bytes) -> Iterator[Listener]:
    listener = Listener("")

    class Model(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            def infer(request: bytes, context: Any) -> bytes:
                rows = [(row.key, row.value) for row in context.invocation_metadata()]
                assert len(dict(rows)) == len(rows), rows
                host = context._rpc_event.call_details.host  # the library has no public way to it
                listener.requests.append(Heard(details.method, host.decode(), dict(rows), request))
                return message

            return grpc.unary_unary_rpc_method_handler(infer)

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(Model(),))
    listener.url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield listener
    finally:
        server.stop(None)

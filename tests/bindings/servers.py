"""The servers that a set of hybrids calls: one of models, one that wants a token, one of gRPC, and some that fail."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.servers import kserve_grpc
from tests.servers.blobs import reversing
from tests.servers.raw import answer, raw_server, silence

TOKEN = "token-0123456789abcdef"


@dataclass(frozen=True)
class Servers:
    """Base URLs, and whether the server that never answers was asked."""

    models: str
    guarded: str
    blobs: str
    grpc: str
    busy: str
    page: str
    silent: str
    asked: threading.Event


CLOSED = "http://127.0.0.1:1"
NOWHERE = Servers(CLOSED, CLOSED, CLOSED, "grpc://127.0.0.1:1", CLOSED, CLOSED, CLOSED, threading.Event())
"""URLs where no server is, for who wants to know names alone."""


class _Linear(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """A model x float32[n, 3] -> y = 3 x + 10."""

    def ModelInfer(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
        """The one output of a request."""
        x = np.frombuffer(request.raw_input_contents[0], np.float32)
        reply = service_pb2.ModelInferResponse(raw_output_contents=[(x * 3 + 10).astype(np.float32).tobytes()])
        reply.outputs.add(name="y", datatype="FP32", shape=request.inputs[0].shape)
        return reply


@contextlib.contextmanager
def serving(models: dict[str, oh.Model]) -> Iterator[Servers]:
    """All of them, until the block ends; `models` are served to everybody, and to who has the token."""
    busy = answer(b'{"error": "try later"}', status="503 Service Unavailable")
    page = answer(b"<html></html>", kind="text/html")
    asked = threading.Event()

    def say_nothing(connection: socket.socket, request: bytes) -> None:
        asked.set()
        silence(connection, request)

    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        yield Servers(
            models=enter(serve(models)).url,
            guarded=enter(serve(models, token=TOKEN)).url,
            blobs=enter(reversing("y")).url,
            grpc=enter(kserve_grpc.serving(_Linear(), 16)),
            busy=enter(raw_server(busy)).url,
            page=enter(raw_server(page)).url,
            silent=enter(raw_server(say_nothing)).url,
            asked=asked,
        )

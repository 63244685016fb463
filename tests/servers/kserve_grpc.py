"""A gRPC server of KServe v2 on loopback, whose answers a test gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2_grpc


@contextmanager
def serving(servicer: Any, threads: int, options: Sequence[tuple[str, Any]] = ()) -> Iterator[str]:
    """The URL of a server that answers as `servicer` does, until the block ends."""
    server = grpc.server(ThreadPoolExecutor(threads), options=options)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()

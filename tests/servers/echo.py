"""A server whose models give back what they are given, each plus a number of its own, and that keeps what it heard."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Iterator

import numpy as np

import onnxhybrid as oh
from tests.servers.raw import Behaviour, RawServer, answer, raw_server


def shift(model: str) -> int:
    """What a model of this name adds."""
    return 1 + sum(model.encode()) % 7


def echo(connection: socket.socket, request: bytes) -> None:
    """Answer with the one tensor of the request, shifted."""
    head, body = request.split(b"\r\n\r\n", 1)
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"inference-header")
    )
    (tensor,) = json.loads(body[:length])["inputs"]
    values = np.frombuffer(body[length:], np.float32) + shift(_model(head))
    output = {"name": "y", "datatype": "FP32", "shape": tensor["shape"], "data": values.tolist()}
    answer(json.dumps({"model_name": "m", "outputs": [output]}).encode())(connection, request)


@contextlib.contextmanager
def echo_server(behave: Behaviour = echo) -> Iterator[RawServer]:
    """Serve models of any name until the block ends."""
    with raw_server(behave) as server:
        yield server


def remote(url: str, model: str, **options: object) -> oh.Model:
    """The remote model x (n, 3) -> y (n, 3) of a name."""
    return oh.remote.triton(
        url,
        model,
        inputs=[oh.TensorSpec("x", "float32", ("n", 3))],
        outputs=[oh.TensorSpec("y", "float32", ("n", 3))],
        **{"timeout": 20.0, "retries": 0, **options},  # type: ignore[arg-type]
    )


def heard(server: RawServer) -> Counter[bytes]:
    """The requests so far, as a multiset; they are forgotten."""
    requests = Counter(server.requests)
    server.requests.clear()
    return requests


def _model(head: bytes) -> str:
    return head.split(b"/v2/models/")[1].split(b"/")[0].decode()

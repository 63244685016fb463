"""Cascades that audit: a local model and a server of which it is known where they differ."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.servers.raw import RawServer, answer
from tests.strategies import Array, of_graph

SOON = 20.0
"""Seconds that a thing which happens at once may take on a machine under load."""

NODE = "audit/m"
"""The node that audits, of a cascade whose remote is the model `m`."""

ALL, NONE = (np.array([threshold], np.float32) for threshold in (-1e9, 1e9))
"""Thresholds that accept all rows, and none."""


def passing(opset: int = 17) -> oh.Model:
    """The local model x float32[n, 3] -> y float32[n, 3], which is x."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    nodes = [helper.make_node("Neg", ["x"], ["less"]), helper.make_node("Neg", ["less"], ["y"])]
    return of_graph(helper.make_graph(nodes, "local", values[:1], values[1:]), opset=opset)


def remote(url: str, **options: object) -> oh.Model:
    """The remote model `m`, x float32[n, 3] -> y float32[n, 3]."""
    tensors = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy"]
    settings = {"timeout": 20.0, "retries": 0, **options}
    return oh.remote.triton(url, "m", inputs=tensors[:1], outputs=tensors[1:], **settings)  # type: ignore[arg-type]


JUDGE = oh.judge.logit_max("y") >= oh.Input("threshold", default=-1e9)


def audited(url: str, audit: float = 1.0, **options: object) -> oh.Model:
    """A cascade that audits."""
    own = {name: options.pop(name) for name in ("rows", "report", "speculate") if name in options}
    return oh.cascade(passing(), remote(url, **options), JUDGE, audit=audit, **own)  # type: ignore[arg-type]


def received(request: bytes) -> Array:
    """The rows of a request."""
    head, body = request.split(b"\r\n\r\n", 1)
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"inference-header")), 0)
    return np.frombuffer(body[length:], np.float32).reshape(-1, 3)


def differing(x: Array) -> Array:
    """What the server answers: x, but for rows that begin with a negative number."""
    return np.where(x[:, :1] < 0, x + 1, x)


def differ(connection: socket.socket, request: bytes) -> None:
    """Answer as `differing` says."""
    values = differing(received(request))
    output = {"name": "y", "datatype": "FP32", "shape": list(values.shape), "data": values.ravel().tolist()}
    answer(json.dumps({"model_name": "m", "outputs": [output]}).encode())(connection, request)


def rows_at(server: RawServer) -> Array:
    """All rows that a server was sent, in the order in which they came."""
    return np.concatenate([np.zeros((0, 3), np.float32), *map(received, server.requests)])


def eventually(true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end, never = time.monotonic() + SOON, threading.Event()
    while not true():
        assert time.monotonic() < end
        never.wait(0.005)


def found(session: oh.Session, rows: int) -> oh.AuditStats:
    """What a session's audits found, once so many rows are counted, whatever came of them."""

    def counted() -> bool:
        stats = session.audit()[NODE]
        return stats.audited + stats.failed + stats.dropped >= rows

    eventually(counted)
    return session.audit()[NODE]

"""The remote model that most tests call, and a right answer of its server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import onnxhybrid as oh
from tests.servers.raw import Behaviour
from tests.strategies import rows

TOKEN = "token-0123456789abcdef"
X = rows(2, 3)


def adder(url: str | oh.Endpoint, **options: Any) -> oh.Model:
    """A remote model x (n, 3) -> y (n, 2)."""
    settings: dict[str, Any] = {"timeout": 3.0, "retries": 0, **options}
    return oh.remote.triton(
        url,
        "adder",
        inputs=[oh.TensorSpec("x", "float32", ("n", 3))],
        outputs=[oh.TensorSpec("y", "float32", ("n", 2))],
        **settings,
    )


def reply(**changes: object) -> bytes:
    """The JSON form of a right answer to two rows, with one output changed."""
    output = {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.0], **changes}
    return json.dumps({"model_name": "adder", "model_version": "1", "outputs": [output]}).encode()


def in_turn(behaviours: Iterator[Behaviour]) -> Behaviour:
    """Another behaviour for each request."""

    def behave(connection: socket.socket, request: bytes) -> None:
        next(behaviours)(connection, request)

    return behave

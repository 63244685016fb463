"""A KServe v2 server whose models give the one BYTES element that they are given back, from its end to its start."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

from tests.servers.raw import RawServer, answer, raw_server


def sent(request: bytes) -> tuple[dict[str, Any], bytes]:
    """What a request says of its one input, and the bytes behind the JSON."""
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"inference-h"))
    (described,) = json.loads(body[:length])["inputs"]
    return described, body[length:]


def packed(*elements: bytes) -> bytes:
    """Elements of BYTES, each behind its length."""
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)


def binary(name: str, shape: list[int], data: bytes, connection: socket.socket, request: bytes) -> None:
    """Answer with one BYTES output in the binary form."""
    output = {"name": name, "datatype": "BYTES", "shape": shape, "parameters": {"binary_data_size": len(data)}}
    header = json.dumps({"outputs": [output]}).encode()
    more = f"Inference-Header-Content-Length: {len(header)}\r\n"
    answer(header + data, kind="application/octet-stream", more=more)(connection, request)


@contextlib.contextmanager
def reversing(name: str) -> Iterator[RawServer]:
    """Serve until the block ends; the output is called so."""

    def behave(connection: socket.socket, request: bytes) -> None:
        described, data = sent(request)
        binary(name, described["shape"], packed(data[:3:-1]), connection, request)

    with raw_server(behave) as server:
        yield server

"""Stand-ins on loopback for servers as their documents have them: what they take, refuse and answer."""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
import http
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.servers.heard import Heard, heard
from tests.servers.raw import RawServer, answer, raw_server

VECTOR = [0.25, -0.5]
"""What every stand-in makes of a text."""


@dataclass(frozen=True)
class Reply:
    """An answer: a status and a body, which is JSON unless it is bytes."""

    status: int
    body: Any
    kind: str = "application/json"
    more: str = ""


Answering = Callable[[Heard], Reply]


@dataclass(frozen=True)
class StandIn:
    """A server: what answers each `METHOD /path?query`, what all other paths, and what who is not let in gets."""

    routes: Mapping[str, Answering]
    missing: Reply | Answering
    admits: Callable[[Heard], bool] = field(default=lambda _: True)
    refusal: Reply = field(default_factory=lambda: Reply(401, b""))

    def reply(self, request: bytes) -> Reply:
        """What the server answers."""
        asked, method = heard(request), request.split(b" ", 1)[0].decode()
        if not self.admits(asked):
            return self.refusal
        said = self.routes.get(f"{method} {asked.path}", self.missing)
        return said if isinstance(said, Reply) else said(asked)


@contextlib.contextmanager
def serving(stand_in: StandIn) -> Iterator[RawServer]:
    """Serve on a free loopback port until the block ends."""

    def behave(connection: socket.socket, request: bytes) -> None:
        said = stand_in.reply(request)
        body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        status = f"{said.status} {http.HTTPStatus(said.status).phrase}"
        answer(body, status=status, kind=said.kind, more=said.more)(connection, request)

    with raw_server(behave) as server:
        yield server


def with_header(name: str, value: str) -> Callable[[Heard], bool]:
    """Whether a request has this header."""
    return lambda asked: asked.headers.get(name) == value


def embedded(asked: Heard, **more: Any) -> Reply:
    """OpenAI's answer to a request for embeddings: floats, or base64 where that is asked for."""
    request = json.loads(asked.body)
    packed = base64.b64encode(np.array(VECTOR, "<f4").tobytes()).decode()
    vector = packed if request.get("encoding_format") == "base64" else VECTOR
    data = [{"object": "embedding", "index": row, "embedding": vector} for row in range(len(request["input"]))]
    usage = {"prompt_tokens": 6, "total_tokens": 6}
    return Reply(200, {"object": "list", "data": data, "model": request["model"], "usage": usage, **more})


def form_of(asked: Heard) -> dict[str, bytes]:
    """The fields of a multipart form."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + asked.body, policy=email.policy.HTTP).iter_parts()
    named = ((str(part.get_param("name", header="content-disposition")), part) for part in parts)
    return {name: bytes(part.get_payload(decode=True)) for name, part in named}


_DTYPES = {"FP32": "<f4", "INT64": "<i8"}


def tensors_of(asked: Heard) -> tuple[dict[str, Any], dict[str, Any]]:
    """A KServe v2 request: its JSON, and each input as an array, or as the bytes that came for BYTES."""
    size = int(asked.headers.get("inference-header-content-length", len(asked.body)))
    head, rest = json.loads(asked.body[:size]), asked.body[size:]
    tensors: dict[str, Any] = {}
    for tensor in head["inputs"]:
        name, shape, dtype = tensor["name"], tensor["shape"], _DTYPES.get(tensor["datatype"])
        if "data" in tensor:
            tensors[name] = np.array(tensor["data"], dtype).reshape(shape)
            continue
        length = tensor["parameters"]["binary_data_size"]
        raw, rest = rest[:length], rest[length:]
        tensors[name] = raw if dtype is None else np.frombuffer(raw, dtype).reshape(shape)
    return head, tensors


def inferred(head: dict[str, Any], name: str, datatype: str, values: np.ndarray[Any, Any], **more: Any) -> Reply:
    """A KServe v2 answer of one output: in bytes where the request asks for them, and else in JSON."""
    wanted: dict[str, Any] = next((output for output in head.get("outputs", ()) if output["name"] == name), {})
    output: dict[str, Any] = {"name": name, "shape": list(values.shape), "datatype": datatype}
    if not wanted.get("parameters", {}).get("binary_data"):
        return Reply(200, {**more, "outputs": [{**output, "data": values.ravel().tolist()}]})
    raw = values.astype(_DTYPES[datatype]).tobytes()
    text = json.dumps({**more, "outputs": [{**output, "parameters": {"binary_data_size": len(raw)}}]}).encode()
    framing = f"Inference-Header-Content-Length: {len(text)}\r\n"
    return Reply(200, text + raw, kind="application/octet-stream", more=framing)

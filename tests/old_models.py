"""Models with the old operators, runs of them by the old library, and what both libraries put on the wire."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

from onnxhybrid.model.old_operators import DOMAIN
from tests.servers import old_wheel
from tests.servers.raw import Behaviour

STRING, BYTES, FLOAT = TensorProto.STRING, TensorProto.UINT8, TensorProto.FLOAT
TOKEN = "token-0123456789abcdef"
FILE = np.frombuffer(b"RIFF\0\r\n--data", np.uint8)

Tensor = tuple[str, int, Any]  # name, element type, shape
AUTH: Tensor = ("auth_token", STRING, [1])


def text(value: str) -> np.ndarray[Any, Any]:
    """A string tensor of shape [1]."""
    return np.array([value], object)


def old_node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "invoker", **attributes: Any
) -> NodeProto:
    """One old operator."""
    return helper.make_node(operator, inputs, outputs, name=name, domain=DOMAIN, **attributes)


def old_model(operator: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], **attributes: Any) -> ModelProto:
    """A model of one old operator."""
    node = old_node(operator, [name for name, *_ in inputs], [name for name, *_ in outputs], **attributes)
    return of_nodes([node], inputs, outputs)


def of_nodes(
    nodes: Sequence[NodeProto], inputs: Sequence[Tensor], outputs: Sequence[Tensor], **more: Any
) -> ModelProto:
    """A model of these nodes."""
    taken, given = ([helper.make_tensor_value_info(*tensor) for tensor in tensors] for tensors in (inputs, outputs))
    graph = helper.make_graph(list(nodes), "old", taken, given, **more)
    imports = [helper.make_opsetid(DOMAIN, 1), helper.make_opsetid("", 17)]
    return helper.make_model(graph, ir_version=8, opset_imports=imports)


def run_old(model: ModelProto, feeds: Mapping[str, Any], *, optimized: bool = False) -> list[Any]:
    """What the real old library makes of a model."""
    if missing := old_wheel.unsupported():
        pytest.skip(missing)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.register_custom_ops_library(str(old_wheel.library()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(feeds)))


@dataclass(frozen=True)
class Sent:
    """A request, without what two clients may say differently: order of headers, boundaries, the client's name."""

    line: str
    token: tuple[str, str]
    parts: tuple[tuple[str, str, bytes], ...] = ()
    tensors: tuple[tuple[str, str, tuple[int, ...], bytes], ...] = ()
    outputs: tuple[str, ...] = ()
    body: bytes = field(default=b"")


def sent(request: bytes) -> Sent:
    """Read a request that a server heard."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in lines)}
    token = next(((name, headers[name]) for name in ("authorization", "api-key") if headers.get(name)), ("", ""))
    if token[1] == "Bearer":
        token = ("", "")  # the old library sends the word without a token
    if boundary := re.search(r"boundary=(.+)", headers.get("content-type", "")):
        return Sent(line, token, parts=_parts(body, boundary[1].encode()))
    if length := headers.get("inference-header-content-length"):
        tensors, outputs = _tensors(body[: int(length)], body[int(length) :])
        return Sent(line, token, tensors=tensors, outputs=outputs)
    return Sent(line, token, body=body)


def _parts(body: bytes, boundary: bytes) -> tuple[tuple[str, str, bytes], ...]:
    """Name, file name and content of each part; the old library's second copy of the model is left out."""
    parts = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        names = dict(re.findall(r'(name|filename)="([^"]*)"', head.decode()))
        parts.append((names["name"], names.get("filename", ""), content))
    doubled = any(name == "model" for name, *_ in parts)
    return tuple(part for part in parts if not (doubled and part[0] == "model_name"))


def _tensors(head: bytes, data: bytes) -> tuple[tuple[tuple[str, str, tuple[int, ...], bytes], ...], tuple[str, ...]]:
    described, tensors = json.loads(head), []
    for tensor in described["inputs"]:
        size = tensor["parameters"]["binary_data_size"]
        tensors.append((tensor["name"], tensor["datatype"], tuple(tensor["shape"]), data[:size]))
        data = data[size:]
    return tuple(tensors), tuple(output["name"] for output in described["outputs"])


def echo(connection: socket.socket, request: bytes) -> None:
    """Answer as Triton does: each output is the first input."""
    message = sent(request)
    _, datatype, shape, data = message.tensors[0]
    described = {"datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}}
    head = json.dumps(
        {"model_name": "m", "outputs": [{"name": name, **described} for name in message.outputs]}
    ).encode()
    body = head + data * len(message.outputs)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        b"Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (len(head), len(body)) + body
    )


ECHO: Behaviour = echo


def constant_text(name: str, value: str) -> TensorProto:
    """A string initializer of shape [1]."""
    return TensorProto(name=name, data_type=STRING, dims=[1], string_data=[value.encode()])

"""Small models for the endpoint's tests, and a client that sends what it is told to."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxhybrid.endpoint.tensors import DATATYPES
from onnxhybrid.model import Model
from onnxhybrid.model.dtypes import elem_type, numpy_dtype

Array = npt.NDArray[Any]


def identity(datatype: str) -> Model:
    """A model that gives its input `x` back as `y`: any shape, of a datatype of KServe v2."""
    number = elem_type(DATATYPES[datatype].dtype)
    tensors = [helper.make_tensor_value_info(name, number, None) for name in ("x", "y")]
    return _model([helper.make_node("Identity", ["x"], ["y"])], tensors[:1], tensors[1:])


def adder() -> Model:
    """`sum` = a + b and `product` = a * b, float32 of shape [n, 3]; b may be left out and is then 10."""
    tensor = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "ab"}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("sum", "product")]
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Mul", ["a", "b"], ["product"])]
    default = numpy_helper.from_array(np.full((1, 3), 10, np.float32), "b")
    return _model(nodes, list(tensor.values()), outputs, [default])


def reshaper() -> Model:
    """`y` = x reshaped to `shape`: it fails at run time when the sizes do not fit."""
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("shape", TensorProto.INT64, ["rank"]),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return _model([helper.make_node("Reshape", ["x", "shape"], ["y"])], inputs, [output])


def listing() -> Model:
    """A model whose output is a sequence, for which KServe v2 has no form."""
    tensor = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    sequence = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    return _model([helper.make_node("SequenceConstruct", ["x"], ["y"])], [tensor], [sequence])


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], initializers: list[Any] | None = None) -> Model:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    proto: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return Model.from_proto(proto)


def examples(datatype: str) -> Array:
    """Six values of a datatype, its extremes among them."""
    dtype = numpy_dtype(DATATYPES[datatype].dtype)
    if datatype == "BYTES":
        return np.array(["", "a", "é", "日本", "\0", "a\nb"], object)
    if datatype == "BOOL":
        return np.array([True, False, False, True, True, False])
    if "INT" in datatype:
        limits = np.iinfo(dtype)
        return np.array([limits.min, limits.max, 0, 1, 2, 3], dtype)
    return np.array([0.0, -0.0, 1.0, -2.5, 1 / 3, 240.0]).astype(dtype)


def post(url: str, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any, bytes]:
    """POST a body (a dict is sent as JSON): the status, the JSON of the answer, and the binary data behind it."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    return request(url, "POST", path, data, headers)


def request(
    url: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, bytes]:
    """Send one request: the status, the JSON of the answer (None when it is empty), and the binary data behind it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        length = int(answer.headers.get("Inference-Header-Content-Length", len(content)))
        return answer.status, json.loads(content[:length]) if content else None, content[length:]
    finally:
        connection.close()

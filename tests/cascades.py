"""Cascades whose rows say themselves what local answers, how sure it is, and what the remote answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

import onnxhybrid as oh

Array = npt.NDArray[Any]
Columns = tuple[Array, Array, Array]

THRESHOLD = oh.Input("threshold", default=0.5)


def _model(nodes: Sequence[NodeProto], outputs: Sequence[ValueInfoProto], name: str, columns: int) -> oh.Model:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", columns])]
    constants = [
        *(numpy_helper.from_array(np.array(place), f"at_{place}") for place in range(columns)),
    ]
    graph = helper.make_graph(list(nodes), name, inputs, list(outputs), constants)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


def _column(place: int, output: str) -> NodeProto:
    return helper.make_node("Gather", ["x", f"at_{place}"], [output], axis=1)


def _label(place: int) -> list[NodeProto]:
    return [_column(place, "number"), helper.make_node("Cast", ["number"], ["label"], to=TensorProto.INT64)]


LABEL = helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])


def local(more: int = 0) -> oh.Model:
    """X [n, 3 + more] -> label (column 0), score (column 1), and a further score `other` (column 3)."""
    nodes = [*_label(0), _column(1, "score"), *([_column(3, "other")] if more else [])]
    names = ["score", "other"][: 1 + more]
    scores = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in names]
    return _model(nodes, [LABEL, *scores], "local", 3 + more)


def remote(more: int = 0) -> oh.Model:
    """X [n, 3 + more] -> label (column 2)."""
    return _model(_label(2), [LABEL], "remote", 3 + more)


def cascade(
    judge: oh.Model | None = None, *, rows: bool = True, asked: oh.Model | None = None, **options: Any
) -> oh.Model:
    """The cascade of both, or of local and `asked`; without a judge it keeps scores of the threshold and above."""
    more = 1 if judge is not None and any(spec.name == "other" for spec in judge.inputs) else 0
    judge = judge if judge is not None else oh.judge.value("score") >= THRESHOLD
    return oh.cascade(local(more), asked if asked is not None else remote(more), accept=judge, rows=rows, **options)


def table(locally: Array, scores: Array, remotely: Array, *more: Array) -> Array:
    """The rows of such a cascade, float32 [n, 3 + more]."""
    return np.stack([locally, scores, remotely, *more], axis=1).astype(np.float32)


def drawn(rows: int, seed: int, *, local_right: float = 0.8, remote_right: float = 0.95) -> tuple[Array, Array]:
    """Rows and labels, drawn anew by each seed: local is right the more often, the larger its score."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, rows)
    scores = random.random(rows)
    locally = np.where(random.random(rows) < local_right + (1 - local_right) * (2 * scores - 1), labels, labels + 5)
    remotely = np.where(random.random(rows) < remote_right, labels, labels + 7)
    return table(locally, scores, remotely), labels

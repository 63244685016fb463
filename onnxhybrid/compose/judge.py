"""Judges: Models with one bool output that say whether an answer is good enough, made of standard ONNX operators.

`oh.judge.max_probability("probs") >= 0.8` is a judge. A threshold may be an `oh.Input`, so that it can be tuned at
run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Input, Model
from onnxhybrid.model.tensor_spec import TensorSpec

_OPSET = 13
_IR = 7


@dataclass(frozen=True, eq=False)
class Score:
    """A float32 number for each row of a local output; compare it with a threshold to get a judge.

    `score >= t`, `score > t`, `score <= t` and `score < t` take a number, or an `oh.Input`, which is a float32 input
    of shape [1].
    """

    tensor: str
    nodes: tuple[NodeProto, ...]
    constants: tuple[TensorProto, ...]

    def __ge__(self, threshold: float | Input) -> Model:
        return _judge(self, "GreaterOrEqual", threshold)

    def __gt__(self, threshold: float | Input) -> Model:
        return _judge(self, "Greater", threshold)

    def __le__(self, threshold: float | Input) -> Model:
        return _judge(self, "LessOrEqual", threshold)

    def __lt__(self, threshold: float | Input) -> Model:
        return _judge(self, "Less", threshold)


def max_probability(tensor: str, *, softmax: bool = False) -> Score:
    """The largest probability of each row: float32, the tensor's shape without its last axis.

    Args:
        tensor: the local output of probabilities, float32 (a cascade casts other float types); the last axis is the
            classes'.
        softmax: whether it holds logits, which are turned into probabilities first.
    """
    if not isinstance(tensor, str) or not tensor:
        raise ComposeError("OH208", f"a judge reads a local output by its name, not {tensor!r}")
    source = "probabilities" if softmax else tensor
    nodes = [
        *([helper.make_node("Softmax", [tensor], [source], name="softmax", axis=-1)] if softmax else []),
        helper.make_node("TopK", [source, "one"], ["largest", "class"], name="largest", axis=-1),
        helper.make_node("Squeeze", ["largest", "last"], ["score"], name="score"),
    ]
    constants = (_constant("one", [1]), _constant("last", [-1]))
    return Score(tensor, tuple(nodes), constants)


def _judge(score: Score, operator: str, threshold: float | Input) -> Model:
    """The judge `score <operator> threshold`: a bool for each row."""
    limit = threshold if isinstance(threshold, Input) else Input("limit", threshold)
    name = limit.name or "threshold"
    if name in {*(tensor for node in score.nodes for tensor in (*node.input, *node.output)), "accepted"}:
        raise ComposeError("OH208", f"a threshold cannot be called {name!r} here; give its oh.Input another name")
    inputs = [TensorSpec(score.tensor, "float32", None).to_value_info()]
    if limit is threshold:
        inputs.append(TensorSpec(name, "float32", (1,)).to_value_info())
    constants = [*score.constants, _constant("scalar", [])]
    if limit.default is not None:
        constants.append(numpy_helper.from_array(_number(limit.default), name))
    nodes = [
        *score.nodes,
        helper.make_node("Reshape", [name, "scalar"], ["one_limit"], name="threshold"),
        helper.make_node(operator, ["score", "one_limit"], ["accepted"], name="compare"),
    ]
    outputs = [TensorSpec("accepted", "bool", None).to_value_info()]
    graph = helper.make_graph(nodes, "judge", inputs, outputs, constants)
    return Model(helper.make_model(graph, ir_version=_IR, opset_imports=[helper.make_opsetid("", _OPSET)]), {})


def _number(value: object) -> npt.NDArray[Any]:
    """A threshold as a float32 array of shape [1].

    Raises:
        ComposeError: OH208, it is no finite number.
    """
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value):
        return np.array([value], np.float32)
    raise ComposeError("OH208", f"a threshold is a finite number or an oh.Input, not {value!r}")


def _constant(name: str, values: list[int]) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)

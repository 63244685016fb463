"""Judges: Models with one bool output that say whether an answer is good enough, made of standard ONNX operators.

`oh.judge.max_probability("probs") >= 0.8` is a judge. A threshold may be an `oh.Input`, so that it can be tuned at run
time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper, numpy_helper

from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Input, Model
from onnxhybrid.model.editing import SCORE
from onnxhybrid.model.naming import free_name, rename_tensors, tensor_names
from onnxhybrid.model.tensor_spec import TensorSpec

_OPSET = 14
_IR = 7


@dataclass(frozen=True, eq=False)
class Score:
    """A float32 number for each row of a local output; compare it with a threshold to get a judge.

    `score >= t`, `score > t`, `score <= t` and `score < t` take a number, or an `oh.Input`, which is a float32 input of
    shape [1]. A row that holds NaN compares false, whatever the threshold.

    Attributes:
        tensor: the local output's name.
        nodes: from `input` (the local output) to `score` (one number a row); names in them are the judge's own.
    """

    tensor: str
    nodes: tuple[NodeProto, ...]

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
    first = _node("Softmax", ["input"], "probabilities", axis=-1)
    source = first.output[0] if softmax else "input"
    rows = _node("Flatten", [source], "rows", axis=-1)
    return Score(tensor, (*([first] if softmax else []), rows, *_LARGEST, *_BY_ROW))


def _node(operator: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [output], name=output, **attributes)


_CONSTANTS: dict[str, npt.NDArray[Any]] = {
    "begin": np.array([0]),
    "one": np.array([1]),
    "end": np.array([2]),
    "last": np.array([-1]),
    "zero": np.array(0, np.float32),
    "scalar": np.array([], np.int64),
}

# rows float32[n, c] -> largest float32[n, 1]. ONNX Runtime before 1.31 divides by the number of rows in TopK,
# so a row is added first and dropped afterwards.
_LARGEST = (
    _node("Shape", ["rows"], "rows_shape"),
    _node("Slice", ["rows_shape", "one", "end"], "width"),
    _node("Concat", ["one", "width"], "one_row", axis=0),
    _node("Expand", ["zero", "one_row"], "added"),
    _node("Concat", ["rows", "added"], "more_rows", axis=0),
    helper.make_node("TopK", ["more_rows", "one"], ["more_largest", "class"], name="more_largest", axis=-1),
    _node("Slice", ["more_largest", "begin", "last"], "largest"),
)

# largest float32[n, 1] -> score, in the input's shape without its last axis, NaN where a row holds NaN: the operators
# that find the largest element do not agree on what it is then.
_BY_ROW = (
    _node("ReduceSum", ["rows", "one"], "sum", keepdims=1),
    _node("IsNaN", ["sum"], "is_nan"),
    _node("Where", ["is_nan", "sum", "largest"], "column"),
    _node("Shape", ["input"], "shape"),
    _node("Slice", ["shape", "begin", "last"], "lead"),
    _node("Reshape", ["column", "lead"], "score", allowzero=1),
)


def _judge(score: Score, operator: str, threshold: float | Input) -> Model:
    """The judge `score <operator> threshold`: a bool for each row."""
    given = isinstance(threshold, Input)
    limit = threshold if isinstance(threshold, Input) else Input("threshold", float(_number(threshold)[0]))
    inputs = [TensorSpec("input", "float32", None), *([TensorSpec("limit", "float32", (1,))] if given else [])]
    constants = dict(_CONSTANTS)
    if limit.default is not None:
        constants["limit"] = _number(limit.default)
    compared = (_node("Reshape", ["limit", "scalar"], "one_limit"), _node(operator, ["score", "one_limit"], "accepted"))
    graph = helper.make_graph(
        [*score.nodes, *compared],
        "judge",
        [spec.to_value_info() for spec in inputs],
        [TensorSpec("accepted", "bool", None).to_value_info()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    threshold_name = (limit.name or "threshold") if given else None
    names = _public_names(tensor_names(graph), score.tensor, threshold_name)
    rename_tensors(graph, names)
    model = Model(helper.make_model(graph, ir_version=_IR, opset_imports=[helper.make_opsetid("", _OPSET)]), {})
    return model.with_metadata({SCORE: names["score"]})


def _public_names(names: set[str], tensor: str, threshold: str | None) -> dict[str, str]:
    """What the judge's own names become: those that can be seen their public ones, the others out of their way."""
    if threshold == tensor:
        raise ComposeError("OH208", f"the threshold and the local output are both called {tensor!r}; rename one")
    mapping = {"input": tensor, **({"limit": threshold} if threshold else {})}
    taken = set(mapping.values())
    for name in ("accepted", *sorted(names - set(mapping) - {"accepted"})):
        mapping[name] = free_name(name if name == "accepted" else f"judge/{name}", taken)
        taken.add(mapping[name])
    return mapping


def _number(value: object) -> npt.NDArray[Any]:
    """A threshold as a float32 array of shape [1].

    Raises:
        ComposeError: OH208, it is no finite number.
    """
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value):
        return np.array([value], np.float32)
    raise ComposeError("OH208", f"a threshold is a finite number or an oh.Input, not {value!r}")

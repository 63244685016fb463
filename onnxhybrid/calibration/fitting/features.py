"""The features of a row as steps of a graph.

Of the probabilities: the largest ones in order, and their logarithms; the margin between the first two; the entropy;
which class is answered. Of a further tensor: its numbers, or of a wide one its sum, its norm and how many are not 0,
and what a second opinion says (`opinion`). Only operators that mean the same in every opset from 14 on are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from onnxhybrid.calibration.fitting.layout import Classes, Further
from onnxhybrid.compose.judge.rows import Scoring
from onnxhybrid.model import TensorSpec

Array = npt.NDArray[Any]

TOP = 10
"""How many of the largest probabilities are features."""

_LEAST = 1e-6
"""The least probability whose logarithm is a feature: below, float32 of a softmax tells nothing."""


class Columns(Scoring):
    """Steps on columns: tensors of the shape [n, m]."""

    def __init__(self, inputs: Sequence[TensorSpec]) -> None:
        super().__init__("float32", inputs)

    def rows(self, tensor: str, width: int) -> str:
        """Any tensor as rows of float32."""
        return self("Reshape", self.cast(tensor), self.constant([-1, width]))

    def part(self, tensor: str, start: int, end: int) -> str:
        """Some of the columns."""
        return self("Slice", tensor, self.constant([start]), self.constant([end]), self.constant([1]))

    def sums(self, tensor: str) -> str:
        """The sum of each row, as a column."""
        return self.sum(tensor, [1], keep=True)

    def ranked(self, tensor: str, count: int) -> tuple[str, str]:
        """The largest numbers of each row in order, and their places.

        TopK divides by the number of rows in ONNX Runtime before 1.31: a row is added first, and dropped afterwards.
        """
        padded = self("Pad", tensor, self.constant([0, 0, 1, 0]))
        values, places = self.name("judge/largest"), self.name("judge/places")
        self._nodes.append(helper.make_node("TopK", [padded, self.constant([count])], [values, places], name=values))
        first, last = self.constant([0]), self.constant([-1])
        return self("Slice", values, first, last, first), self("Slice", places, first, last, first)


@dataclass(frozen=True)
class Read:
    """What was read of a row.

    Attributes:
        largest: the largest probabilities in order.
        features: all features.
        chosen, second: the classes with the largest probability and the second largest.
        known: 0 for a row of finite numbers, NaN for another.
    """

    largest: str
    features: list[str]
    chosen: str
    second: str
    known: str


def read(steps: Columns, classes: Classes, further: Sequence[Further], names: Sequence[str]) -> Read:
    """What is read of a row without second opinions.

    Args:
        steps: the graph.
        classes, further: what is read.
        names: how the tensors are called in the graph: that of the classes first.
    """
    name, *others = names
    given = steps.rows(name, classes.width)
    probabilities = _probabilities(steps, classes, given)
    largest, places = steps.ranked(probabilities, min(TOP, classes.count))
    chosen, second = steps.part(places, 0, 1), steps.part(places, 1, 2)
    logarithms = _logarithm(steps, largest)
    entropy = steps("Neg", steps.sums(steps("Mul", probabilities, _logarithm(steps, probabilities))))
    answered = steps.cast(steps("Equal", chosen, steps.constant([list(classes.answered)])))
    features = [largest, logarithms, _margin(steps, largest), _margin(steps, logarithms), entropy, answered]
    sums = [steps.sums(probabilities)]
    for tensor, other in zip(further, others, strict=True):
        found, total = _of_further(steps, tensor, steps.rows(other, tensor.width))
        features += found
        sums.append(total)
    known = steps("Mul", sums[0] if len(sums) == 1 else steps("Sum", *sums), steps.number(0))
    return Read(largest, features, chosen, second, known)


def _probabilities(steps: Columns, classes: Classes, rows: str) -> str:
    if classes.width > 1:
        return steps("Softmax", rows, axis=1) if classes.logits else rows
    second = steps("Sigmoid", rows) if classes.logits else rows
    return steps("Concat", steps("Sub", steps.number(1), second), second, axis=1)


def _logarithm(steps: Columns, probabilities: str) -> str:
    return steps("Log", steps("Max", probabilities, steps.number(_LEAST)))


def _margin(steps: Columns, ordered: str) -> str:
    return steps("Sub", steps.part(ordered, 0, 1), steps.part(ordered, 1, 2))


def _of_further(steps: Columns, tensor: Further, rows: str) -> tuple[list[str], str]:
    """The features of a further tensor, and the sum of each row."""
    total = steps.sums(rows)
    if not tensor.wide:
        return [rows, _compressed(steps, rows)], total
    norm = steps("Sqrt", steps.sums(steps("Mul", rows, rows)))
    present = steps.sums(steps.cast(steps("Not", steps("Equal", rows, steps.number(0)))))
    return [total, _compressed(steps, total), norm, _compressed(steps, norm), present], total


def _compressed(steps: Columns, rows: str) -> str:
    """The logarithm of how far a number is from 0, with its sign."""
    return steps("Mul", steps("Sign", rows), steps("Log", steps("Add", steps("Abs", rows), steps.number(1))))


def represented(steps: Columns, tensor: Further, name: str) -> str:
    """A wide tensor as the numbers that a second opinion is formed of.

    Counts are compressed, weighted by how rare they are and brought to length 1; other numbers to the same scale.
    """
    rows = steps.rows(name, tensor.width)
    if tensor.weights is None:
        moved = steps("Sub", rows, steps.number(_list(tensor.center)))
        return steps("Div", moved, steps.number(_list(tensor.scale)))
    weighted = steps("Mul", _compressed(steps, rows), steps.number(_list(tensor.weights)))
    norm = steps("Sqrt", steps.sums(steps("Mul", weighted, weighted)))
    return steps("Div", weighted, steps("Max", norm, steps.number(float(np.finfo(np.float32).tiny))))


def _list(values: Array | None) -> list[float]:
    return [] if values is None else values.tolist()


def of_opinion(steps: Columns, decisions: str, row: Read) -> list[str]:
    """What a second opinion, a number for each class, says of the class that local answers.

    The number for this class, that for the class that local has second, and the largest of the others; whether it is
    the largest of all, and by how much.
    """
    ordered, places = steps.ranked(decisions, 2)
    own, other = (steps("GatherElements", decisions, place, axis=1) for place in (row.chosen, row.second))
    agrees = steps("Equal", steps.part(places, 0, 1), row.chosen)
    rival = steps("Where", agrees, steps.part(ordered, 1, 2), steps.part(ordered, 0, 1))
    return [own, other, rival, steps("Sub", own, rival), steps.cast(agrees)]


def evaluated(steps: Columns, output: str, feeds: Mapping[str, Array]) -> Array:
    """What a graph gives of its inputs, in ONNX Runtime."""
    import onnxruntime

    width = TensorSpec(output, "float32", None)
    proto = steps.model([width]).to_proto()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = {argument.name for argument in session.get_inputs()}
    found: Array = session.run(None, {name: value for name, value in feeds.items() if name in wanted})[0]
    return found

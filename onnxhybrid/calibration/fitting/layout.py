"""What is read of the local model, and how it lies there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.model import TensorSpec

Array = npt.NDArray[Any]

NARROW = 16
"""The numbers of a row up to which a tensor's numbers are features as they stand."""

MOST_CLASSES = 64
"""The classes of which it is a feature that local's answer is this one: those that are answered most often."""

FEWEST_ANSWERS = 10
"""The rows that such a class was the answer for."""

_SUM = 1e-3
"""How far the sum of a row's probabilities may be from 1."""


@dataclass(frozen=True)
class Classes:
    """The tensor of the classes' probabilities or logits.

    Attributes:
        spec: the tensor.
        width: the numbers of a row; 1 is a number for the second of two classes.
        logits: whether they are logits.
        answered: the classes of which it is a feature that local's answer is this one.
    """

    spec: TensorSpec
    width: int
    logits: bool
    answered: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of classes."""
        return max(self.width, 2)


@dataclass(frozen=True)
class Further:
    """A further tensor.

    Attributes:
        spec: the tensor.
        width: the numbers of a row.
        weights: of a wide tensor of counts, that of each column by how rare it is: [width]; else None.
        center, scale: of another wide tensor, the mean and the deviation of each column, [width]; else None.
    """

    spec: TensorSpec
    width: int
    weights: Array | None = None
    center: Array | None = None
    scale: Array | None = None

    @property
    def wide(self) -> bool:
        """Whether a second opinion is formed of it."""
        return self.width > NARROW


def classes_of(name: str, values: Array) -> Classes:
    """How the classes lie in a tensor of finite numbers: [n, width]."""
    logits = bool(values.size) and not _probable(values)
    middle = 0.0 if logits else 0.5
    answers = values.argmax(1) if values.shape[1] > 1 else (values[:, 0] > middle).astype(np.int64)
    found, counts = np.unique(answers, return_counts=True)
    often = found[np.argsort(-counts, kind="stable")][:MOST_CLASSES]
    answered = tuple(int(each) for each in often if (answers == each).sum() >= FEWEST_ANSWERS) or (0,)
    return Classes(TensorSpec(name, "float32", None), values.shape[1], logits, answered)


def _probable(values: Array) -> bool:
    inside = bool((values >= -_SUM).all() and (values <= 1 + _SUM).all())
    return inside and (values.shape[1] == 1 or bool((np.abs(values.sum(1) - 1) <= _SUM).all()))


def further_of(name: str, values: Array, dtype: str) -> Further:
    """How a further tensor of finite numbers lies: [n, width]."""
    spec, width = TensorSpec(name, dtype, None), values.shape[1]
    if width <= NARROW:
        return Further(spec, width)
    rows = max(len(values), 1)
    if (values >= 0).all() and np.count_nonzero(values) < values.size / 2:
        rare = np.log((1 + rows) / (1 + np.count_nonzero(values, axis=0))) + 1
        return Further(spec, width, weights=rare.astype(np.float32))
    deviation = values.std(0)
    scale = np.where(deviation > 0, deviation, 1) * np.sqrt(width)
    return Further(spec, width, center=values.mean(0).astype(np.float32), scale=scale.astype(np.float32))

"""The steps of judges on the rows of a tensor.

Only operators that mean the same in every opset from 14 on are used, so that a judge can be composed with anything.
A row that cannot be judged has the score NaN, which every comparison refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxhybrid.compose.build.steps import Steps
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import elem_type, numpy_dtype


class Scoring(Steps):
    """The nodes of a judge that is being built.

    Args:
        dtype: the float type that scores are computed in.
        inputs: the judge's inputs.
    """

    def __init__(self, dtype: str, inputs: Sequence[TensorSpec]) -> None:
        super().__init__("judge", inputs)
        self.dtype = dtype

    def number(self, value: float | Sequence[float]) -> str:
        """A constant scalar or list of the float type that scores are computed in."""
        return self.constant(value, numpy_dtype(self.dtype))

    def cast(self, tensor: str) -> str:
        """The tensor in the float type that scores are computed in."""
        return self("Cast", tensor, to=elem_type(self.dtype))

    def sum(self, tensor: str, axes: Sequence[int], *, keep: bool = False) -> str:
        """The sums along axes; of all elements where none are named."""
        return self("ReduceSum", tensor, *([self.constant(axes)] if axes else []), keepdims=int(keep))

    def reduced(self, operator: str, tensor: str, axes: Sequence[int], *, keep: bool = False) -> str:
        """A reduction along axes, as opsets before 18 have it; of all elements where none are named.

        Axes are counted from the front: ONNX Runtime before 1.31 takes negative ones wrongly where there are no rows.
        """
        some: dict[str, Any] = {"axes": axes} if axes else {}
        return self(operator, tensor, keepdims=int(keep), **some)

    def total(self, rows: str) -> str:
        """The sum of each row: [n, m] -> [n]."""
        return self("ReduceSum", rows, self.constant([1]), keepdims=0)

    def all_of(self, verdicts: str) -> str:
        """One bool: whether all hold; where there are none they do."""
        product = self("ReduceProd", self("Cast", verdicts, to=TensorProto.INT32), keepdims=0)
        return self("Cast", product, to=TensorProto.BOOL)

    def nan_unless(self, ok: str) -> str:
        """0 for each row of which every element is ok, NaN for the others: bool[n, m] -> [n]."""
        return self.total(self("Where", ok, self.number(0), self.number(np.nan)))

    def top(self, rows: str, count: int, *, largest: bool = True) -> str:
        """The largest (or smallest) elements of each row, in order: [n, m] -> [n, count]; infinite where m < count.

        TopK fails where a row has too few elements, and divides by the number of rows in ONNX Runtime before 1.31:
        so elements and a row are added first, and the row is dropped afterwards.
        """
        worst = self.number(-np.inf if largest else np.inf)
        padded = self("Pad", rows, self.constant([0, 0, 1, count]), worst)
        chosen = self("TopK", padded, self.constant([count]), outputs=2, axis=-1, largest=int(largest))
        return self("Slice", chosen, self.constant([0]), self.constant([-1]))

    def column(self, rows: str, number: int) -> str:
        """One element of each row: [n, m] -> [n]."""
        return self("Gather", rows, self.constant(number), axis=1)


def classes(steps: Scoring, tensor: str) -> tuple[str, str]:
    """The scores of classes as rows, [n, …, c] -> [n·…, c], and the shape in front of the classes.

    A tensor of one axis is one row, a scalar is a row of one class.
    """
    wide = steps("Expand", tensor, steps.constant([1, 1]))
    lead = steps("Slice", steps("Shape", wide), steps.constant([0]), steps.constant([-1]))
    return steps("Flatten", wide, axis=-1), lead


def by_sample(steps: Scoring, scores: str, lead: str) -> str:
    """A score for each row of classes as the scores of each sample: [n·…] -> [n, m]."""
    return steps("Flatten", steps("Reshape", scores, lead, allowzero=1), axis=1)


def flat(steps: Scoring, tensor: str) -> str:
    """Any tensor as the numbers of each sample: [n, …] -> [n, m]; a scalar is one sample."""
    return steps("Flatten", steps("Expand", tensor, steps.constant([1])), axis=1)


def probabilities(steps: Scoring, rows: str, softmax: bool) -> tuple[str, str]:
    """Rows of probabilities, and for each row 0, or NaN if it holds anything else.

    Args:
        rows: [n, c].
        softmax: whether they hold logits. There -inf is a class that cannot be, but +inf, or nothing but -inf, has no
            softmax; what a runtime's Softmax makes of those is not relied on.
    """
    finite = steps("Less", steps("Abs", rows), steps.number(np.inf))
    if not softmax:
        return steps("Where", finite, rows, steps.number(0)), steps.nan_unless(finite)
    ok = steps("Less", rows, steps.number(np.inf))
    possible = steps.total(steps.cast(finite))
    none = steps("Where", steps("Equal", possible, steps.number(0)), steps.number(np.nan), steps.number(0))
    clean = steps("Where", ok, rows, steps.number(0))
    return steps("Softmax", clean, axis=-1), steps("Add", steps.nan_unless(ok), none)


def worst(steps: Scoring, scores: str, tensor: str, *, largest: bool) -> str:
    """The largest or smallest score of each sample, [n, m] -> [n]; NaN where one is NaN, or `tensor` is empty."""
    known = steps("Not", steps("IsNaN", scores))
    clean = steps("Where", known, scores, steps.number(0))
    found = steps("Add", steps.column(steps.top(clean, 1, largest=largest), 0), steps.nan_unless(known))
    empty = steps("Equal", steps("Size", tensor), steps.constant(0))
    return steps("Add", found, steps("Where", empty, steps.number(np.nan), steps.number(0)))

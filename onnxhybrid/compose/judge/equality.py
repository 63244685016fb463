"""The judge `equals`."""

from __future__ import annotations

import numpy as np

from onnxhybrid.compose.build.steps import OPSET, OPSET_OF_STRINGS
from onnxhybrid.compose.judge.operand import Operand, equal_to
from onnxhybrid.compose.judge.rows import Scoring, flat
from onnxhybrid.compose.judge.score import Score, judge
from onnxhybrid.model import Input, Model

HALF = Operand("float32", np.array([0.5], np.float32))
"""What tells the 1 of something that holds from the 0 of what does not."""


def equals(tensor: str, value: str | int | bool | Input) -> Model:
    """Whether each row of a local output is `value`: a label, a text, a flag. Of several in a row, all have to be.

    Args:
        tensor: the local output, of strings, whole numbers (a cascade casts to int64, which all but uint64 fit) or
            bools.
        value: a string, a whole number or a bool, or an `oh.Input` with a default of one of these.

    Raises:
        ComposeError: OH208, an argument has a value that it cannot have.
    """
    wanted = equal_to(value)

    def scores(steps: Scoring, name: str) -> str:
        return flat(steps, steps.cast(steps("Equal", name, steps.operand(wanted))))

    opset = OPSET_OF_STRINGS if wanted.dtype == "str" else OPSET
    return judge(Score(tensor, wanted.dtype, scores), "Greater", HALF, wanted, opset=opset)

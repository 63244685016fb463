"""The judge `equals`."""

from __future__ import annotations

from onnxhybrid.compose.build.steps import OPSET, OPSET_OF_STRINGS
from onnxhybrid.compose.judge.functions import Judgement
from onnxhybrid.compose.judge.operand import equal_to
from onnxhybrid.compose.judge.score import Score, judge
from onnxhybrid.model import Input, Model


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
    opset = OPSET_OF_STRINGS if wanted.dtype == "str" else OPSET
    return judge(Score(tensor, wanted.dtype, "equals"), Judgement("equals", "Greater"), wanted, opset=opset)

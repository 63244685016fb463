"""A score of a local output, and the judge that comparing it with a threshold makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from onnx import FunctionProto, numpy_helper

from onnxhybrid.compose.build.steps import OPSET, Steps
from onnxhybrid.compose.judge.functions import Judgement
from onnxhybrid.compose.judge.operand import Operand, threshold
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Input, Model, TensorSpec
from onnxhybrid.model.dtypes import numpy_dtype
from onnxhybrid.model.editing import SCORE


class Measure:
    """What is compared with a threshold; the mistakes that Python's precedence and `==` invite are errors."""

    def __eq__(self, other: object) -> NoReturn:
        raise ComposeError("OH208", "a score is compared with >=, >, <= or <; for equality there is judge.equals")

    __ne__ = __eq__
    __hash__ = object.__hash__

    def __and__(self, other: object) -> NoReturn:
        raise ComposeError(
            "OH208", "a score is no judge yet: put each comparison into parentheses, as in (a >= 0.8) & (b <= 0.3)"
        )

    __or__ = __rand__ = __ror__ = __and__

    def __invert__(self) -> NoReturn:
        self.__and__(None)


@dataclass(frozen=True, eq=False)
class Score(Measure):
    """A number for each row of a local output; compare it with a threshold to get a judge.

    `score >= t`, `score > t`, `score <= t` and `score < t` take a number, or an `oh.Input`, which becomes an input of
    the score's dtype and shape [1]. The judge gives a bool for each row. Where a row has several scores, all have to
    hold. A row whose score is NaN is refused, whatever the comparison.

    Attributes:
        tensor: the local output's name.
        reads: the dtype that the judge reads; a cascade casts numbers of other types.
        kind: the kind of score.
        dtype: the float type of the scores and of the threshold.
        more: what the kind reads beside the tensor.
    """

    tensor: str
    reads: str
    kind: str
    dtype: str = "float32"
    more: tuple[Operand, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.tensor, str) or not self.tensor:
            raise ComposeError("OH208", f"a judge reads a local output by its name, not {self.tensor!r}")
        if self.dtype not in ("float32", "float64"):
            raise ComposeError("OH208", f"a score is float32 or float64, not {self.dtype!r}")

    def __ge__(self, limit: float | Input) -> Model:
        return self._compared("GreaterOrEqual", limit)

    def __gt__(self, limit: float | Input) -> Model:
        return self._compared("Greater", limit)

    def __le__(self, limit: float | Input) -> Model:
        return self._compared("LessOrEqual", limit)

    def __lt__(self, limit: float | Input) -> Model:
        return self._compared("Less", limit)

    def _compared(self, operator: str, limit: float | Input) -> Model:
        operand = threshold(limit, self.dtype)
        return judge(self, Judgement(self.kind, operator, dtype=self.dtype), *self.more, operand)


def judge(
    score: Score,
    judgement: Judgement,
    *operands: Operand,
    opset: int = OPSET,
    parts: Sequence[FunctionProto] = (),
    **attributes: str,
) -> Model:
    """The judge that one function makes: a bool for each row.

    Args:
        score: what is judged.
        judgement: how.
        *operands: what the function reads beside the local output, the threshold last.
        opset: the oldest opset that has what it uses.
        parts: the functions that it is made of.
        **attributes: what is said of it beside its inputs.

    Raises:
        ComposeError: OH208, two of the inputs have one name.
    """
    specs = [TensorSpec(score.tensor, score.reads, None), *(operand.spec for operand in operands if operand.spec)]
    if len({spec.name for spec in specs}) < len(specs):
        raise ComposeError("OH208", f"two inputs of the judge would be called {specs[-1].name!r}; rename one")
    steps = Steps("judge", specs)
    accepted = TensorSpec(steps.name("accepted"), "bool", (None,))
    compared = steps.name("judge/score")
    inputs = [
        score.tensor,
        *(operand.name or steps.constant(operand.value, numpy_dtype(operand.dtype)) for operand in operands),
    ]
    reading = judgement.read(*(str(operand) for operand in operands[-1:]), *attributes.values())
    steps.call(judgement.function(opset), inputs, [accepted.name, compared], node=reading, **attributes)
    steps.hold(*parts)
    defaults = [numpy_helper.from_array(o.value, o.name) for o in operands if o.name and o.value is not None]
    return steps.model([accepted], defaults=defaults, opset=opset).with_metadata({SCORE: compared})

"""A score of a local output, and the judge that comparing it with a threshold makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from onnx import numpy_helper

from onnxhybrid.compose.build.steps import OPSET
from onnxhybrid.compose.judge.operand import Operand, threshold
from onnxhybrid.compose.judge.rows import Scoring, worst
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Input, Model, TensorSpec
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
        scores: from the local output to its scores, [n, m].
        dtype: the float type of the scores and of the threshold.
        empty_is_nan: whether a tensor without elements cannot be judged.
    """

    tensor: str
    reads: str
    scores: Callable[[Scoring, str], str]
    dtype: str = "float32"
    empty_is_nan: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.tensor, str) or not self.tensor:
            raise ComposeError("OH208", f"a judge reads a local output by its name, not {self.tensor!r}")
        if self.dtype not in ("float32", "float64"):
            raise ComposeError("OH208", f"a score is float32 or float64, not {self.dtype!r}")

    def __ge__(self, limit: float | Input) -> Model:
        return judge(self, "GreaterOrEqual", threshold(limit, self.dtype))

    def __gt__(self, limit: float | Input) -> Model:
        return judge(self, "Greater", threshold(limit, self.dtype))

    def __le__(self, limit: float | Input) -> Model:
        return judge(self, "LessOrEqual", threshold(limit, self.dtype))

    def __lt__(self, limit: float | Input) -> Model:
        return judge(self, "Less", threshold(limit, self.dtype))


def judge(score: Score, operator: str, limit: Operand, *more: Operand, opset: int = OPSET) -> Model:
    """The judge `score <operator> limit`: a bool for each row.

    Args:
        score: what is judged.
        operator: the comparison.
        limit: the threshold.
        *more: other inputs that the score reads by name.
        opset: the oldest opset that has what the score uses.

    Raises:
        ComposeError: OH208, two of the inputs have one name.
    """
    given = [operand for operand in (limit, *more) if operand.name]
    specs = [TensorSpec(score.tensor, score.reads, None), *(operand.spec for operand in given if operand.spec)]
    if len({spec.name for spec in specs}) < len(specs):
        raise ComposeError("OH208", f"two inputs of the judge would be called {specs[-1].name!r}; rename one")
    steps = Scoring(score.dtype, specs)
    accepted = TensorSpec(steps.name("accepted"), "bool", (None,))
    scores = score.scores(steps, score.tensor)
    extreme = worst(steps, scores, score.tensor if score.empty_is_nan else None, largest=operator.startswith("Less"))
    compared = steps.name("judge/score")
    steps.write("Identity", extreme, output=compared)
    steps.write(operator, compared, steps.operand(limit), output=accepted.name)
    defaults = [numpy_helper.from_array(o.value, o.name) for o in given if o.value is not None]
    return steps.model([accepted], defaults=defaults, opset=opset).with_metadata({SCORE: compared})

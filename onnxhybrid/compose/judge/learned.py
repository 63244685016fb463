"""The judge of a fitted score: `learned`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from onnx import FunctionProto

from onnxhybrid.compose.judge.functions import Judgement
from onnxhybrid.compose.judge.operand import Operand, threshold
from onnxhybrid.compose.judge.score import Score, judge
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Input, Model, TensorSpec

ENTRY = "onnxhybrid.judge"
"""The metadata entry that says what a learned judge was fitted on (docs/metadata.md)."""


@dataclass(frozen=True)
class Compiled:
    """A fitted score as a function of standard operators and of those of ai.onnx.ml.

    Attributes:
        function: from the tensors to a score for each row, float32[n]; its name says what kind of score it is.
        tensors: what it reads of the local model, by the names there: outputs, exposed tensors or inputs.
        entry: what the file says of it, JSON.
    """

    function: FunctionProto
    tensors: tuple[TensorSpec, ...]
    entry: str


class Fitted(Protocol):
    """What `oh.fit_judge` gives."""

    @property
    def compiled(self) -> Compiled:
        """The score as a function."""


def learned(scorer: Fitted) -> Score:
    """The probability, as a fit has learned to tell it, that a row of local is good.

    What it reads beside the probabilities has to be there: outputs of local, inputs, or inner tensors that
    `local.expose([…])` made outputs.

    Args:
        scorer: what `oh.fit_judge` gave.

    Raises:
        ComposeError: OH208, the argument is none.
    """
    compiled = getattr(scorer, "compiled", None)
    if not isinstance(compiled, Compiled):
        raise ComposeError(
            "OH208", f"judge.learned takes what oh.fit_judge(local, data, good) gave, not a {type(scorer).__name__}"
        )
    tensor, *more = compiled.tensors
    read = tuple(_Tensor(spec.dtype, None, spec.name) for spec in more)
    return _Learned(tensor.name, tensor.dtype, compiled.function.name, more=read, compiled=compiled)


class _Tensor(Operand):
    """A further tensor of the local model, of any shape."""

    @property
    def spec(self) -> TensorSpec | None:
        """Its description."""
        return TensorSpec(self.name or "", self.dtype, None)


@dataclass(frozen=True, eq=False)
class _Learned(Score):
    compiled: Compiled = field(kw_only=True)

    def _compared(self, operator: str, limit: float | Input) -> Model:
        operands = (*self.more, threshold(limit, self.dtype))
        judgement = Judgement(self.kind, operator, dtype=self.dtype)
        made = judge(self, judgement, *operands, parts=[self.compiled.function])
        return made.with_metadata({ENTRY: self.compiled.entry})

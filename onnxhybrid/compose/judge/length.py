"""The judge `length`: of texts, or of an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from onnxhybrid.compose.judge.functions import Judgement
from onnxhybrid.compose.judge.operand import Operand
from onnxhybrid.compose.judge.score import Measure, Score, judge
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model

_OPSET = 20  # the first with RegexFullMatch

MOST = 1000
"""The largest number of characters that the regular expressions of ONNX Runtime (RE2) count to."""


@overload
def length(tensor: str, *, dtype: str | None = None) -> Length: ...
@overload
def length(tensor: str, *, axis: int | np.integer[Any], dtype: str | None = None) -> Score: ...
def length(tensor: str, *, axis: int | np.integer[Any] | None = None, dtype: str | None = None) -> Length | Score:
    """The number of characters of each text, or the size of an axis of any tensor.

    Args:
        tensor: the local output.
        axis: None counts characters (Unicode code points) of strings; then the threshold is a constant whole number up
            to 1000, since no standard operator gives a text's length and a regular expression has to do. Otherwise the
            axis whose size is taken, one number for the whole tensor.
        dtype: what the tensor holds, where an axis is given: float32 unless said; a cascade casts numbers.

    Raises:
        ComposeError: OH208, an argument has a value that it cannot have.
    """
    if axis is None:
        if dtype not in (None, "str"):
            raise ComposeError("OH208", f"without an axis length counts the characters of strings, not of {dtype!r}")
        return Length(tensor)
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool) or not -(2**63) <= axis < 2**63:
        raise ComposeError("OH208", f"axis is a whole number of 64 bits or None, not {axis!r}")
    return Score(tensor, dtype or "float32", "size", more=(Operand("int64", np.array([axis], np.int64)),))


@dataclass(frozen=True, eq=False)
class Length(Measure):
    """The number of characters of each text; compare it with a constant whole number to get a judge."""

    tensor: str

    def __post_init__(self) -> None:
        Score(self.tensor, "str", "matches")  # checks the name

    def __ge__(self, limit: int) -> Model:
        return self._between(_whole(limit), None)

    def __gt__(self, limit: int) -> Model:
        return self._between(_whole(limit) + 1, None)

    def __le__(self, limit: int) -> Model:
        return self._between(0, _whole(limit))

    def __lt__(self, limit: int) -> Model:
        return self._between(0, _whole(limit) - 1)

    def _between(self, least: int, most: int | None) -> Model:
        """Whether each text has from `least` to `most` characters; there are none with fewer than 0."""
        if max(least, most or 0) > MOST:
            raise ComposeError("OH208", f"characters are counted up to {MOST}, and the threshold is above that")
        pattern = f"(?s).{{{max(least, 0)},{'' if most is None else most}}}"
        if most is not None and most < least:
            pattern = r"[^\x00-\x{10FFFF}]"  # matches nothing

        return judge(
            Score(self.tensor, "str", "matches"), Judgement("matches", "Greater"), opset=_OPSET, pattern=pattern
        )


def _whole(limit: Any) -> int:
    if isinstance(limit, (int, np.integer)) and not isinstance(limit, bool):
        return int(limit)
    raise ComposeError("OH208", f"the length of a text is compared with a constant whole number, not {limit!r}")

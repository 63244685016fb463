"""What a judge compares with: a constant, or an input of the judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Input, TensorSpec
from onnxhybrid.model.dtypes import numpy_dtype


@dataclass(frozen=True)
class Operand:
    """A value of shape [1] that a judge compares with.

    Attributes:
        dtype: its dtype.
        value: the constant as an array, or the input's default; None for an input that has none.
        name: the input's name; None for a constant.
    """

    dtype: str
    value: Any
    name: str | None = None

    @property
    def spec(self) -> TensorSpec | None:
        """The input's description; None for a constant."""
        return TensorSpec(self.name, self.dtype, (1,)) if self.name else None

    def __str__(self) -> str:
        """The input's name, or the constant, shortened."""
        if self.name:
            return self.name
        text = repr(self.value[0]) if self.dtype == "str" else str(self.value[0]).removesuffix(".0")
        return text if len(text) <= _READABLE else f"{text[:_READABLE]}…"


_READABLE = 32


def threshold(given: object, dtype: str) -> Operand:
    """A number, or an Input of one.

    Raises:
        ComposeError: OH208, it is neither, or a number that the dtype cannot hold.
    """
    if isinstance(given, Input):
        default = None if given.default is None else _number(given.default, dtype)
        return Operand(dtype, default, given.name or "threshold")
    return Operand(dtype, _number(given, dtype))


def equal_to(given: object) -> Operand:
    """A string, a whole number or a bool, or an Input of one, whose default says which of them it is.

    Raises:
        ComposeError: OH208, it is none of them.
    """
    name = (given.name or "value") if isinstance(given, Input) else None
    value = given.default if isinstance(given, Input) else given
    if isinstance(value, str):
        return Operand("str", np.array([value], object), name)
    if isinstance(value, (bool, np.bool_)):
        return Operand("bool", np.array([value], np.bool_), name)
    if isinstance(value, (int, np.integer)) and -(2**63) <= int(value) < 2**63:
        return Operand("int64", np.array([int(value)], np.int64), name)
    if isinstance(given, Input) and value is None:
        raise ComposeError("OH208", "equals learns from an oh.Input's default what it compares; give it one")
    hint = "; compare a float with value(…) >= and <=" if isinstance(value, (float, np.floating)) else ""
    raise ComposeError("OH208", f"equals takes a string, a whole number of 64 bits or a bool, not {value!r}{hint}")


def _number(value: object, dtype: str) -> npt.NDArray[Any]:
    """A number as an array of shape [1]; one that the dtype cannot tell from 0 or from infinity is refused."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise ComposeError("OH208", f"a threshold is a finite number or an oh.Input, not {value!r}")
    with np.errstate(all="ignore"):
        held = np.array([_double(value)]).astype(numpy_dtype(dtype))
    if not np.isfinite(held[0]) or (held[0] == 0) != (value == 0):
        raise ComposeError("OH208", f"a threshold is a finite number, and {value!r} is none in {dtype}")
    return held


def _double(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")

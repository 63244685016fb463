"""What a row that is sent costs: a price a request, or by the tokens of its texts."""

from __future__ import annotations

import numbers
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.asking import Outcome
from onnxhybrid.errors import Error

_KEYS = ("request", "input_token", "output_token")
_BYTES_OF_TOKEN = 4


@final
@dataclass
class Price:
    """Prices, and the texts of the rows so far.

    Attributes:
        request, input_token, output_token: a price each; None where no cost was given.
    """

    prices: Mapping[str, float] | None
    _rows: int = 0
    _sent: int = 0
    _answered: int = 0

    @classmethod
    def of(cls, cost: object) -> Price:
        """The prices that `cost` gives.

        Raises:
            Error: OH607, it is neither a number nor a mapping of numbers by these names.
        """
        if cost is None:
            return cls(None)
        prices: Mapping[Any, Any] = cost if isinstance(cost, Mapping) else {"request": cost}
        for name, value in prices.items():
            number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            if name not in _KEYS or not number or not 0 <= value <= sys.float_info.max:
                known = ", ".join(map(repr, _KEYS))
                raise Error(
                    "OH607", f"cost is the price of a request, or a mapping of {known} to prices, not {shown(cost)}"
                )
        return cls({name: float(prices.get(name, 0.0)) for name in _KEYS})

    def add(self, outcome: Outcome) -> None:
        """Take in the texts of a batch that was answered."""
        if self.prices is None or outcome.remote is None:
            return
        self._rows += outcome.batch.rows
        self._sent += sum(_text_bytes(array) for array in outcome.batch.feeds.values())
        self._answered += _text_bytes(outcome.remote)

    def of_request(self) -> float | None:
        """The price of a row that is sent, on average; None where no cost was given."""
        if self.prices is None:
            return None
        rows = max(self._rows, 1) * _BYTES_OF_TOKEN
        tokens = self.prices["input_token"] * self._sent + self.prices["output_token"] * self._answered
        return self.prices["request"] + tokens / rows


def shown(value: object) -> str:
    """An argument as a message shows it: one line of a sensible length."""
    text = (
        " ".join(repr(value).split()) if not isinstance(value, int) or abs(value) < 1 << 64 else "such a large number"
    )
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 80


def _text_bytes(array: npt.NDArray[Any]) -> int:
    if np.asarray(array).dtype.kind != "O":
        return 0
    return sum(len(str(text).encode("utf-8", "replace")) for text in np.asarray(array).ravel())

"""Exact binomial bounds (Clopper and Pearson 1934), and what they say of a promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


def _scipy() -> Any:
    try:
        from scipy import stats
    except ImportError as problem:
        raise Error(
            "OH551",
            'calibrating needs an extra, for its exact bounds: pip install "onnxhybrid[calibration]" '
            f"(there is no module {problem.name!r})",
        ) from None
    return stats


def require_scipy() -> None:
    """Check that the bounds can be computed.

    Raises:
        Error: OH551, scipy is not installed.
    """
    _scipy()


def upper(counts: Counts, rows: int | Counts, confidence: float) -> Shares:
    """The one-sided upper bounds of shares of which `counts` of `rows` were seen; 1 where there are no rows."""
    found = _scipy().beta.ppf(confidence, counts + 1, rows - counts)
    return np.where(np.asarray(counts) >= rows, 1.0, found)


def lower(counts: Counts, rows: int | Counts, confidence: float) -> Shares:
    """The one-sided lower bounds."""
    found = _scipy().beta.ppf(1 - confidence, counts, rows - counts + 1)
    return np.where(np.asarray(counts) <= 0, 0.0, found)


def most_losses(rows: int, loss: float, confidence: float) -> int:
    """How many losses among so many rows still prove that the expected loss is at most `loss`; -1 where none do.

    The hypothesis that it is larger is rejected where so few would be seen with probability 1 - confidence at most.
    """
    if rows <= 0:
        return -1
    binomial = _scipy().binom
    found = int(binomial.ppf(1 - confidence, rows, loss))
    while found >= 0 and binomial.cdf(found, rows, loss) > 1 - confidence:
        found -= 1
    return found


def fewest_rows(loss: float, confidence: float) -> int:
    """How many rows it takes where none of them is a loss."""
    found = math.ceil(math.log(1 - confidence) / math.log1p(-loss))
    while most_losses(found, loss, confidence) < 0:
        found += 1
    return found


def rows_needed(share: float, loss: float, confidence: float) -> int | None:
    """How many rows it takes where this share of them are losses; None where no number does."""
    if share >= loss:
        return None
    high = fewest_rows(loss, confidence)
    while most_losses(high, loss, confidence) < share * high:
        high *= 2
        if high > _MOST_ROWS:
            return None
    low = high // 2
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if most_losses(middle, loss, confidence) >= share * middle else (middle, high)
    return high


_MOST_ROWS = 1 << 40

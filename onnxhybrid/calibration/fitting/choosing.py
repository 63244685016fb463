"""Which score is taken: what each would cost, by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CAUGHT = np.arange(0.5, 0.96, 0.05)
"""The shares of the rows that are not good which a score has to find."""


_SURE = 2


def sent(scores: Array, good: Array) -> float:
    """The share of rows that would be sent, those with the lowest scores, to find the rows that are not good.

    The mean over how many of them are to be found: from half of them to 95 %.
    """
    ordered = np.sort(scores)
    lost = np.sort(scores[~good])
    limits = lost[np.ceil(CAUGHT * len(lost)).astype(int) - 1]
    return float(np.searchsorted(ordered, limits, side="right").mean() / len(scores))


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        name: the score.
        reason: why, in words.
        shares: the mean share of rows that each score would send, over the folds.
    """

    name: str
    reason: str
    shares: dict[str, float]


def choose(shares: Mapping[str, Array], simplest: str) -> Choice:
    """The score that sends least. A less simple one has to be better by twice the standard error of the difference.

    Args:
        shares: the shares that each score would send in each fold, the simpler ones first.
        simplest: the one that is taken where none is better.
    """
    best = simplest
    for name, found in shares.items():
        gain = shares[best] - found
        if name != best and gain.mean() > _SURE * gain.std(ddof=1) / np.sqrt(len(gain)):
            best = name
    means = {name: float(found.mean()) for name, found in shares.items()}
    return Choice(best, _reason(best, simplest, means), means)


def _reason(best: str, simplest: str, means: Mapping[str, float]) -> str:
    others = ", ".join(f"{name} {share:.1%}" for name, share in means.items() if name != best)
    if best == simplest:
        return f"no learned score is better in cross-validation: {best} sends {means[best]:.1%} (others: {others})"
    return f"better in cross-validation: {best} sends {means[best]:.1%} (others: {others})"

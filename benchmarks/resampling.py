"""Whether a promise about a threshold is kept: `python -m benchmarks.resampling SCORES.npz`.

The test rows of a set, with their scores, are the world from which 1000 calibration sets are drawn with replacement.
Of each the threshold is chosen as `oh.calibrate` chooses it, and the loss that it has in the world is compared with
what was promised. Beside it stand a naive choice, the threshold that sends least among those whose loss on the
calibration rows is what is promised, and a reference: Learn then Test written once more, threshold by threshold.

`python -m benchmarks.economics --keep SCORES.npz` writes the scores; digits are added here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from onnxhybrid.calibration.choosing import chosen, curve_of
from onnxhybrid.calibration.rows import Rows
from onnxhybrid.compose.cascade.anatomy import Comparison

Array = npt.NDArray[Any]

LOSS, CONFIDENCE = 0.01, 0.95
DRAWS = 1000
NEAR = 1.15
"""How much more may be sent than by the reference."""


@dataclass(frozen=True)
class World:
    """Rows from which calibration rows are drawn.

    Attributes:
        name: what they are.
        scores: the score of each, float32[n].
        local, remote: whether each answers rightly, bool[n].
    """

    name: str
    scores: Array
    local: Array
    remote: Array


Choosing = Callable[[Array, Array, Array], float]
"""Scores, and what is right locally and remotely, of the calibration rows to the least score that is kept."""


def ours(scores: Array, local: Array, remote: Array) -> float:
    """As `oh.calibrate` chooses."""
    outcomes = np.full(len(scores), 2, np.uint8)
    rows = Rows(scores[:, None], outcomes, local, remote, local != remote, 0)
    comparison = Comparison("accepted", "score", "threshold", "GreaterOrEqual", 0.0, 1.0)
    curve = curve_of(rows, [comparison], np.dtype(np.float32))
    place = chosen(curve, LOSS, CONFIDENCE)
    return float("inf") if place is None else float(curve.thresholds[place])


def naive(scores: Array, local: Array, remote: Array) -> float:
    """The least threshold whose loss on the calibration rows is what is promised."""
    thresholds, losses = _losses(scores, local, remote)
    kept = np.flatnonzero(losses <= LOSS * len(scores))
    return float(thresholds[kept[-1]]) if len(kept) else float("inf")


def reference(scores: Array, local: Array, remote: Array) -> float:
    """Learn then Test: from the strictest threshold on, as long as the exact binomial test rejects a larger loss."""
    thresholds, losses = _losses(scores, local, remote)
    found = float("inf")
    doubts = stats.binom.cdf(losses, len(scores), LOSS)
    for threshold, doubt in zip(thresholds, doubts, strict=True):
        if doubt > 1 - CONFIDENCE:
            break
        found = float(threshold)
    return found


def _losses(scores: Array, local: Array, remote: Array) -> tuple[Array, Array]:
    """Each score as a threshold, the largest first, and how many kept rows are losses there."""
    lost = np.sort(scores[~local & remote])
    thresholds = np.unique(scores)[::-1]
    return thresholds, len(lost) - np.searchsorted(lost, thresholds, side="left")


def worlds(path: Path) -> Iterator[World]:
    """Each set with each score of a file, and digits."""
    held = np.load(path)
    for name in ("R8", "R52"):
        for way in ("largest probability", "learned, with the counts"):
            scores = held[f"{name}/{way}"].astype(np.float32)
            yield World(f"{name}, {way}", scores, held[f"{name}/local"], held[f"{name}/remote"])
    images, labels = load_digits(return_X_y=True)
    small = LogisticRegression(C=0.001, max_iter=500).fit(images[:500], labels[:500])
    large = SVC(C=10).fit(images[:500], labels[:500])
    rest, truth = images[500:], labels[500:]
    scores = small.predict_proba(rest).max(1).astype(np.float32)
    yield World("digits, largest probability", scores, small.predict(rest) == truth, large.predict(rest) == truth)


def figures(world: World, choosing: Choosing) -> tuple[int, float]:
    """In how many of the draws the promise is broken, and the mean share that is sent."""
    random = np.random.default_rng(0)
    broken, sent = 0, []
    lost = ~world.local & world.remote
    for _ in range(DRAWS):
        rows = random.integers(0, len(world.scores), len(world.scores))
        threshold = choosing(world.scores[rows], world.local[rows], world.remote[rows])
        kept = world.scores >= threshold
        broken += int((kept & lost).mean() > LOSS)
        sent.append(1 - kept.mean())
    return broken, float(np.mean(sent))


def main() -> int:
    """Draw, and print a table; 1 when a promise was broken too often, or much more was sent than has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resampling", description=__doc__)
    parser.add_argument("scores", type=Path, help="what python -m benchmarks.economics --keep wrote")
    given = parser.parse_args()
    most = int(stats.binom.ppf(0.999, DRAWS, 1 - CONFIDENCE))
    print(f"a loss of {LOSS:.0%} with {CONFIDENCE:.0%}; {DRAWS} draws, of which {most} may break it (99.9 % of chance)")
    print("| set | calibrated: broken, sent | reference: broken, sent | naive: broken, sent |\n|---|---|---|---|")
    good = True
    for world in worlds(given.scores):
        found = [figures(world, way) for way in (ours, reference, naive)]
        cells = " | ".join(f"{broken / DRAWS:.1%}, {sent:.1%}" for broken, sent in found)
        print(f"| {world.name} | {cells} |", flush=True)
        (broken, sent), (_, best), (naively, _) = found
        good = good and broken <= most < naively and sent <= NEAR * best
    print("met" if good else "MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

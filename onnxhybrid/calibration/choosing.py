"""Chooses the threshold: the one that sends least among those that are proven to keep the promise.

The loss of a row is 1 if it is kept, local is wrong and remote is right. Thresholds are tested one after the other from
"send all" downwards, and the first that is not proven ends it: fixed-sequence testing of Learn then Test (Angelopoulos,
Bates, Candès, Jordan and Lei, 2021), with the exact binomial test, so that the probability of a threshold whose
expected loss is larger than promised is at most 1 - confidence.

Where each row is kept below one score of its own, the expected loss can only grow on the way down. Then the sequence
may run through all thresholds that there are, and the observed scores are those at which a test changes: a threshold
that breaks the promise is chosen only if the test of the first that does, which no data chose, is wrong. A judge that
compares several scores with one threshold may keep a row, refuse it, and keep it again; then the sequence is a grid
that was fixed before any row was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.bounds import most_losses
from onnxhybrid.calibration.rows import Rows
from onnxhybrid.compose.cascade.anatomy import Comparison

Array = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """What each threshold gives on the rows, from "send all" downwards.

    Attributes:
        thresholds: in the threshold input's dtype.
        kept, losses, right, differ: how many rows are kept; are losses; are answered rightly by the hybrid; are kept
            and answered otherwise by remote.
        rows: of how many.
        monotone: whether a row that is kept stays kept further down.
    """

    thresholds: Array
    kept: Counts
    losses: Counts
    right: Counts
    differ: Counts
    rows: int
    monotone: bool

    def __len__(self) -> int:
        return len(self.thresholds)


def curve_of(rows: Rows, comparisons: Sequence[Comparison], dtype: np.dtype[Any]) -> Curve:
    """The curve over all thresholds at which something changes, or over the fixed grid."""
    turned = _direction(rows) if len(comparisons) == 1 else None
    if turned is None:
        return _over_grid(rows, comparisons, _grid(comparisons, dtype))
    comparison = comparisons[0].opposite if turned else comparisons[0]
    return _over_scores(rows, comparison, dtype, turned=turned)


def chosen(curve: Curve, loss: float, confidence: float) -> int | None:
    """The place of the threshold that sends least among those that are proven; None where not even the first is."""
    most = most_losses(curve.rows, loss, confidence)
    proven = curve.losses <= most
    # Where nothing is kept nothing can be lost, however few rows there are.
    proven |= curve.kept == 0
    count = len(proven) if proven.all() else int(np.argmin(proven))
    if not count:
        return None
    return count - 1 if curve.monotone else int(np.argmax(curve.kept[:count]))


def _direction(rows: Rows) -> bool | None:
    """Whether units are kept where the one comparison does not hold; None where some are and some are not."""
    if_not, if_so = (rows.outcomes & 1) > 0, (rows.outcomes & 2) > 0
    plain, turned = bool((if_so & ~if_not).any()), bool((if_not & ~if_so).any())
    return None if plain and turned else turned


def _over_scores(rows: Rows, comparison: Comparison, dtype: np.dtype[Any], *, turned: bool) -> Curve:
    if_not, if_so = (rows.outcomes & 1) > 0, (rows.outcomes & 2) > 0
    scores = rows.scores[:, 0]
    unknown = np.isnan(scores)
    moving = (if_so != if_not) & ~unknown
    always = (if_so & if_not) | (unknown & if_not)
    upwards = comparison.operator.startswith("Greater")
    order = np.flatnonzero(moving)
    order = order[np.argsort(-scores[order] if upwards else scores[order], kind="stable")]
    ordered = scores[order]
    first = _unreachable(comparison, dtype, turned=turned)
    at = np.append(np.array([first], dtype), _thresholds(np.unique(ordered), comparison.operator, dtype))
    # A threshold that is rounded, or cannot reach an infinite score, keeps other rows than those that it was made for.
    counts, places = np.unique(_reached(ordered, at, comparison.operator), return_index=True)
    at = at[places]

    def counted(flags: npt.NDArray[np.bool_]) -> Counts:
        base = int(np.count_nonzero(flags & always))
        return base + np.append(0, np.cumsum(flags[order], dtype=np.int64))[counts]

    gained = rows.local_right.astype(np.int64) - rows.remote_right
    right = int(np.count_nonzero(rows.remote_right)) + int(gained[always].sum())
    gains = np.append(0, np.cumsum(gained[order], dtype=np.int64))[counts]
    kept, losses, differ = (counted(flags) for flags in (np.ones(len(rows), bool), rows.losses, rows.differ))
    return Curve(at, kept, losses, right + gains, differ, len(rows), True)


def _thresholds(scores: Array, operator: str, dtype: np.dtype[Any]) -> Array:
    """The thresholds that just keep these scores, in the input's dtype; one that cannot be exact is stricter."""
    upwards = operator.startswith("Greater")
    with np.errstate(over="ignore"):
        exact = scores
        if not operator.endswith("Equal"):
            exact = np.nextafter(scores, scores.dtype.type(-np.inf if upwards else np.inf))
        held = exact.astype(dtype)
        loose = held.astype(np.float64) < exact if upwards else held.astype(np.float64) > exact
        stricter = np.nextafter(held, dtype.type(np.inf if upwards else -np.inf))
    return np.where(loose, stricter, held).astype(dtype)


def _reached(ordered: Array, thresholds: Array, operator: str) -> Counts:
    """How many of the scores, the ones that are kept first leading, each threshold keeps as the graph compares them."""
    upwards, equal = operator.startswith("Greater"), operator.endswith("Equal")
    with np.errstate(over="ignore"):
        limits = thresholds.astype(ordered.dtype)
    if upwards:
        found = len(ordered) - np.searchsorted(ordered[::-1], limits, side="left" if equal else "right")
    else:
        found = np.searchsorted(ordered, limits, side="right" if equal else "left")
    return np.where(np.isnan(limits), 0, found).astype(np.int64)


def _unreachable(comparison: Comparison, dtype: np.dtype[Any], *, turned: bool) -> float:
    """A threshold that no score reaches: infinite, or NaN where a score may be infinite itself."""
    upwards = comparison.operator.startswith("Greater")
    sure = not np.isinf(comparison.most if upwards else comparison.least)
    if sure or turned or not comparison.operator.endswith("Equal"):
        return np.inf if upwards else -np.inf
    return np.nan


def _grid(comparisons: Sequence[Comparison], dtype: np.dtype[Any]) -> Array:
    """Thresholds that no row chose, the strictest of the first comparison first; NaN, at which nothing holds, leads."""
    points = np.linspace(0, 1, 1001)
    if any(np.isinf(c.least) or np.isinf(c.most) for c in comparisons):
        octaves = 2.0 ** (np.arange(-10 * 16, 16 * 16 + 1) / 16)
        points = np.concatenate([points, octaves, -octaves])
    points = np.unique(points.astype(dtype))
    ordered = points[::-1] if comparisons[0].operator.startswith("Greater") else points
    return np.append(np.array([np.nan], dtype), ordered)


_HOLDS = {
    "GreaterOrEqual": np.greater_equal,
    "Greater": np.greater,
    "LessOrEqual": np.less_equal,
    "Less": np.less,
}


def _over_grid(rows: Rows, comparisons: Sequence[Comparison], grid: Array) -> Curve:
    counts = np.empty((4, len(grid)), np.int64)
    kinds = rows.scores.dtype.type
    gained = rows.local_right.astype(np.int64) - rows.remote_right
    for place, threshold in enumerate(grid):
        held = np.zeros(len(rows), np.uint8)
        for bit, comparison in enumerate(comparisons):
            holds = _HOLDS[comparison.operator](rows.scores[:, bit], kinds(threshold))
            held |= holds.astype(np.uint8) << np.uint8(bit)
        kept = (rows.outcomes >> held) & 1 > 0
        counts[:, place] = (
            np.count_nonzero(kept), np.count_nonzero(kept & rows.losses), gained[kept].sum(),
            np.count_nonzero(kept & rows.differ),
        )  # fmt: skip
    right = counts[2] + int(np.count_nonzero(rows.remote_right))
    return Curve(grid, counts[0], counts[1], right, counts[3], len(rows), False)


def spread(curve: Curve, most: int, always: Sequence[int]) -> list[int]:
    """Places of at most about so many points, close together where share, accuracy or loss change fast."""
    if len(curve) <= most:
        return list(range(len(curve)))
    steps = np.zeros(len(curve) - 1)
    for counts in (curve.kept, curve.right, curve.losses):
        changes = np.abs(np.diff(counts)).astype(np.float64)
        if total := changes.sum():
            steps += changes / total
    along = np.append(0, np.cumsum(steps))
    wanted = np.linspace(0, along[-1], most)
    return sorted({*np.searchsorted(along, wanted).clip(0, len(curve) - 1).tolist(), 0, len(curve) - 1, *always})

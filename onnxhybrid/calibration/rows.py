"""What a calibration remembers of its rows: a few bytes each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.asking import Outcome
from onnxhybrid.calibration.comparing import equal_rows, fitting_labels
from onnxhybrid.calibration.row_keys import DataHash
from onnxhybrid.compose.cascade.anatomy import Comparison
from onnxhybrid.errors import Error

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """The units that remote answered.

    Attributes:
        scores: what is compared with the threshold, [n, comparisons].
        outcomes: bit i says whether a unit would be kept if the comparisons came out as the bits of i, [n] uint8.
        local_right, remote_right: whether an answer is the label's; without labels, remote's answers are the labels.
        differ: whether the answers are different.
        failed: how many units remote did not answer.
    """

    scores: Array
    outcomes: npt.NDArray[np.uint8]
    local_right: Bools
    remote_right: Bools
    differ: Bools
    failed: int

    def __len__(self) -> int:
        return len(self.differ)

    @property
    def losses(self) -> Bools:
        """Whether keeping a unit is a loss: local is wrong and remote is right."""
        return ~self.local_right & self.remote_right


_PARTS = 1024
"""Batches after which theirs are put together: an array takes more than the row of a call of one."""


def _joined(parts: Sequence[tuple[Array, ...]]) -> tuple[Array, ...]:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


@dataclass
class Collecting:
    """Rows as they come in.

    Args:
        comparisons: what is compared with the threshold.
        by_row: whether units are rows of a call.
        output: the output that is compared.
    """

    comparisons: Sequence[Comparison]
    by_row: bool
    output: str
    failed: int = 0
    seen: int = 0
    hashed: DataHash = field(default_factory=DataHash)
    _parts: list[tuple[Array, ...]] = field(default_factory=list)
    _blocks: list[tuple[Array, ...]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take in what a batch gave.

        Raises:
            Error: OH603, the judge gives several scores for one unit; OH605, the labels are of another kind or size.
        """
        there = outcome.answered
        self.seen += len(there)
        self.hashed.add(outcome.batch)
        self.failed += int(np.count_nonzero(~there))
        if outcome.local is None or outcome.remote is None or not there.any():
            return
        scores, outcomes = self._judged(outcome)
        rows, local, remote, labels = len(there), outcome.local, outcome.remote, outcome.batch.labels
        same = equal_rows(local, remote, rows, by_row=self.by_row)
        local_right, remote_right = same, np.ones(rows, bool)
        if labels is not None:
            labels = fitting_labels(labels, local, rows, by_row=self.by_row, output=self.output)
            local_right, remote_right = (
                equal_rows(answer, labels, rows, by_row=self.by_row) for answer in (local, remote)
            )
        self._parts.append(tuple(part[there] for part in (scores, outcomes, local_right, remote_right, ~same)))
        if len(self._parts) == _PARTS:
            self._blocks.append(_joined(self._parts))
            self._parts = []

    def rows(self) -> Rows:
        """All of them."""
        empty: tuple[Array, ...] = (
            np.empty((0, len(self.comparisons)), np.float32),
            np.empty(0, np.uint8),
            *[np.empty(0, bool)] * 3,
        )
        scores, outcomes, local, remote, differ = _joined([*self._blocks, *self._parts] or [empty])
        return Rows(scores, outcomes, local, remote, differ, self.failed)

    def _judged(self, outcome: Outcome) -> tuple[Array, npt.NDArray[np.uint8]]:
        units = outcome.batch.rows
        scores = [np.asarray(score).ravel() for score in outcome.scores]
        verdicts = [np.asarray(verdict).ravel() for verdict in outcome.verdicts]
        if not self.by_row and any(score.size != 1 for score in scores):
            scores = [self._decisive(scores, verdicts)]
            verdicts = [np.array([verdict.all()]) for verdict in verdicts]
        if any(each.size != units for each in (*scores, *verdicts)):
            many = max(score.size for score in scores)
            raise Error("OH603", f"the judge compares {many} scores for {units} rows, and each is decided by one")
        bits = np.zeros(units, np.uint8)
        for place, verdict in enumerate(verdicts):
            bits |= verdict.astype(np.uint8) << np.uint8(place)
        return np.stack(scores, axis=1), bits

    def _decisive(self, scores: Sequence[Array], verdicts: Sequence[Array]) -> Array:
        """Of several scores of one unit, all of which have to hold, the one that decides."""
        if len(scores) != 1 or any(verdict.size != scores[0].size for verdict in verdicts):
            raise Error("OH603", "the judge compares several scores of one call in more than one way")
        asked = scores[0][~verdicts[0]]
        if not asked.size:
            return scores[0][:1]
        largest = self.comparisons[0].operator.startswith("Less")
        return np.array([asked.max() if largest else asked.min()], asked.dtype)

"""A second opinion: a linear classifier of a wide tensor, whose verdict on local's answer is a feature.

Where a second classifier, which sees other sides of the same tensor, disagrees with local, local is wrong more often
(as the trust score of Jiang, Kim, Guan and Gupta, 2018, has it with the distances to the rows of each class). It is
trained on the labels where they are known, else on the rows that are good, whose label is local's answer. What it says
of a row that the fit learns from comes from a classifier that has not seen the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.fitting.features import Columns
from onnxhybrid.calibration.fitting.learning import learners, unjudged

Array = npt.NDArray[Any]

_SOFTNESS = 0.5  # of the support vector machine's margin


@dataclass(frozen=True)
class Opinion:
    """A linear classifier: a number for each class.

    Attributes:
        weights: [width, classes].
        biases: [classes].
    """

    weights: Array
    biases: Array

    def steps(self, steps: Columns, rows: str) -> str:
        """Its numbers, as steps of a graph: [n, width] -> [n, classes]."""
        return steps(
            "Add", steps("MatMul", rows, steps.number(self.weights.tolist())), steps.number(self.biases.tolist())
        )

    def of(self, rows: Array) -> Array:
        """Its numbers."""
        found: Array = rows @ self.weights + self.biases
        return found


def opinion(rows: Array, labels: Array, classes: int) -> Opinion:
    """Train on rows whose label is known.

    Args:
        rows: [n, width].
        labels: a class for each, int64[n]; -1 where it is not known.
        classes: the number of classes; one without a row gets -1, the number of what is not the class.
    """
    weights = np.zeros((rows.shape[1], classes), np.float32)
    biases = np.full(classes, -1, np.float32)
    known = labels >= 0
    found = np.unique(labels[known])
    if len(found) == 1:
        biases[found] = 1
    if len(found) < 2:
        return Opinion(weights, biases)
    with unjudged():
        trained = learners().LinearSVC(C=_SOFTNESS, random_state=0).fit(rows[known], labels[known])
    directions, offsets = trained.coef_, trained.intercept_
    if len(found) == 2:
        directions, offsets = np.concatenate([-directions, directions]), np.concatenate([-offsets, offsets])
    weights[:, found], biases[found] = directions.T, offsets
    return Opinion(weights, biases)


def unseen(rows: Array, labels: Array, classes: int, folds: list[tuple[Array, Array]]) -> Array:
    """What opinions that have not seen a row say of it: [n, classes].

    Args:
        rows, labels, classes: as of `opinion`.
        folds: the places to train on, and those to be judged, for each fold.
    """
    found = np.empty((len(rows), classes), np.float32)
    for learned_from, judged in folds:
        found[judged] = opinion(rows[learned_from], labels[learned_from], classes).of(rows[judged])
    return found

"""What is known of the rows of a fit: which answers of local are good, and the label of each where that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Verdicts:
    """Of each row.

    Attributes:
        good: whether local's answer is good, bool[n].
        labels: the place of its class, int64[n]; -1 where it is not known.
    """

    good: Array
    labels: Array

    def at(self, places: Array) -> Verdicts:
        """Those of some rows."""
        return Verdicts(self.good[places], self.labels[places])


def given(good: object) -> Array:
    """What is said of the rows, as an array of bools, whole numbers or texts.

    Raises:
        Error: OH624, it is none.
    """
    if isinstance(good, (Mapping, AbstractSet, Iterator)) or not isinstance(good, (Iterable, np.ndarray)):
        raise Error("OH624", f"good is a sequence with a bool or a label for each row, not {type(good).__name__}")
    try:
        found = np.asarray(good)
        found = np.asarray(found.tolist()) if found.dtype.kind == "O" and not _texts(found) else found
    except ValueError:
        raise Error("OH624", "good has a bool or a label for each row; here some hold several") from None
    if found.dtype.kind == "O" and not _texts(found):
        raise Error("OH624", "good is a bool or a label, a whole number or a text, for each row; some are neither")
    return found


def _texts(labels: Array) -> bool:
    return all(isinstance(each, str) for each in labels.flat)


def verdicts(good: Array, scores: Array, answers: Array | None) -> Verdicts:
    """Read `good`: a bool for each row, or its label.

    Args:
        good: bool[n], or labels.
        scores: the probabilities or logits, [n, width].
        answers: what local answered, of the labels' kind; None where that is the place of the largest score.

    Raises:
        Error: OH624, there are more or fewer than rows, or they are neither bools nor labels.
    """
    if good.ndim == 2 and good.shape[1] == 1:
        good = good[:, 0]
    if good.ndim != 1 or len(good) != len(scores):
        raise Error(
            "OH624",
            f"good is a bool or a label for each of the {len(scores)} rows, not of the shape {list(good.shape)}",
        )
    places = _places(scores)
    if good.dtype == bool:
        return Verdicts(good, np.where(good, places, -1))
    if good.dtype.kind not in "iuOUS":
        raise Error("OH624", f"good is a bool or a label, a whole number or a text, for each row, not {good.dtype}")
    if answers is None:
        known = (good >= 0) & (good < max(scores.shape[1], 2))
        return Verdicts(np.asarray(good == places), np.where(known, good, -1).astype(np.int64))
    answered = answers.reshape(len(scores), -1)[:, 0]
    return Verdicts(np.asarray(answered == good, bool), _classes(good, answered, places))


def _places(scores: Array) -> Array:
    """The place of the class that local answers; a single number is a logit where it is no probability."""
    if scores.shape[1] > 1:
        return np.asarray(scores.argmax(1))
    held = scores[:, 0]
    probable = bool(((held >= 0) & (held <= 1)).all())
    return np.asarray(held > (0.5 if probable else 0), np.int64)


def _classes(labels: Array, answered: Array, places: Array) -> Array:
    """The place of each label, learned from where local answers it; -1 for one that it never answers."""
    found, codes = np.unique(answered, return_inverse=True)
    place_of = {}
    for code, label in enumerate(found.tolist()):
        votes = np.bincount(places[codes == code])
        place_of[label] = int(votes.argmax())
    return np.array([place_of.get(label, -1) for label in labels.tolist()], np.int64)

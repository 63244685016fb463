"""What is right: an answer that is equal to the label, element by element; texts character by character."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error

Array = npt.NDArray[Any]


def equal_rows(one: Array, other: Array, rows: int, *, by_row: bool) -> npt.NDArray[np.bool_]:
    """For each unit whether two answers are the same; NaN is equal to NaN.

    Args:
        one, other: two answers, or an answer and its labels.
        rows: how many units they hold.
        by_row: whether axis 0 counts the units; else the arrays are one unit.
    """
    if not by_row:
        return np.array([_same(_flat(one), _flat(other))])
    alike = len(one) == len(other) == rows and one.size == other.size
    if alike and not _is_ragged(one) and not _is_ragged(other):
        return np.asarray(_elements_equal(one.reshape(rows, -1), other.reshape(rows, -1)).all(axis=1))
    pairs = zip(one, other, strict=True) if len(one) == len(other) == rows else ()
    found = [_same(np.ravel(mine), np.ravel(theirs)) for mine, theirs in pairs]
    return np.array(found or [False] * rows, bool)


def _flat(array: Array) -> Array:
    """All elements of an answer; of labels that are arrays themselves, those of the one label."""
    if not _is_ragged(array):
        return array.ravel()
    (label,) = array
    return (_texts(label) if _kind(label) == "texts" else label).ravel()


def _same(one: Array, other: Array) -> bool:
    return one.size == other.size and bool(_elements_equal(one, other).all())


def _elements_equal(one: Array, other: Array) -> npt.NDArray[np.bool_]:
    equal = np.asarray(one == other, bool)
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        equal |= np.isnan(one) & np.isnan(other)
    return equal


_KINDS = {"f": "numbers", "i": "numbers", "u": "numbers", "V": "numbers", "b": "bools", "O": "texts", "U": "texts"}
_KINDS |= {"S": "texts", "T": "texts"}


def fitting_labels(labels: Array, answer: Array, rows: int, *, by_row: bool, output: str) -> Array:
    """The labels as they are compared with answers.

    Raises:
        Error: OH605, they are of another kind or size than the answers.
    """
    if _kind(labels) == "objects" and not _is_ragged(labels):
        labels = np.array(labels.tolist())
    given, wanted = _kind(labels), _kind(answer)
    if given == "texts":
        labels = _texts(labels)
    if given != wanted and {given, wanted} != {"numbers", "bools"} and not _is_ragged(labels):
        raise Error("OH605", f"the labels are {given}, and the output {output!r} gives {wanted}")
    sizes = labels.size, answer.size
    if by_row and not _is_ragged(labels) and len(answer) == rows and sizes[0] != sizes[1]:
        raise Error(
            "OH605", f"a label has the shape {labels.shape[1:]}, and a row of the output {output!r} {answer.shape[1:]}"
        )
    return labels


def _kind(array: Array) -> str:
    if array.dtype.kind == "O" and array.size and not isinstance(array.flat[0], (str, bytes)):
        return "objects"
    return _KINDS.get(array.dtype.kind, "objects")


def _is_ragged(labels: Array) -> bool:
    return labels.dtype.kind == "O" and bool(labels.size) and isinstance(labels.flat[0], np.ndarray)


def _texts(labels: Array) -> Array:
    flat = [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in labels.ravel()]
    found = np.empty(len(flat), object)
    found[:] = flat
    return found.reshape(labels.shape)

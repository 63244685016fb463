"""Requests that are run together: their rows in one run, and each request's own rows of what comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.endpoint.slices import Cutting
from onnxhybrid.errors import Error
from onnxhybrid.model import Model

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Question:
    """What one request asks.

    Attributes:
        wanted: the outputs.
        feeds: the inputs.
        rows: how many rows it has.
    """

    wanted: tuple[str, ...]
    feeds: Mapping[str, Array]
    rows: int = 1


def rows_in(model: Model, batch: int | None) -> tuple[str, ...] | None:
    """The inputs that have rows, where requests may be run together; None where each is run by itself.

    Args:
        model: the model.
        batch: the rows of one run, by which somebody says that each row is answered by itself. None where nobody does:
            then the operators have to be known for it.

    Raises:
        Error: OH674, somebody does, and the model has no rows.
    """
    try:
        cutting = Cutting.of("hybrid", model, batch, meant=batch is not None)
    except Error as problem:
        raise Error("OH674", f"batch={batch}: {problem.message.partition(': ')[2] or problem.message}") from None
    return None if cutting is None else cutting.rows


def count(feeds: Mapping[str, Array], with_rows: Sequence[str]) -> int | None:
    """How many rows the inputs have; None where that cannot be told, so that the request is run by itself."""
    counts = {np.shape(feeds[name])[:1] for name in with_rows if name in feeds}
    if len(counts) != 1 or any(name not in feeds for name in with_rows):
        return None
    first = counts.pop()
    return int(first[0]) if first and first[0] else None


def alike(questions: Sequence[Question], with_rows: Sequence[str]) -> list[list[int]]:
    """The places of questions that can be run as one: the same outputs, types, sizes, and inputs without rows."""
    groups: dict[Any, list[int]] = {}
    for place, question in enumerate(questions):
        groups.setdefault(_kind(question, with_rows), []).append(place)
    return list(groups.values())


def _kind(question: Question, with_rows: Sequence[str]) -> Any:
    told: list[tuple[Any, ...]] = []
    for name, array in sorted(question.feeds.items()):
        if name in with_rows:
            told.append((name, str(array.dtype), array.shape[1:]))
        else:
            value = repr(array.tolist()) if array.dtype.kind == "O" else array.tobytes()
            told.append((name, str(array.dtype), array.shape, value))
    return question.wanted, tuple(told)


def joined(questions: Sequence[Question], with_rows: Sequence[str]) -> dict[str, Array]:
    """The inputs of questions that are alike, row below row."""
    if len(questions) == 1:
        return dict(questions[0].feeds)
    first = questions[0].feeds
    return {
        name: np.concatenate([question.feeds[name] for question in questions]) if name in with_rows else array
        for name, array in first.items()
    }


def parted(questions: Sequence[Question], outputs: Sequence[Array]) -> list[list[Array]] | None:
    """Each question's rows of the outputs; None where an output has not as many rows as were asked."""
    total = sum(question.rows for question in questions)
    if any(np.shape(output)[:1] != (total,) for output in outputs):
        return None
    stops = np.cumsum([question.rows for question in questions])
    return [
        [output[stop - each.rows : stop] for output in outputs] for each, stop in zip(questions, stops, strict=True)
    ]

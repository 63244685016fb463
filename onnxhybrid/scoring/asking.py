"""Asks for the rows of a slice: once together; where that fails, by halves until each failing row stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.scoring.blocks import Block
from onnxhybrid.scoring.opening import Opened
from onnxhybrid.scoring.patience import is_away, is_fatal
from onnxhybrid.scoring.plan import Stopped

Array = npt.NDArray[Any]

_MOST_AWAY = 3
"""Tries of a call that finds the remote away while others are answered: then it is these rows that it fails on."""


@dataclass(frozen=True)
class Part:
    """What became of some rows of a block.

    Attributes:
        start, stop: which.
        outputs: in the order of the plan's; None where they failed.
        sent: how many of them were sent; None where the graph does not tell.
        problem: why they failed.
    """

    start: int
    stop: int
    outputs: Sequence[Array] | None = None
    sent: int | None = None
    problem: Error | None = None

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.stop - self.start


def ask(opened: Opened, block: Block, start: int, stop: int) -> list[Part]:
    """The parts of a slice, in the order of its rows.

    A slice of n rows takes 2n - 1 calls at most, which is where all of them fail; for one failing row about 2 log2(n)
    more than the one that failed. A remote that is away fails its rows together, once it was waited for.

    Raises:
        Stopped: no other row would get past what happened.
    """
    try:
        return [_answered(opened, block, start, stop)]
    except Error as problem:
        if opened.stopping or is_fatal(problem):
            raise Stopped(problem) from problem
        if stop - start == 1 or is_away(problem):
            return [Part(start, stop, problem=problem)]
    middle = (start + stop) // 2
    return [*ask(opened, block, start, middle), *ask(opened, block, middle, stop)]


def _answered(opened: Opened, block: Block, start: int, stop: int) -> Part:
    """The rows answered together; a remote that is away is waited for.

    Raises:
        Error: the call failed.
        Stopped: an output has no row for each row.
    """
    tries, others = 0, opened.patience.answered
    while True:
        try:
            found = opened.run(block.feeds(start, stop))
        except Error as problem:
            tries += 1
            alone = tries >= _MOST_AWAY and opened.patience.answered > others
            if not is_away(problem) or alone or not opened.patience.wait(tries):
                raise
        else:
            opened.patience.note_answer()
            return _part(opened, found, start, stop)


def _part(opened: Opened, found: Sequence[Array], start: int, stop: int) -> Part:
    plan, rows = opened.plan, stop - start
    if plan.verdict:
        *outputs, verdict = found
        sent = int(np.count_nonzero(~verdict)) if verdict.ndim else rows * int(not verdict)
    else:
        outputs, sent = list(found), rows if plan.always_sent else None  # type: ignore[assignment]
    for output, array in zip(plan.outputs, outputs, strict=True):
        if output.form == "row" and (np.ndim(array) == 0 or len(array) != rows):
            problem = Error(
                "OH649", f"the output {output.spec} has the shape {list(array.shape)} for {rows} rows: it has no row "
                "for each row. Name the outputs that have, as in outputs=[…], or score with batch=1"
            )  # fmt: skip
            raise Stopped(problem)
    return Part(start, stop, outputs, sent)

"""Asks for the rows of a slice: together, and where that fails by parts, until each failing row stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.scoring.blocks import Block, some
from onnxhybrid.scoring.opening import Opened
from onnxhybrid.scoring.patience import Waiting, is_away, is_fatal, is_silent
from onnxhybrid.scoring.plan import Stopped

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Part:
    """What became of some rows of a block.

    Attributes:
        block: those rows alone.
        outputs: in the order of the plan's; None where they failed.
        sent: how many of them were sent; None where the graph does not tell.
        problem: why they failed.
    """

    block: Block
    outputs: Sequence[Array] | None = None
    sent: int | None = None
    problem: Error | None = None

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.block.places)


def ask(opened: Opened, block: Block) -> list[Part]:
    """The parts of a slice; their rows may be in another order.

    Where it fails, rows that are not sent are answered without those that are, if the graph tells them apart. The
    others are asked for by halves: n rows take 2n - 1 calls at most, which is where all of them fail; one failing row
    takes about 2 log2(n) more than the one that failed. A remote that is away fails the rows that are sent together,
    once it was waited for; where it is silent, and might be so to these rows alone, each half is tried once before.

    Raises:
        Stopped: no other row would get past what happened.
    """
    try:
        return _asked(opened, block, Waiting(), told_apart=False)
    except Stopped as stopped:
        opened.halt(stopped)
        raise


def _asked(opened: Opened, block: Block, call: Waiting, *, told_apart: bool) -> list[Part]:
    try:
        return [_answered(opened, block, call)]
    except Error as problem:
        if opened.stopping or is_fatal(problem):
            raise Stopped(problem) from problem
        return _apart(opened, block, call, problem, told_apart=told_apart)


def _apart(opened: Opened, block: Block, call: Waiting, problem: Error, *, told_apart: bool) -> list[Part]:
    """The parts of rows that failed together."""
    rows = len(block.places)
    if rows == 1:
        return [Part(block, problem=problem)]
    kept = None if told_apart else opened.kept(block.feeds(0, rows))
    if kept is not None and kept.any() and not kept.all():
        home, away = (some(block, np.flatnonzero(chosen)) for chosen in (kept, ~kept))
        answered = _asked(opened, home, Waiting(), told_apart=True)
        return [*answered, *_apart(opened, away, call, problem, told_apart=True)]
    halves = [some(block, half) for half in np.array_split(np.arange(rows), 2)]
    if is_away(problem) and not call.of_rows:
        return (_tried(opened, halves) if is_silent(problem) else []) or [Part(block, problem=problem)]
    return [part for half in halves for part in _asked(opened, half, Waiting(of_rows=call.of_rows), told_apart=True)]


def _tried(opened: Opened, halves: Sequence[Block]) -> list[Part]:
    """The parts of rows that got no answer while nobody else asked; none where neither half gets one."""
    parts: list[Part] = []
    failed: list[tuple[Block, Error]] = []
    for half in halves:
        try:
            parts.append(_answered(opened, half, Waiting(of_rows=True)))
        except Error as why:
            if opened.stopping or is_fatal(why):
                raise Stopped(why) from why
            failed.append((half, why))
    if not parts:
        return []
    for half, problem in failed:
        parts += _apart(opened, half, Waiting(of_rows=True), problem, told_apart=True)
    return parts


def _answered(opened: Opened, block: Block, call: Waiting) -> Part:
    """The rows answered together; a remote that is away is waited for.

    Raises:
        Error: the call failed.
        Stopped: an output has no row for each row.
    """
    while True:
        try:
            found = opened.run(block.feeds(0, len(block.places)))
        except Error as problem:
            if not is_away(problem) or not opened.patience.wait(call, problem):
                raise
        else:
            return _part(opened, found, block)


def _part(opened: Opened, found: Sequence[Array], block: Block) -> Part:
    plan, rows = opened.plan, len(block.places)
    outputs, sent = list(found), rows if plan.always_sent else None
    if plan.verdict:
        verdict = outputs.pop()
        sent = int(np.count_nonzero(~verdict)) if verdict.ndim else rows * int(not verdict)
    for output, array in zip(plan.outputs, outputs, strict=True):
        if output.form == "row" and (np.ndim(array) == 0 or len(array) != rows):
            problem = Error(
                "OH649", f"the output {output.spec} has the shape {list(array.shape)} for {rows} rows: it has no row "
                "for each row. Name the outputs that have, as in outputs=[…], or score with batch=1"
            )  # fmt: skip
            raise Stopped(problem)
    return Part(block, outputs, sent)

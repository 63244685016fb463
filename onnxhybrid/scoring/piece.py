"""Scores one piece: its rows are read, asked for in slices side by side, and written whole."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import closing
from dataclasses import dataclass

from onnxhybrid.errors import Error
from onnxhybrid.scoring import asking
from onnxhybrid.scoring.blocks import Block, block_of, cuts, some
from onnxhybrid.scoring.columns import Place
from onnxhybrid.scoring.opening import Opened
from onnxhybrid.scoring.plan import Plan, Result, Stopped, Task, Tell, Tick
from onnxhybrid.scoring.sources.reading import Reader
from onnxhybrid.scoring.writing import Writing


def nobody(_: Tick) -> None:
    """Tell nobody."""


def score_piece(opened: Opened, task: Task, reader: Reader | None = None, tell: Tell = nobody) -> Result:
    """Score a piece and write it whole: its file is there when this returns, and before that it is not.

    Args:
        opened: the session.
        task: the piece, and which of its rows.
        reader: reads on where the piece before ended; of several pieces one is read at a time.
        tell: is told of rows as they are done.

    Raises:
        Stopped: no other row would get past what happened.
        Error: OH642, a value does not fit; OH643, the source cannot be read; OH648, it was changed; OH652, the target
            cannot be written.
    """
    began = time.monotonic()
    if opened.record is not None:
        opened.record.begin(task.piece.number)
    own = reader or Reader(opened.plan)
    try:
        with closing(Writing(opened.plan, opened.settings.target, task)) as writing:
            for finished in _finished(opened, _blocks(opened.plan, task, own)):
                writing.add(finished.block, finished.parts)
                tell(_tick(opened, finished, writing))
            return writing.commit(time.monotonic() - began)
    finally:
        if reader is None:
            own.close()


@dataclass(frozen=True)
class _Finished:
    block: Block
    parts: list[asking.Part]


def _tick(opened: Opened, finished: _Finished, writing: Writing) -> Tick:
    """What a block came to. What calls cost is told of a session, and goes to the piece that asks first."""
    cost = opened.cost()
    told = sum(part.sent or 0 for part in finished.parts)
    sent = told if opened.plan.counts_rows else cost.calls
    tick = Tick(
        rows=sum(part.rows for part in finished.parts),
        failed=sum(part.rows for part in finished.parts if part.problem),
        sent=sent,
        spend=cost.spend,
    )
    writing.count(tick)
    return tick


def _blocks(plan: Plan, task: Task, reader: Reader) -> Iterator[Block]:
    """The rows of a task, in blocks of whole slices."""
    again = None if task.again is None else set(task.again)
    at, file = 0, plan.files[task.piece.file]
    for batch in reader.batches(task.piece):
        block = block_of(plan, batch, Place(file.name, task.piece.first + at), at)
        at += batch.num_rows
        if again is None:
            yield block
        elif chosen := [place for place, row in enumerate(block.places.tolist()) if row in again]:
            yield some(block, chosen)


def _finished(opened: Opened, blocks: Iterator[Block]) -> Iterator[_Finished]:
    """Blocks with what became of them, in order; as many slices are under way as there are workers, and some wait."""
    pending: deque[tuple[Block, list[Future[list[asking.Part]]]]] = deque()
    most = 2 * opened.settings.workers
    under_way = 0
    try:
        for block in blocks:
            futures = []
            for start, stop in cuts(len(block.places), opened.plan.batch):
                futures.append(opened.submit(asking.ask, opened, block, start, stop))
            pending.append((block, futures))
            under_way += len(futures)
            while under_way > most and len(pending) > 1:
                under_way -= len(pending[0][1])
                yield _taken(*pending.popleft())
        while pending:
            yield _taken(*pending.popleft())
    finally:
        for _, futures in pending:
            for future in futures:
                future.cancel()


def _taken(block: Block, futures: list[Future[list[asking.Part]]]) -> _Finished:
    try:
        return _Finished(block, [part for future in futures for part in future.result()])
    except CancelledError:
        raise Stopped(Error("OH514", "the scoring was stopped")) from None

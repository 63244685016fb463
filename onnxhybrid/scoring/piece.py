"""Scores one piece: its rows are read, asked for in slices side by side, and written whole."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import closing

from onnxhybrid.scoring import asking
from onnxhybrid.scoring.blocks import Block, block_of, cut, some
from onnxhybrid.scoring.columns import Place
from onnxhybrid.scoring.opening import Opened
from onnxhybrid.scoring.plan import Plan, Result, Task, Tell, Tick
from onnxhybrid.scoring.sources.reading import Reader
from onnxhybrid.scoring.writing import Writing

_MOST_BYTES = 128 << 20
"""Bytes of rows that are under way, or wait to be; two blocks there always are."""


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
        opened.record.begin(task.piece.number, task.generation)
    own = reader or Reader(opened.plan)
    try:
        # Blocks are closed here, or a traceback would keep them, and with them the turn to read.
        writing = Writing(opened.plan, opened.settings.target, task)
        with closing(writing), closing(_blocks(opened.plan, task, own)) as blocks:
            for parts in _finished(opened, blocks):
                writing.add(parts)
                tell(_tick(opened, parts, writing))
            return writing.commit(time.monotonic() - began)
    finally:
        if reader is None:
            own.close()


def _tick(opened: Opened, parts: list[asking.Part], writing: Writing) -> Tick:
    """What a block came to. What calls cost is told of a session, and goes to the piece that asks first."""
    cost = opened.cost()
    told = sum(part.sent or 0 for part in parts)
    sent = told if opened.plan.counts_rows else cost.calls
    tick = Tick(
        rows=sum(part.rows for part in parts),
        failed=sum(part.rows for part in parts if part.problem),
        sent=sent,
        spend=cost.spend,
    )
    writing.count(tick)
    return tick


def _blocks(plan: Plan, task: Task, reader: Reader) -> Generator[Block, None, None]:
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


def _finished(opened: Opened, blocks: Iterator[Block]) -> Iterator[list[asking.Part]]:
    """What became of blocks, in their order; as many slices are under way as there are workers, and some wait."""
    pending: deque[list[Future[list[asking.Part]]]] = deque()
    sizes: deque[int] = deque()
    most = 2 * opened.settings.workers
    under_way = 0
    try:
        for block in blocks:
            futures = [opened.submit(asking.ask, opened, part) for part in cut(block, opened.plan.batch)]
            pending.append(futures)
            under_way += len(futures)
            sizes.append(block.size)
            while (under_way > most or sum(sizes) > _MOST_BYTES) and len(pending) > 1:
                sizes.popleft()
                under_way -= len(pending[0])
                yield _taken(opened, pending.popleft())
        while pending:
            yield _taken(opened, pending.popleft())
    finally:
        for futures in pending:
            for future in futures:
                future.cancel()


def _taken(opened: Opened, futures: list[Future[list[asking.Part]]]) -> list[asking.Part]:
    try:
        return [part for future in futures for part in future.result()]
    except CancelledError:
        raise opened.ended() from None

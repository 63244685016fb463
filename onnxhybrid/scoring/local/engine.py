"""`local`: the engine that scores in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from onnxhybrid.errors import Error
from onnxhybrid.scoring.opening import open_session
from onnxhybrid.scoring.piece import score_piece
from onnxhybrid.scoring.plan import Plan, Result, Settings, Stopped, Task, Tell
from onnxhybrid.scoring.sources.reading import Reader

_PIECES = 2
"""Pieces under way: while one waits for its last slices, and is written, the other is read and keeps workers busy."""


def local(plan: Plan, tasks: Sequence[Task], settings: Settings, tell: Tell) -> Iterator[Result]:
    """Score tasks in this process: an `Engine`.

    Raises:
        Stopped, Error: as `score_piece`; what is under way then ends without being written.
    """
    opened = open_session(plan, settings)
    drivers = ThreadPoolExecutor(_PIECES, "onnxhybrid-piece")
    reader = Reader(plan)
    waiting, under_way = list(reversed(tasks)), set[Future[Result]]()
    try:
        while waiting or under_way:
            while waiting and len(under_way) < _PIECES:
                under_way.add(drivers.submit(score_piece, opened, waiting.pop(), reader, tell))
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            yield from [future.result() for future in done]
    except (Stopped, Error):  # what is under way is paid, and may be recorded
        opened.halt()
        raise
    except BaseException:
        opened.stop()
        raise
    finally:
        drivers.shutdown(wait=True, cancel_futures=True)
        reader.close()
        opened.close()

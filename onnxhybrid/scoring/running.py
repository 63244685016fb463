"""Runs an engine over what is left of a plan, and sums up, however that ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from onnxhybrid.errors import Error
from onnxhybrid.scoring import recording
from onnxhybrid.scoring.plan import Engine, Plan, Settings, Stopped, Task
from onnxhybrid.scoring.progress import Telling
from onnxhybrid.scoring.summary import Summary
from onnxhybrid.scoring.target import Target


def run(
    target: Target,
    plan: Plan,
    settings: Settings,
    engine: Engine,
    progress: bool | Callable[[Any], object],
    began: float,
) -> Summary:
    """Score what is left of a plan.

    Raises:
        Error: what ended all of it. The target holds what was whole by then, and `_summary.json`.
        KeyboardInterrupt: in the same way.
    """
    tasks = list(target.tasks(plan))
    telling = Telling(sum(_rows(task) for task in tasks), progress)
    try:
        if tasks:
            _work(target, plan, _replaying(settings, tasks), engine, tasks, telling)
    except Stopped as stopped:
        _tell_of(stopped.error, target, plan, began, always=True)
        raise stopped.error from None
    except Error as problem:
        _tell_of(problem, target, plan, began, always=False)
        raise
    except BaseException:
        with suppress(Error):
            target.summary(plan, time.monotonic() - began)
        raise
    return target.summary(plan, time.monotonic() - began)


def _work(
    target: Target, plan: Plan, settings: Settings, engine: Engine, tasks: Sequence[Task], telling: Telling
) -> None:
    try:
        for result in engine(plan, tasks, settings, telling.tell):
            target.take(result)
    finally:
        telling.end()
        if settings.replay is not None:
            with suppress(OSError):
                Path(settings.replay).unlink()


def _rows(task: Task) -> int:
    return task.piece.rows if task.again is None else len(task.again)


def _replaying(settings: Settings, tasks: Sequence[Task]) -> Settings:
    """The settings with what a record holds of answers for pieces that were begun and not finished."""
    if settings.record is None:
        return settings
    unfinished = {(task.piece.number, task.generation) for task in tasks}
    return replace(settings, replay=recording.leftover(settings.record, unfinished))


def _tell_of(error: Error, target: Target, plan: Plan, began: float, *, always: bool) -> None:
    """Add to an error how far it came, if it came anywhere, or always."""
    with suppress(Error):
        summary = target.summary(plan, time.monotonic() - began)
        if summary.rows or always:
            error.__notes__ = [*error.__notes__, f"{summary}. The same call goes on from there."]

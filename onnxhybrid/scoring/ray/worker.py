"""One worker of a cluster: an actor with a session of its own, which scores pieces."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from onnxhybrid.cluster.share import Share
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.runtime.statistics import AuditStats
from onnxhybrid.scoring import layout, recording
from onnxhybrid.scoring.opening import Opened, open_session
from onnxhybrid.scoring.piece import score_piece
from onnxhybrid.scoring.plan import Plan, Result, Settings, Task, Tick
from onnxhybrid.scoring.sources.reading import Reader


@dataclass(frozen=True)
class Job:
    """What all workers are told: it lies in Ray's object store once, and holds no secret.

    Attributes:
        plan: what is scored.
        settings: how.
        broker: the handle of the broker of limits; None where there are none to share.
    """

    plan: Plan
    settings: Settings
    broker: Any


@final
class Worker:
    """The actor. It opens its session with the first piece, so that what is wrong with it is an error of that piece."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._share: Share | None = None
        self._reader: Reader | None = None

    def score(self, given: list[Any], task: Task) -> tuple[Result, Tick]:
        """Score a piece: what it came to, and what this time was done of it.

        A piece that is there already, since its worker died between writing it and telling so, is not scored again.

        Raises:
            Stopped, Error: as `score_piece`.
        """
        opened, reader = self._ready(given)
        if (done := _done(opened.plan, opened.settings, task)) is not None:
            return done, Tick(task.piece.rows, 0, 0, 0.0)
        ticks: list[Tick] = []
        try:
            result = score_piece(opened, task, reader, ticks.append)
        finally:
            if self._share is not None:
                self._share.settle()
        return result, _sum(ticks)

    def end(self, *, now: bool) -> Mapping[str, AuditStats]:
        """End, at once or when nothing is under way: give back the share. What the audits found."""
        if self._opened is None:
            return {}
        if now:
            self._opened.stop()
        audits = self._opened.session.audit()
        if self._share is not None:
            self._share.leave()
        if self._opened.record is not None:
            self._opened.record.close()
        return audits

    def pid(self) -> int:
        """The process in which it is."""
        return os.getpid()

    def _ready(self, given: list[Any]) -> tuple[Opened, Reader]:
        with self._lock:
            if self._opened is None or self._reader is None:
                import ray

                job: Job = ray.get(given[0])
                worker = str(ray.get_runtime_context().get_actor_id())
                settings = _going_on(job.plan, self._limited(job), worker)
                self._opened = open_session(job.plan, settings, worker)
                self._reader = Reader(job.plan)
                if self._share is not None:
                    self._share.belongs_to(self._opened.session)
            return self._opened, self._reader

    def _limited(self, job: Job) -> Settings:
        policy = job.settings.session.get("policy")
        if job.broker is None or not isinstance(policy, Policy):
            return job.settings
        if self._share is None:
            self._share = Share(job.broker, policy)
        return replace(job.settings, session={**job.settings.session, "policy": self._share.policy})


def _done(plan: Plan, settings: Settings, task: Task) -> Result | None:
    """What a piece came to that was written before its worker died."""
    note = _note(plan, settings, task.piece.number)
    if note is None or note.generation < task.generation:
        return None
    return Result(task.piece.number, note.rows, note.failed, note.sent, note.seconds, note.spend)


def _note(plan: Plan, settings: Settings, piece: int) -> layout.Note | None:
    note = layout.note_of(layout.part_of(settings.target, piece))
    return note if note is not None and note.plan == plan.digest else None


def _generation(plan: Plan, settings: Settings, piece: int) -> int:
    """Which file of a piece is there; 0 for none."""
    note = _note(plan, settings, piece)
    return 0 if note is None else note.generation


def _going_on(plan: Plan, settings: Settings, worker: str) -> Settings:
    """The settings of a worker that was started again: what was recorded of unfinished pieces is not asked again."""
    if settings.record is None or not any(Path(settings.record).glob(f"{worker}-*.record")):
        return settings
    unfinished = {(piece.number, _generation(plan, settings, piece.number) + 1) for piece in plan.pieces}
    again = Path(settings.record) / f"again.{worker}.record"
    return replace(settings, replay=recording.leftover(settings.record, unfinished, again))


def _sum(ticks: list[Tick]) -> Tick:
    return Tick(
        rows=sum(tick.rows for tick in ticks),
        failed=sum(tick.failed for tick in ticks),
        sent=sum(tick.sent for tick in ticks),
        spend=sum(tick.spend for tick in ticks),
    )

"""`on_ray`: the engine that scores on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from onnxhybrid.cluster.broking import close_broker, is_limited, open_broker
from onnxhybrid.cluster.connection import connected
from onnxhybrid.cluster.sending import require_no_secrets
from onnxhybrid.errors import Error
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.scoring import layout
from onnxhybrid.scoring.plan import Plan, Portable, Result, Settings, Stopped, Task, Tell
from onnxhybrid.scoring.ray.worker import Job, Worker

_CALLED = 'engine="ray"'

_PIECES = 2
"""Pieces under way in a worker: while one waits for its last slices, and is written, the other keeps it busy."""

_ATTEMPTS = 20
"""How often a piece is begun again whose worker died: one that brings every worker down ends the scoring."""

_LAST = 10.0
"""Seconds that workers have to give back what they hold."""


def require_sendable(session: Mapping[str, Any]) -> None:
    """Refuse arguments of a session that cannot be sent to workers.

    Raises:
        Error: OH551, Ray is not installed; OH650, sess_options; OH671, secrets.
    """
    require_no_secrets(_CALLED, session.get("credentials"), session.get("policy"))
    if session.get("sess_options") is not None:
        raise Error("OH650", f"sess_options cannot be sent to workers: leave them out with {_CALLED}")


def on_ray(plan: Plan, tasks: Sequence[Task], settings: Settings, tell: Tell) -> Iterator[Result]:
    """Score tasks on a Ray cluster: an `Engine`.

    Each worker is an actor with one session. Ray starts one again that died, and gives it the pieces that it had.

    Raises:
        Stopped, Error: as `score_piece`; OH672, there is no cluster; OH673, a worker cannot work.
    """
    require_sendable(settings.session)
    ray = connected(_CALLED)
    policy: Policy = settings.session.get("policy") or Policy()
    count = _workers(ray, len(tasks), policy.max_concurrency)
    broker = open_broker(policy, count) if is_limited(policy) else None
    sent = {name: value for name, value in settings.session.items() if value is not None}
    job = ray.put(Job(_by_path(plan, settings), replace(settings, session=sent), broker))
    actor = ray.remote(Worker).options(
        num_cpus=1, max_concurrency=_PIECES + 1, max_restarts=-1, max_task_retries=_ATTEMPTS
    )
    workers = [actor.remote() for _ in range(count)]
    well = False
    try:
        yield from _scored(ray, workers, job, tasks, tell)
        well = True
    finally:
        _end(ray, workers, broker, well=well)


def _by_path(plan: Plan, settings: Settings) -> Plan:
    """The plan with a model that is a file, whose weights workers map; one that is none is saved beside the results."""
    if plan.model.path is not None:
        return plan
    path = Path(settings.target) / layout.STATE / "model.onnx"
    plan.model.model().save(path)
    return replace(plan, model=Portable(path))


def _workers(ray: Any, tasks: int, places: int | None) -> int:
    """As many as there are processors, if there is work for them and a place for a request of each."""
    processors = int(ray.cluster_resources().get("CPU", 1))
    return max(1, min(processors, -(-tasks // _PIECES), places or processors))


def _scored(ray: Any, workers: Sequence[Any], job: Any, tasks: Sequence[Task], tell: Tell) -> Iterator[Result]:
    pool = ray.util.ActorPool([worker for worker in workers for _ in range(_PIECES)])
    waiting = list(reversed(tasks))
    while waiting or pool.has_next():
        while waiting and pool.has_free():
            pool.submit(lambda worker, task: worker.score.remote([job], task), waiting.pop())
        try:
            result, tick = pool.get_next_unordered()
        except ray.exceptions.RayError as problem:
            _raise(problem)
        tell(tick)
        yield result


def _raise(problem: Any) -> NoReturn:
    """Raise what a worker raised, or what became of it."""
    cause = getattr(problem, "cause", None)
    if isinstance(cause, (Stopped, Error)):
        raise cause from None
    raise Stopped(Error("OH673", f"a worker cannot work: {problem}")) from None


def _end(ray: Any, workers: Sequence[Any], broker: Any, *, well: bool) -> None:
    """End the workers, who give back what they hold, and the broker."""
    ending = [worker.end.remote(now=not well) for worker in workers]
    ray.wait(ending, num_returns=len(ending), timeout=_LAST)
    for worker in workers:
        ray.kill(worker)
    if broker is not None:
        close_broker(broker)

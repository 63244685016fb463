"""The rows of a calibration on a Ray cluster: graphs run there, everything else stays where `calibrate` was called."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np

from onnxhybrid.calibration.asking import Open, Runner, fitting, sessions
from onnxhybrid.calibration.measuring import Measuring
from onnxhybrid.calibration.subject import Subject
from onnxhybrid.cluster.broking import close_broker, is_limited, open_broker
from onnxhybrid.cluster.connection import connected
from onnxhybrid.cluster.share import Share
from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.runtime import NodeStats, Session
from onnxhybrid.runtime.policy import Policy

_EACH = 4
"""Calls that are under way in a worker at once: local computes while remote answers."""

_ATTEMPTS = 5
"""How often a call is made again whose worker died."""


@dataclass(frozen=True)
class Job:
    """What all workers are told; it holds no secret.

    Attributes:
        hybrid: the path of the file, or its bytes where there is none.
        output: what is compared.
        session: arguments of the sessions.
        broker: the handle of the broker of limits; None where there are none to share.
    """

    hybrid: str | bytes
    output: str
    session: Mapping[str, Any]
    broker: Any


@final
class Worker:
    """The actor: sessions of the graphs that are measured, which it makes of the hybrid itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[str, Session] = {}
        self._share: Share | None = None

    def run(self, given: list[Any], which: str, names: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        """Run a graph of `Measuring`.

        Raises:
            Error: as `Session.run`.
        """
        session = self._session(given, which)
        try:
            return session.run(names, feeds)
        finally:
            if self._share is not None and which == "both":
                self._share.settle()

    def stats(self, which: str) -> Mapping[str, NodeStats]:
        """What the remote nodes of a graph did."""
        opened = self._opened.get(which)
        return {} if opened is None else dict(opened.stats())

    def _session(self, given: list[Any], which: str) -> Session:
        with self._lock:
            if which not in self._opened:
                import ray

                job: Job = ray.get(given[0])
                graphs = Subject.of(_loaded(job.hybrid), job.output, 1).graphs
                self._opened[which] = self._limited(job, which, graphs)
            return self._opened[which]

    def _limited(self, job: Job, which: str, graphs: Measuring) -> Session:
        """The session of a graph, with a share of the limits where it asks the remote."""
        graph, options = getattr(graphs, which), fitting(graphs, which, job.session)
        if job.broker is None or which != "both":
            return Session(graph, **options)
        if self._share is None:
            self._share = Share(job.broker, job.session["policy"])
        session = Session(graph, **{**options, "policy": self._share.policy})
        self._share.belongs_to(session)
        return session


def _loaded(hybrid: str | bytes) -> Model | str:
    if isinstance(hybrid, str):
        return hybrid
    from onnx import ModelProto

    return Model.from_proto(ModelProto.FromString(hybrid))


@contextmanager
def on_ray(
    hybrid: Model | str | os.PathLike[str], subject: Subject, session: Mapping[str, Any]
) -> Iterator[tuple[Open, int]]:
    """What opens runners whose calls go to workers of a cluster, and how many calls are under way at once.

    Raises:
        Error: OH551, Ray is not installed; OH672, there is no cluster.
    """
    ray = connected('engine="ray"')
    policy: Policy = session.get("policy") or Policy()
    processors = int(ray.cluster_resources().get("CPU", 1))
    count = max(1, min(processors, policy.max_concurrency or processors))
    broker = open_broker(policy, count) if is_limited(policy) else None
    given = hybrid.to_proto().SerializeToString() if isinstance(hybrid, Model) else os.path.abspath(os.fspath(hybrid))
    sent = {name: value for name, value in session.items() if value is not None}
    job = ray.put(Job(given, subject.output, sent, broker))
    actor = ray.remote(Worker).options(num_cpus=1, max_concurrency=_EACH, max_restarts=-1, max_task_retries=_ATTEMPTS)
    workers = [actor.remote() for _ in range(count)]
    try:
        here = sessions(subject.graphs, session)

        def opened(which: str) -> Runner:
            # What local asks for by itself is asked from here, as without a cluster: it has limits of its own.
            asks = which == "alone" and bool(subject.graphs.alone.remotes)
            return here(which) if asks else _Spread(ray, workers, job, which)

        yield opened, _EACH * count
    finally:
        for worker in workers:
            ray.kill(worker)
        if broker is not None:
            close_broker(broker)


@final
class _Spread(Runner):
    """Gives each call to the worker that has fewest."""

    def __init__(self, ray: Any, workers: Sequence[Any], job: Any, which: str) -> None:
        self._ray, self._workers, self._job, self._which = ray, workers, job, which
        self._under_way = [0] * len(workers)
        self._lock = threading.Lock()

    def submit(self, output_names: Sequence[str], feeds: Mapping[str, Any]) -> Future[list[Any]]:
        with self._lock:
            place = int(np.argmin(self._under_way))
            self._under_way[place] += 1
        told: Future[list[Any]] = Future()
        reference = self._workers[place].run.remote([self._job], self._which, list(output_names), dict(feeds))
        reference.future().add_done_callback(partial(self._done, place, told))
        return told

    def _done(self, place: int, told: Future[list[Any]], found: Future[list[Any]]) -> None:
        with self._lock:
            self._under_way[place] -= 1
        if not told.set_running_or_notify_cancel():
            return
        problem = found.exception()
        if problem is None:
            told.set_result(found.result())
            return
        cause = getattr(problem, "cause", None)
        told.set_exception(cause if isinstance(cause, Error) else Error("OH673", f"a worker cannot work: {problem}"))

    def stats(self) -> Mapping[str, NodeStats]:
        each = self._ray.get([worker.stats.remote(self._which) for worker in self._workers])
        called = [stats for stats in each if any(node.p50 is not None for node in stats.values())]
        return called[0] if called else {}

"""Runs the rows of a calibration: local on each, remote on each once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.feeding import Batch
from onnxhybrid.calibration.measuring import Measuring
from onnxhybrid.calibration.record import Keys, Record
from onnxhybrid.calibration.row_keys import row_keys
from onnxhybrid.errors import CredentialError, Error, PolicyDenied, RemoteError
from onnxhybrid.runtime import NodeStats, Session

Array = npt.NDArray[Any]

UNDER_WAY = 4
"""Calls that are under way at once: local computes while remote answers."""

_HOPELESS = 10
"""Failed calls after which, where none succeeded before, the remote is not there."""


class Runner(Protocol):
    """What runs a graph: a session, or several of them elsewhere."""

    def submit(self, output_names: Sequence[str], feeds: Mapping[str, Any]) -> Future[list[Any]]:
        """As `Session.submit`."""

    def stats(self) -> Mapping[str, NodeStats]:
        """As `Session.stats`."""


Open = Callable[[str], Runner]
"""Opens what runs a graph of `Measuring`: "both" or "alone"."""


def sessions(graphs: Measuring, options: Mapping[str, Any]) -> Open:
    """Opens sessions in this process.

    Args:
        graphs: what is run.
        options: options of the sessions.
    """

    def open_session(which: str) -> Runner:
        return Session(getattr(graphs, which), **fitting(graphs, which, options))

    return open_session


def fitting(graphs: Measuring, which: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a graph takes: one without remote nodes knows neither credentials nor endpoints."""
    has_remotes = which == "both" or bool(graphs.alone.remotes)
    return {name: value for name, value in options.items() if has_remotes or name not in ("credentials", "endpoints")}


@dataclass(frozen=True)
class Outcome:
    """What the units of a batch gave.

    Attributes:
        batch: the batch.
        local, remote: the answers; None where remote's call failed.
        scores, verdicts: what the graph of `Measuring` gives of these names.
        answered: for each unit whether remote answered it.
    """

    batch: Batch
    local: Array | None
    remote: Array | None
    scores: Sequence[Array]
    verdicts: Sequence[Array]
    answered: npt.NDArray[np.bool_]


@dataclass
class _Job:
    """A batch of which the calls are under way."""

    batch: Batch
    keys: Keys
    asked: list[int]
    known: list[Array | None]
    both: Future[list[Any]] | None
    alone: Future[list[Any]] | None


class Asking:
    """A calibration's sessions, its record and its failures.

    Args:
        graphs: what is run.
        by_row: whether axis 0 of the answers counts units.
        record: where answers are kept.
        runner: opens what runs them.
        under_way: calls that are under way at once.
    """

    def __init__(
        self,
        graphs: Measuring,
        *,
        by_row: bool,
        record: Record | None,
        runner: Open,
        under_way: int = UNDER_WAY,
    ) -> None:
        self._graphs, self._by_row, self._record = graphs, by_row, record
        self._open, self._most = runner, under_way
        self._both = runner("both")
        self._alone: Runner | None = None
        self._under_way: set[bytes] = set()
        self._succeeded = self._failed = 0

    def outcomes(self, batches: Iterable[Batch]) -> Iterator[Outcome]:
        """The outcome of each batch, in order.

        Raises:
            RemoteError: a credential is missing, the policy refuses, or the remote never answers (OH609).
            Error: OH604, the data do not fit; OH610, the record cannot be written.
        """
        jobs: deque[_Job] = deque()
        try:
            for batch in batches:
                keys = row_keys(batch) if self._record is not None else []
                while jobs and (len(jobs) >= self._most or not self._under_way.isdisjoint(keys)):
                    outcome = self._finished(jobs[0])
                    jobs.popleft()  # not before it is finished: what stops a calibration ends its calls
                    yield outcome
                jobs.append(self._begun(batch, keys))
            while jobs:
                outcome = self._finished(jobs[0])
                jobs.popleft()
                yield outcome
        finally:
            for job in jobs:
                for future in (job.both, job.alone):
                    if future is not None:
                        future.cancel()

    def request_time(self) -> float | None:
        """The median time of the remote calls that one run makes, in seconds; None where none was made."""
        times = [node.p50 for node in self._both.stats().values() if node.p50 is not None]
        return sum(times) if times else None

    def _begun(self, batch: Batch, keys: Keys) -> _Job:
        known: list[Array | None] = []
        asked = list(range(batch.rows))
        if self._record is not None:
            known = self._record.found(keys)
            first = {key: place for place, key in reversed(list(enumerate(keys)))}
            asked = [place for place in asked if known[place] is None and first[keys[place]] == place]
            self._under_way.update(keys)
        whole = len(asked) == batch.rows
        both = alone = None
        if asked:
            feeds = batch.feeds if whole else batch.at(np.array(asked))
            both = self._both.submit(self._graphs.all, feeds)
        if not whole:
            alone = self._session_alone().submit(self._graphs.judged, batch.feeds)
        return _Job(batch, keys, asked, known, both, alone)

    def _session_alone(self) -> Runner:
        if self._alone is None:
            self._alone = self._open("alone")
        return self._alone

    def _finished(self, job: _Job) -> Outcome:
        self._under_way.difference_update(job.keys)
        fresh = self._answers(job.both) if job.both else None
        judged = fresh
        if job.alone is not None:
            judged = _fitting(job.alone.result)
        answers = None if fresh is None else fresh[len(self._graphs.judged)]
        if answers is not None and self._record is not None:
            self._record.keep([job.keys[place] for place in job.asked], self._by_unit(answers))
        if judged is None:  # remote's call failed, and with it the run
            return Outcome(job.batch, None, None, (), (), np.zeros(job.batch.rows, bool))
        remote, answered = self._united(job, answers)
        scores = len(self._graphs.scores)
        return Outcome(job.batch, judged[0], remote, judged[1 : 1 + scores],
                       judged[1 + scores : len(self._graphs.judged)], answered)  # fmt: skip

    def _by_unit(self, answers: Array) -> Array:
        return answers if self._by_row else np.asarray(answers)[np.newaxis]

    def _answers(self, run: Future[list[Any]]) -> list[Any] | None:
        """What a run gave; None where remote's call failed."""
        try:
            found = _fitting(run.result)
        except (CredentialError, PolicyDenied):
            raise
        except RemoteError as problem:
            self._count_failure(problem)
            return None
        if self._graphs.succeeded and not np.all(found[-1]):
            self._count_failure(None)
            return None
        self._succeeded += 1
        return found

    def _count_failure(self, problem: RemoteError | None) -> None:
        self._failed += 1
        if not self._succeeded and self._failed >= _HOPELESS:
            why = f": {problem.message}" if problem else ""
            raise Error("OH609", f"the remote answered none of the first {self._failed} calls{why}") from problem

    def _united(self, job: _Job, fresh: Array | None) -> tuple[Array | None, npt.NDArray[np.bool_]]:
        """Remote's answers to all units, the recorded and the fresh ones, and which units have one."""
        if fresh is not None and len(job.asked) == job.batch.rows:
            return fresh, np.ones(job.batch.rows, bool)
        known = dict(zip(job.keys, job.known, strict=True))
        if fresh is not None:
            known.update(zip([job.keys[place] for place in job.asked], self._by_unit(fresh), strict=True))
        answers = [known[key] for key in job.keys]
        answered = np.array([answer is not None for answer in answers], bool)
        present = [answer for answer in answers if answer is not None]
        if not present:
            return None, answered
        if not self._by_row:
            return present[0], answered
        filled = [present[0] if answer is None else answer for answer in answers]
        return _stacked(filled), answered


def _stacked(rows: Sequence[Any]) -> Array:
    """Answers, one a row; those of different shapes as objects."""
    shapes = {np.shape(row) for row in rows}
    if len(shapes) == 1 and not isinstance(rows[0], str):
        return np.stack(rows)
    found = np.empty(len(rows), object)
    for place, row in enumerate(rows):
        found[place] = row
    return found


def _fitting(result: Any) -> list[Any]:
    """What a run gave.

    Raises:
        Error: OH604, ONNX Runtime refused what it was fed.
    """
    try:
        found: list[Any] = result()
    except RemoteError:
        raise
    except Error as problem:
        if problem.code in ("OH540", "OH543"):
            raise Error("OH604", f"the data do not fit the cascade: {problem.message}") from problem
        raise
    return found

"""The session of a worker: what it fetches, what its calls cost, and what ends all of its runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, final

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.runtime import Session
from onnxhybrid.runtime.run_future import quiet
from onnxhybrid.scoring import recording
from onnxhybrid.scoring.patience import Patience
from onnxhybrid.scoring.plan import Plan, Settings, Stopped

Array = npt.NDArray[Any]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Cost:
    """What calls came to since it was last asked."""

    calls: int = 0
    spend: float = 0.0


@final
class Opened:
    """A session that scores, with its threads. Any number of pieces may be scored with it at once.

    Args:
        plan: what is scored.
        settings: how.
        worker: the worker's name, which no other one has in this target.
    """

    def __init__(self, plan: Plan, settings: Settings, worker: str = "0") -> None:
        self.plan, self.settings = plan, settings
        self.patience = Patience(settings.patience, self._answered)
        self._options = quiet()
        self._names = [output.spec.name for output in plan.outputs] + ([plan.verdict] if plan.verdict else [])
        given = dict(settings.session)
        self.record = None if settings.record is None else recording.Writing(settings.record, worker)
        model = self._model()
        if self.record is not None:
            given["record"] = self.record.path
        self.session = Session(model, **given)
        # A call that a record holds is not made: that session sends nothing, knows no credential, and spends nothing.
        replay = settings.replay
        self._replay = None if replay is None else Session(model, **_unsent(settings.session), replay=replay)
        self.pool = ThreadPoolExecutor(settings.workers, "onnxhybrid-score")
        self._local: Session | None = None
        self.cause: Stopped | None = None
        self._lock, self._told = threading.Lock(), Cost()

    def _model(self) -> Any:
        """The model, with the verdict among its outputs."""
        source, verdict = self.plan.model, self.plan.verdict
        if verdict is None:
            return source.path or source.model()
        return source.model().expose([verdict])

    def run(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """The outputs of the plan, and behind them the verdict, if there is one.

        Raises:
            Error: the call failed.
        """
        if self._replay is not None:
            with suppress(Error):  # what the record lacks, or holds as a failure, is asked for
                found: Sequence[Array] = self._replay.run(self._names, feeds, self._options)
                return found
        answered: Sequence[Array] = self.session.run(self._names, feeds, self._options)
        return answered

    def kept(self, feeds: dict[str, Array]) -> npt.NDArray[np.bool_] | None:
        """Which rows are not sent, found without a call; None where the graph does not tell.

        What decides is opened as a session of its own when it is first needed.
        """
        if self.plan.verdict is None or self.plan.batch == 1:
            return None
        with self._lock:
            if self._local is None:
                self._local = Session(self._model().select([self.plan.verdict]), **_local(self.settings.session))
        names = {each.name for each in (*self._local.get_inputs(), *self._local.get_overridable_initializers())}
        try:
            (found,) = self._local.run(None, {name: array for name, array in feeds.items() if name in names})
        except Error:  # it is local that fails on one of the rows
            return None
        rows: npt.NDArray[np.bool_] = np.ravel(found)
        return rows

    def submit(self, work: Callable[..., _T], *given: Any) -> Future[_T]:
        """Do `work(*given)` on one of its threads.

        Raises:
            Stopped: all ends.
        """
        try:
            return self.pool.submit(work, *given)
        except RuntimeError:  # it was shut down
            raise self.ended() from None

    def ended(self) -> Stopped:
        """What ended it."""
        return self.cause or Stopped(Error("OH514", "the scoring was stopped"))

    def cost(self) -> Cost:
        """What the calls cost since this was last asked."""
        with self._lock:
            stats = self.session.stats()
            now = Cost(sum(node.calls for node in stats.values()), sum(node.spent for node in stats.values()))
            told, self._told = self._told, now
        return Cost(now.calls - told.calls, max(0.0, now.spend - told.spend))

    def _answered(self) -> int:
        """How many remote calls were answered so far."""
        return sum(node.calls - sum(node.errors.values()) for node in self.session.stats().values())

    @property
    def stopping(self) -> bool:
        """Whether all ends."""
        return bool(self._options.terminate)

    def halt(self, cause: Stopped | None = None) -> None:
        """Begin nothing more; what is under way goes on.

        Args:
            cause: what ended it, which is told wherever something is not begun any more; the first one counts.
        """
        self.cause = self.cause or cause
        self.patience.stop()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """End what is under way, too: remote calls at once, what is computed with the node at which it is."""
        self._options.terminate = True
        self.halt()

    def close(self) -> None:
        """End its threads, when they have nothing to do."""
        self.pool.shutdown(wait=True)
        self.session = self._replay = self._local = None  # type: ignore[assignment]  # their memory is given back
        if self.record is not None:
            self.record.close()


def _unsent(session: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in session.items() if name not in ("credentials", "policy", "replay")}


def _local(session: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in session.items() if name in ("sess_options", "providers")}


def open_session(plan: Plan, settings: Settings, worker: str = "0") -> Opened:
    """Open the session of a worker.

    Raises:
        Error: as `oh.Session`; OH654, the record cannot be used.
    """
    return Opened(plan, settings, worker)

"""The session of a worker: what it fetches, what its calls cost, and what ends all of its runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, final

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
        self.patience = Patience(settings.patience)
        self._options = quiet()
        self._names = [output.spec.name for output in plan.outputs] + ([plan.verdict] if plan.verdict else [])
        given = dict(settings.session)
        self.record = None if settings.record is None else recording.Writing(settings.record, worker)
        # A call that a record holds is not made: that session sends nothing, and knows no credential.
        model = self._model()
        replay = settings.replay
        self._replay = None if replay is None else Session(model, **_unsent(given), replay=replay)
        if self.record is not None:
            given["record"] = self.record.path
        self.session = Session(model, **given)
        self.pool = ThreadPoolExecutor(settings.workers, "onnxhybrid-score")
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

    def submit(self, work: Callable[..., _T], *given: Any) -> Future[_T]:
        """Do `work(*given)` on one of its threads.

        Raises:
            Stopped: all ends.
        """
        try:
            return self.pool.submit(work, *given)
        except RuntimeError:  # it was shut down
            raise Stopped(Error("OH514", "the scoring was stopped")) from None

    def cost(self) -> Cost:
        """What the calls cost since this was last asked."""
        with self._lock:
            stats = self.session.stats()
            now = Cost(sum(node.calls for node in stats.values()), sum(node.spent for node in stats.values()))
            told, self._told = self._told, now
        return Cost(now.calls - told.calls, max(0.0, now.spend - told.spend))

    @property
    def stopping(self) -> bool:
        """Whether all ends."""
        return bool(self._options.terminate)

    def stop(self) -> None:
        """End what is under way: remote calls at once, what is computed with the node at which it is."""
        self._options.terminate = True
        self.patience.stop()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End its threads, when they have nothing to do."""
        self.pool.shutdown(wait=True)
        self.session = self._replay = None  # type: ignore[assignment]  # their memory is given back
        if self.record is not None:
            self.record.close()


def _unsent(session: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in session.items() if name not in ("credentials", "record", "replay")}


def open_session(plan: Plan, settings: Settings, worker: str = "0") -> Opened:
    """Open the session of a worker.

    Raises:
        Error: as `oh.Session`; OH654, the record cannot be used.
    """
    return Opened(plan, settings, worker)

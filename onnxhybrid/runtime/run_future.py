"""`RunFuture`: the outputs of a run that goes on elsewhere, and the way to end it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any

import onnxruntime

from onnxhybrid import library
from onnxhybrid.runtime.interruption import interruptible

_LOG = logging.getLogger("onnxhybrid")


class RunFuture(Future[list[Any]]):
    """The outputs of a run, in the order of the names that were asked for.

    Unlike a plain Future it can be cancelled while it runs: its remote calls end at once, and whoever waits for
    the result gets CancelledError. `concurrent.futures.wait` returns when the run has ended too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._run = library.Run()
        self._begun = False

    def cancel(self) -> bool:
        """End the run; False if it is over already."""
        cancelled = super().cancel()
        if cancelled:
            self._run.cancel()
        return cancelled

    def running(self) -> bool:
        """Whether the run has begun and is not over."""
        # To the base class a run is pending all the time, or it could not be cancelled.
        return self._begun and not self.done()

    def fulfil(self, run_options: onnxruntime.RunOptions | None, work: Callable[[], list[Any]]) -> None:
        """Do the run on this thread; what it raises becomes the future's."""
        try:
            if not self.cancelled():
                self._begun = True
                _settle(self.set_result, interruptible(self._run.id, run_options, work))
        except BaseException as problem:  # noqa: BLE001  # belongs to whoever asks for the result
            _settle(self.set_exception, problem)
        if self.cancelled():
            self.set_running_or_notify_cancel()
        self = None  # type: ignore[assignment]  # noqa: PLW0642  # the exception refers to this frame


def _settle(settle: Callable[[Any], object], outcome: Any) -> None:
    """Tell a future its outcome, whatever its callbacks raise: the thread goes on to other runs."""
    try:
        settle(outcome)
    except InvalidStateError:  # cancelled meanwhile
        pass
    except BaseException:  # noqa: BLE001  # as sys.exit raises, which concurrent.futures lets pass
        _LOG.exception("a callback of a run raised")

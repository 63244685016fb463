"""`RunFuture`: the outcome of a run that goes on on another thread, and the way to end it."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import closing, suppress
from contextvars import copy_context
from typing import Any, TypeVar

import onnxruntime

from onnxhybrid import library
from onnxhybrid.errors import Error
from onnxhybrid.runtime.ending import Ending
from onnxhybrid.runtime.interruption import interruptible
from onnxhybrid.runtime.workers import do

_LOG = logging.getLogger("onnxhybrid")


_T = TypeVar("_T")
_FATAL = 4
_LOOK = 0.2
"""Seconds between two looks for signals."""


def quiet() -> onnxruntime.RunOptions:
    """Options with which ONNX Runtime does not print the failures that it raises."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL
    return options


class RunFuture(Future[_T]):
    """The outcome of a run, such as its outputs in the order of the names that were asked for.

    Unlike a plain Future it can be cancelled while it runs: its remote calls end at once, what it computes ends with
    the node at which it is, and whoever waits for the result gets CancelledError. `concurrent.futures.wait` returns
    when the run has ended too.
    """

    def __init__(
        self,
        given: onnxruntime.RunOptions | None,
        work: Callable[[onnxruntime.RunOptions], _T],
        perform: Callable[..., _T] = interruptible,
    ) -> None:
        """Prepare a run.

        Args:
            given: the user's options for it, who may set `terminate` at any time; None for options of its own.
            work: the run, given the options.
            perform: does it: `interruptible`, or what does more around that.
        """
        super().__init__()
        self._run = library.Run()
        self._given, self._work, self._perform = given, work, perform
        self._ending: Ending | None = None

    def begin(self) -> None:
        """Let the run begin, in the context of the caller.

        Raises:
            Error: OH541, there is no thread to run on.
        """
        do(functools.partial(copy_context().run, self._fulfil))

    def cancel(self) -> bool:
        """End the run; False if it is over already."""
        cancelled = super().cancel()
        if cancelled:
            self._run.cancel()
            if (ending := self._ending) is not None:
                ending.end()
        return cancelled

    def running(self) -> bool:
        """Whether the run has begun and is not over."""
        # To the base class a run is pending all the time, or it could not be cancelled.
        return self._ending is not None and not self.done()

    def _fulfil(self) -> None:
        """Do the run on this thread; what it raises becomes the future's."""
        options = quiet() if self._given is None else self._given
        try:
            with closing(Ending(options)) as ending:
                self._ending = ending
                # Whoever cancels from here on finds the ending, and whoever did so before is found here.
                if not self.cancelled():
                    _settle(self.set_result, self._perform(self._run.id, self._given, self._work, options))
        except BaseException as problem:  # noqa: BLE001  # belongs to whoever asks for the result
            _settle(self.set_exception, problem)
        if self.cancelled():
            self.set_running_or_notify_cancel()
        self = None  # type: ignore[assignment]  # noqa: PLW0642  # the exception refers to this frame


def is_main_thread() -> bool:
    """Whether this thread is the one that handles signals, which it cannot do while it computes."""
    return threading.get_ident() == threading.main_thread().ident


def apart(
    given: onnxruntime.RunOptions | None,
    work: Callable[[onnxruntime.RunOptions], _T],
    perform: Callable[..., _T] = interruptible,
) -> _T:
    """Do a run on another thread and wait for it, so that what a signal handler raises meanwhile ends it.

    A thread that computes handles no signals. What is raised comes out when the run is over, or at the next signal.

    Args:
        given: the user's options for it; None for options of its own.
        work: the run, given the options.
        perform: as for `RunFuture`.
    """
    future = RunFuture(given, work, perform)
    try:
        future.begin()
    except Error:  # the interpreter is ending
        return perform(0, given, work, quiet() if given is None else given)
    except BaseException:  # of a signal handler, while the run began
        future.cancel()
        raise
    try:
        return _awaited(future)
    finally:
        if not future.done():
            future.cancel()
            wait((future,))


def _awaited(future: Future[_T]) -> _T:
    """What a future brings. A signal that comes just before the main thread sleeps does not wake it: it looks again."""
    while not future.done():
        with suppress(futures.TimeoutError):
            future.exception(_LOOK)
    return future.result()


def _settle(settle: Callable[[Any], object], outcome: Any) -> None:
    """Tell a future its outcome, whatever its callbacks raise: the thread goes on to other runs."""
    try:
        settle(outcome)
    except InvalidStateError:  # cancelled meanwhile
        pass
    except BaseException:  # noqa: BLE001  # as sys.exit raises, which concurrent.futures lets pass
        _LOG.exception("a callback of a run raised")

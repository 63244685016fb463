"""What ends a run that waits: a signal such as Ctrl-C, `RunOptions.terminate`, or a cancelled future.

A signal handler may raise between any two steps of Python. So nothing that the library holds hangs on what Python does
next: the functions that it may call are never freed, and a run that was not left is left with the next one around it.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Generator
from threading import get_ident, main_thread
from types import GeneratorType
from typing import Any, TypeVar, cast

import onnxruntime

from onnxhybrid import library
from onnxhybrid.runtime.failures import translated

_T = TypeVar("_T")


class _Watch:
    """Answers the library's question whether a wait is to go on, from inside a run of the main thread.

    Python handles signals as soon as it runs Python code again on that thread, which is here. What a handler raises is
    kept, since no exception may cross into the library. A function could not keep it, because signals are handled
    before its first line; a generator resumes inside its try. If it dies of a signal that comes while it handles
    another, its answer from then on is the default of `next`: the wait is to end.
    """

    def __init__(self) -> None:
        self.options: onnxruntime.RunOptions | None = None
        self.caught: BaseException | None = None
        self.answers = cast("GeneratorType[int, None, None]", self._answering())
        next(self.answers)
        self.check = library.Check(functools.partial(next, self.answers, 1))

    def _answering(self) -> Generator[int, None, None]:
        answer = 0
        while True:
            try:
                while True:
                    yield answer
                    answer = int(self.caught is not None or (self.options is not None and self.options.terminate))
            except GeneratorExit:
                return
            except BaseException as problem:  # noqa: BLE001  # the border of the interpreter
                self.caught, answer = problem, 1


class _Here(threading.local):
    """The same on a thread that handles no signals."""

    options: onnxruntime.RunOptions | None = None
    caught: BaseException | None = None
    check = library.Check(lambda: int(_here.options is not None and _here.options.terminate))


_here: _Here = _Here()
_watches = [_Watch()]  # none is ever freed
_tokens = itertools.count(1)


def _watch() -> _Watch:
    """A watch that is not at work, as one is while a signal handler runs that it called, which may run a session."""
    for watch in _watches:
        if not watch.answers.gi_running and watch.answers.gi_frame is not None:
            return watch
    _watches.append(_Watch())
    return _watches[-1]


def interruptible(run: int, run_options: onnxruntime.RunOptions | None, work: Callable[..., _T], *given: Any) -> _T:
    """Do `work(*given)`, a call of ONNX Runtime on this thread, as the library's run of this id (0: one without).

    Raises:
        Error: what ONNX Runtime raised, in our terms.
        BaseException: what a signal handler raised meanwhile.
    """
    enter, leave = library.border()
    watch: _Watch | _Here = _watch() if get_ident() == main_thread().ident else _here
    check = library.UNCHECKED if run_options is None and watch is _here else watch.check
    options, caught, token = watch.options, watch.caught, next(_tokens)  # of the run around this one, if there is one
    try:
        watch.options, watch.caught = run_options, None
        enter(run, check, token)
        return work(*given)
    except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
        raise watch.caught or translated(problem) from None
    finally:
        leave(token)
        watch.options, watch.caught = options, caught

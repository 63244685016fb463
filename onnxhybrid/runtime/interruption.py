"""What ends a run that waits: a signal such as Ctrl-C, `RunOptions.terminate`, or a cancelled future."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from threading import get_ident, main_thread
from typing import Any, TypeVar

import onnxruntime

from onnxhybrid import library
from onnxhybrid.runtime.failures import translated

_T = TypeVar("_T")


class _Watch:
    """Answers the library's question whether a wait is to go on, from inside ONNX Runtime's run.

    The library asks on the thread that runs. If that is the main thread, Python handles signals as soon as it runs
    Python code again, which is here. What a handler raises is kept, since no exception may cross into the library. A
    function could not keep it, because signals are handled before its first line; a generator resumes inside its try.
    """

    def __init__(self) -> None:
        self.options: onnxruntime.RunOptions | None = None
        self.caught: BaseException | None = None
        answers = self._answers()
        next(answers)
        self.check = library.Check(functools.partial(next, answers))

    def _answers(self) -> Iterator[int]:
        answer = 0
        try:
            while True:
                yield answer
                answer = int(self.options is not None and self.options.terminate)
        except GeneratorExit:
            return
        except BaseException as problem:  # noqa: BLE001  # the border of the interpreter
            self.caught = problem
        while True:
            yield 1


_watches: list[_Watch] = []  # those that nobody uses; making one takes longer than a small run


def interruptible(run: int, run_options: onnxruntime.RunOptions | None, work: Callable[..., _T], *given: Any) -> _T:
    """Do `work(*given)`, a call of ONNX Runtime on this thread, as the library's run of this id (0: one without).

    Raises:
        Error: what ONNX Runtime raised, in our terms.
        BaseException: what a signal handler raised while the run waited.
    """
    enter, leave = library.border()
    if run_options is None and get_ident() != main_thread().ident:
        watch, check = None, library.UNCHECKED
    else:
        watch = _watches.pop() if _watches else _Watch()
        watch.options, check = run_options, watch.check
    enter(run, check)
    try:
        return work(*given)
    except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
        raise _cause(problem, watch) from None
    finally:
        leave()
        if watch is not None:
            watch.options = None
            if watch.caught is None:
                _watches.append(watch)


def _cause(problem: Exception, watch: _Watch | None) -> BaseException:
    """What ended a run that raised: a signal handler's own exception, or ONNX Runtime's in our terms."""
    if watch is not None and watch.caught is not None:
        return watch.caught
    return translated(problem)

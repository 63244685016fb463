"""What ends a run that waits: a signal such as Ctrl-C, `RunOptions.terminate`, or a cancelled future."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import onnxruntime

from onnxhybrid import library
from onnxhybrid.runtime.failures import translated

_T = TypeVar("_T")


class _Watch:
    """Answers the library's question whether a wait is to go on, from inside ONNX Runtime's run.

    The question is asked on the thread that runs. On the main thread Python handles signals as soon as it gets back
    to Python code, which is here; what a handler raises has to be kept, since no exception may cross into the
    library. A function could not keep it: signals are handled before its first line. A generator can, since it
    resumes inside its own try.
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
    """Do `work(*given)`, a call of ONNX Runtime on this thread, as the library's run of this id (0: one without a name).

    Raises:
        Error: what ONNX Runtime raised, in our terms.
        BaseException: what a signal handler raised while the run waited.
    """
    if run_options is None and threading.get_ident() != threading.main_thread().ident:
        return _within(run, library.UNCHECKED, work, given)
    watch = _watches.pop() if _watches else _Watch()
    watch.options = run_options
    try:
        return _within(run, watch.check, work, given)
    except Exception:
        if watch.caught is not None:
            raise watch.caught from None
        raise
    finally:
        watch.options = None
        if watch.caught is None:
            _watches.append(watch)


def _within(run: int, check: library.CheckFunction, work: Callable[..., _T], given: tuple[Any, ...]) -> _T:
    library.enter(run, check)
    try:
        return work(*given)
    except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
        raise translated(problem) from None
    finally:
        library.leave()

"""What ends a run that waits: a signal such as Ctrl-C, `RunOptions.terminate`, or a cancelled future.

A signal handler may raise between any two steps of Python. So nothing that the library holds hangs on what Python does
next: the functions that it may call are never freed, and a run that was not left is left with the next one around it.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

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
        self.answers = self._answering()
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


_watches: list[_Watch] = []  # for the runs of the main thread, by how many are around them
_dead: list[_Watch] = []  # kept all the same: the library may still ask them


class _Here(threading.local):
    options: onnxruntime.RunOptions | None = None


_here = _Here()  # the options of the run on a thread that handles no signals
_terminated = library.Check(lambda: int(_here.options is not None and _here.options.terminate))


def interruptible(run: int, run_options: onnxruntime.RunOptions | None, work: Callable[..., _T], *given: Any) -> _T:
    """Do `work(*given)`, a call of ONNX Runtime on this thread, as the library's run of this id (0: one without).

    Raises:
        Error: what ONNX Runtime raised, in our terms.
        BaseException: what a signal handler raised meanwhile.
    """
    if threading.get_ident() == threading.main_thread().ident:
        return _on_main_thread(run, run_options, work, *given)
    around, _here.options = _here.options, run_options
    enter, leave, depth = library.border()
    before = depth()
    try:
        enter(run, library.UNCHECKED if run_options is None else _terminated)
        return work(*given)
    except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
        raise translated(problem) from None
    finally:
        leave(before)
        _here.options = around


def _on_main_thread(run: int, run_options: onnxruntime.RunOptions | None, work: Callable[..., _T], *given: Any) -> _T:
    enter, leave, depth = library.border()
    before = depth()
    watch = _watch(before)
    watch.options, watch.caught = run_options, None
    try:
        enter(run, watch.check)
        return work(*given)
    except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
        raise watch.caught or translated(problem) from None
    finally:
        leave(before)
        watch.options = watch.caught = None


def _watch(depth: int) -> _Watch:
    """The watch of a run of the main thread that `depth` others are around."""
    while len(_watches) <= depth:
        _watches.append(_Watch())
    if inspect.getgeneratorstate(_watches[depth].answers) == inspect.GEN_CLOSED:
        _dead.append(_watches[depth])
        _watches[depth] = _Watch()
    return _watches[depth]

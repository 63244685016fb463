"""The threads that wait for runs which their callers do not wait for.

ONNX Runtime's own asynchronous run takes a thread of its compute pool for as long as a remote call lasts. These are
threads of ours instead: as many as there are runs under way, made when they are needed and kept for a while.
"""

from __future__ import annotations

import _thread
import atexit
import os
import queue
import threading
from collections import deque
from collections.abc import Callable

from onnxhybrid.errors import Error

Work = Callable[[], None]
"""Something to do; it raises nothing."""

MOST = 512
"""Threads at once; further work waits for one."""

IDLE = 30.0
"""Seconds that a thread without work is kept."""


class Workers:
    """Threads that are no reason for the interpreter to stay."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[_Worker] = []
        self._waiting: deque[Work] = deque()
        self._count = 0
        self._closed = False

    def do(self, work: Work) -> None:
        """Do `work` on a thread of its own as soon as there is one.

        Raises:
            Error: OH541, the interpreter is ending, or the operating system gives no thread at all.
        """
        with self._lock:
            if self._closed:
                raise Error("OH541", "the interpreter is ending")
            if self._free:
                self._free.pop().work.put(work)  # the one that was busy last
            elif self._count >= MOST or not self._add(work):
                self._waiting.append(work)

    def _add(self, work: Work) -> bool:
        try:
            _Worker(self).start(work)
        except RuntimeError as problem:  # no more threads
            if self._count == 0:
                raise Error("OH541", str(problem)) from None
            return False
        self._count += 1
        return True

    def next_of(self, worker: _Worker) -> Work | None:
        """What a worker does next; None if it has to go."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._free.append(worker)
        try:
            return worker.work.get(timeout=IDLE)
        except queue.Empty:
            pass
        with self._lock:
            if worker in self._free:
                self._free.remove(worker)
                self._count -= 1
                return None
        return worker.work.get()

    def close(self) -> None:
        """Take no more work."""
        with self._lock:
            self._closed = True


class _Worker:
    def __init__(self, workers: Workers) -> None:
        self.work: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._workers = workers

    def start(self, first: Work) -> None:
        # threading.Thread.start waits until the thread runs: with many at once that takes milliseconds each.
        _thread.start_new_thread(self._run, (first,))

    def _run(self, first: Work) -> None:
        work: Work | None = first
        del first  # what it holds is not kept while there is nothing to do
        while work is not None:
            work()
            work = None
            work = self._workers.next_of(self)


_workers = Workers()


def do(work: Work) -> None:
    """Do `work` on a thread of this process; see `Workers.do`."""
    _workers.do(work)


def _renew() -> None:
    """In a forked child there are no threads but the one that forked."""
    global _workers  # noqa: PLW0603  # one for each process
    _workers = Workers()


def _close() -> None:
    _workers.close()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

"""Very many calls through one session, some of which meet a fault: memory, descriptors and threads stay as they are.

`python -m benchmarks.soak`, or `make soak`. The server is a process of its own. Of a hundred calls some five meet a
fault of a table like that of tests/servers/faults, some are cancelled while they wait, and some are begun by one node
and awaited by another. What is measured after a warm-up has to be there at the end, and little more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import onnxhybrid as oh
from benchmarks.soak_server import COLUMNS
from tests.begun import await_, begin, floats, graph

GROWTH = 20 << 20
"""Bytes that memory may grow by after the warm-up."""

THREADS = 8
"""Callers at a time."""

_X = np.random.default_rng(0).random((4, COLUMNS), np.float32)
_GIVEN_UP = 50
"""Of so many calls one is cancelled."""


@dataclass(frozen=True)
class Footprint:
    """What this process holds."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Footprint:
        """As the operating system counts it."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        descriptors, threads = (len(list(Path("/proc/self", what).iterdir())) for what in ("fd", "task"))
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), descriptors, threads)

    def line(self, title: str) -> str:
        """For people."""
        return f"{title:<16} {self.memory / 2**20:8.1f} MB {self.descriptors:6} descriptors {self.threads:6} threads"

    def has_grown_since(self, before: Footprint) -> bool:
        """Whether there is more than the callers explain: each of them may have a connection or a thread that idles."""
        return (
            self.memory - before.memory > GROWTH
            or self.descriptors > before.descriptors + THREADS
            or self.threads > before.threads + THREADS
        )


Tally = Counter[str]


def main() -> int:
    """Soak and print what is held before and after; 1 when it grew, or a call ended in another way than it may."""
    options = _options()
    with _server() as address:
        soak = Soak(address)
        soak.calls(options.warm_up)
        before = Footprint.now()
        print(before.line("after a warm-up"), flush=True)
        started, ended = time.monotonic(), Counter[str]()
        for part in range(10):
            ended += soak.calls(options.calls // 10)
            print(Footprint.now().line(f"{(part + 1) * 10} %"), flush=True)
        seconds = time.monotonic() - started
        after = Footprint.now()
        print(f"{options.calls} calls in {seconds:.0f} s: {dict(sorted(ended.items()))}")
        print(f"the memory grew by {(after.memory - before.memory) / 2**20:.1f} MB")
        wrong = [outcome for outcome in ended if outcome.startswith("wrong")]
        return int(after.has_grown_since(before) or bool(wrong))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000, help="how many calls are counted (200000)")
    parser.add_argument("--warm-up", type=int, default=20_000, help="how many come before (20000)")
    options = parser.parse_args()
    if min(options.calls, options.warm_up) < 10:
        parser.error("at least ten calls are needed")
    return options


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.soak_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Soak:
    """Calls of every kind through one session."""

    def __init__(self, address: str) -> None:
        self._session = oh.Session(_both(f"http://{address}"))
        self._number = itertools.count()

    def calls(self, count: int) -> Tally:
        """Make so many calls, and count how they ended."""
        ways = [self._run] * (THREADS - 2) + [self._submit, self._await]
        share = count // THREADS
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(lambda way: way(share), ways), Counter[str]())

    def _run(self, count: int) -> Tally:
        return Counter(self._outcome(lambda: self._session.run(None, {"x": _X})) for _ in range(count))

    def _submit(self, count: int) -> Tally:
        """Futures, some of which are cancelled."""
        return Counter(self._outcome(self._future(number % _GIVEN_UP == 0).result) for number in range(count))

    def _future(self, given_up: bool) -> Future[list[object]]:
        future = self._session.submit(None, {"x": _X})
        if given_up:
            future.cancel()
        return future

    def _await(self, count: int) -> Tally:
        """Coroutines, sixteen at a time, some of which are cancelled."""

        async def one(number: int) -> str:
            task = asyncio.ensure_future(self._session.arun(None, {"x": _X}))
            if number % _GIVEN_UP == 0:
                await asyncio.sleep(0)
                task.cancel()
            try:
                return _judged(await task)
            except asyncio.CancelledError:
                return "cancelled"
            except oh.RemoteError as problem:
                return problem.code

        async def all_of_them() -> Tally:
            ended = Counter[str]()
            for first in range(0, count, 16):
                ended.update(await asyncio.gather(*map(one, range(first, min(first + 16, count)))))
            return ended

        return asyncio.run(all_of_them())

    def _outcome(self, call: Callable[[], list[object]]) -> str:
        try:
            return _judged(call())
        except CancelledError:
            return "cancelled"
        except oh.RemoteError as problem:
            return problem.code


def _both(url: str) -> oh.Model:
    """From x to y by one call, and to z by one that is begun and awaited."""
    remote = oh.remote.triton(
        url,
        "echo",
        inputs=[oh.TensorSpec("x", "float32", ("n", COLUMNS))],
        outputs=[oh.TensorSpec("y", "float32", ("n", COLUMNS))],
        timeout=0.5,
        retries=1,
    )
    node = remote.to_proto().graph.node[0]
    nodes = [begin(remote, "ticket", ["x"], "begin"), node, await_(["ticket", "y"], ["z"])]
    outputs = [floats(name, "n", COLUMNS) for name in ("y", "z")]
    return graph(nodes, [floats("x", "n", COLUMNS)], outputs)


def _judged(outputs: list[object]) -> str:
    return "value" if all(np.array_equal(output, _X) for output in outputs) else "wrong value"  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())

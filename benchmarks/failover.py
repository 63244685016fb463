"""Two servers behind one name, one of which is killed and brought back under load: no call is lost, and few are slow.

`python -m benchmarks.failover`, or the second half of `make soak`. Callers ask at a steady pace, as users do who do not
wait for each other. Rounds with both servers take turns with rounds in which one is killed (SIGKILL) and started again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

import onnxhybrid as oh
from benchmarks.soak_server import COLUMNS

RETRIES = 2
"""Repeats of a call; with two servers one would do where only one of them dies."""

CALLERS = 8
PAUSE = 0.016
"""Seconds from one call of a caller to its next: 500 calls a second in all, which one server alone can answer."""

SLOWER = 2.0
"""The p99 with a death in it is at most so many times the ordinary one."""

_X = np.random.default_rng(0).random((4, COLUMNS), np.float32)


class Server:
    """One of the two: a process that dies at once when it is killed, and comes back at its port."""

    def __init__(self) -> None:
        self._process, self.address = _started(0)

    def kill(self) -> None:
        """End it as a lost machine ends: nothing is finished, nobody is told."""
        self._process.kill()
        self._process.wait()

    def bring_back(self) -> None:
        """Start it at the port that it had."""
        self._process, self.address = _started(int(self.address.rpartition(":")[2]))


def _started(port: int) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "benchmarks.soak_server", "--sound", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        return process, told.readline().strip()


@dataclass
class Load:
    """What the calls of some rounds took, and how those ended that brought no right answer."""

    seconds: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def p99(self) -> float:
        """Milliseconds, of calls that were not lost."""
        return float(np.percentile(self.seconds, 99)) * 1e3

    def line(self, title: str) -> str:
        """For people."""
        p50 = float(np.percentile(self.seconds, 50)) * 1e3
        figures = f"p50 {p50:6.2f} ms, p99 {self.p99:6.2f} ms, longest {max(self.seconds) * 1e3:7.1f} ms"
        return f"{title:<22} {len(self.seconds):6} calls: {figures}; lost: {dict(self.lost) or 'none'}"


def main() -> int:
    """Print what both kinds of rounds took; 1 when a call was lost, or the p99 with a death is too long."""
    options = _options()
    ordinary, bereft = Load(), Load()
    with _servers() as (first, second), ThreadPoolExecutor(CALLERS + 1) as pool:
        session = _session(first, second, options.order)
        _calls(pool, session, Load(), 1.0, lambda: None)
        for number in range(options.rounds):
            _calls(pool, session, ordinary, options.seconds, lambda: None)
            dying = (first, second)[number % 2]
            _calls(pool, session, bereft, options.seconds, partial(_die, dying, options.seconds))
        sent = next(iter(session.stats().values())).endpoints
    print(ordinary.line("both servers"))
    print(bereft.line("one dies, comes back"))
    print(f"p99 {bereft.p99 / ordinary.p99:.2f} times the ordinary; requests to each: {list(sent.values())}")
    return int(bool(ordinary.lost or bereft.lost) or bereft.p99 > SLOWER * ordinary.p99)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="how often a server dies (6)")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long a round is (8)")
    parser.add_argument("--order", choices=("first", "spread"), default="spread", help="of the endpoint (spread)")
    return parser.parse_args()


@contextmanager
def _servers() -> Iterator[tuple[Server, Server]]:
    first, second = Server(), Server()
    try:
        yield first, second
    finally:
        first.kill()
        second.kill()


def _session(first: Server, second: Server, order: str) -> oh.Session:
    remote = oh.remote.triton(
        oh.Endpoint("echo", default=f"http://{first.address}", order=order),  # type: ignore[arg-type]
        "echo",
        inputs=[oh.TensorSpec("x", "float32", ("n", COLUMNS))],
        outputs=[oh.TensorSpec("y", "float32", ("n", COLUMNS))],
        timeout=5.0,
        retries=RETRIES,
    )
    urls = [f"http://{server.address}" for server in (first, second)]
    return oh.Session(remote, endpoints={"echo": urls})


def _calls(
    pool: ThreadPoolExecutor, session: oh.Session, load: Load, seconds: float, meanwhile: Callable[[], None]
) -> None:
    """Ask for so many seconds, and do something else meanwhile."""
    end = time.monotonic() + seconds
    work = [pool.submit(_caller, session, load, end, number * PAUSE / CALLERS) for number in range(CALLERS)]
    meanwhile()
    for caller in work:
        caller.result()


def _caller(session: oh.Session, load: Load, end: float, offset: float) -> None:
    """Ask at a steady pace; a call that comes late because the one before took long counts from when it was due."""
    due = time.monotonic() + offset
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            (y,) = session.run(None, {"x": _X})
        except oh.RemoteError as problem:
            load.lost[problem.code] += 1
        else:
            if np.array_equal(y, _X):
                load.seconds.append(time.monotonic() - due)
            else:
                load.lost["wrong value"] += 1
        due += PAUSE


def _die(server: Server, seconds: float) -> None:
    """Live for a quarter of the time, be gone for another, and be back for the rest."""
    time.sleep(seconds / 4)
    server.kill()
    time.sleep(seconds / 4)
    server.bring_back()


if __name__ == "__main__":
    sys.exit(main())

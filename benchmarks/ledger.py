"""What a budget and its ledger add to a call: `python -m benchmarks.ledger [--calls N] [--processes N]`.

The server is on loopback and answers at once. Three sessions take turns call by call: without a budget, with one, and
with one that is kept in a ledger. Then several processes spend of one ledger as fast as they can, which is far faster
than calls over a network do.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import onnxhybrid as oh
from benchmarks import loopback

X = np.zeros(4, np.float32)


def session(address: str, budget: dict[str, object] | None) -> oh.Session:
    """A session of one remote node that gives its input back."""
    x, y = (oh.TensorSpec(name, "float32", ("n",)) for name in "xy")
    model = oh.remote.triton(f"http://{address}", loopback.ECHO, inputs=[x], outputs=[y])
    return oh.Session(model, policy=oh.Policy(budget=budget))


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--spend", nargs=2, metavar=("ADDRESS", "LEDGER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.spend:
        print(*_times(session(given.spend[0], {"ledger": given.spend[1]}), given.calls))
        return 0
    with loopback.serve() as address, tempfile.TemporaryDirectory() as folder:
        _alone(address, Path(folder, "alone"), given.calls)
        _together(address, Path(folder, "together"), given.calls, given.processes)
    return 0


def _alone(address: str, ledger: Path, calls: int) -> None:
    budgets: dict[str, dict[str, object] | None] = {
        "no budget": None,
        "a budget": {"calls": 1 << 40},
        "a budget with a ledger": {"calls": 1 << 40, "ledger": ledger},
    }
    sessions = {name: session(address, budget) for name, budget in budgets.items()}
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(calls):
        for name, one in list(sessions.items())[:: 1 if number % 2 else -1]:
            times[name].append(_timed(one))
    floor = statistics.median(times["no budget"])
    print(f"{'one call at a time':<28}{'µs a call':>12}{'more':>8}")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:<28}{median * 1e6:>12.1f}{(median - floor) * 1e6:>8.1f}")


def _together(address: str, ledger: Path, calls: int, processes: int) -> None:
    command = [sys.executable, "-m", "benchmarks.ledger", "--calls", str(calls), "--spend", address, str(ledger)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    figures = [[float(figure) for figure in worker.communicate()[0].split()] for worker in workers]
    median, slow, worst = (max(column) * 1e6 for column in zip(*figures, strict=True))
    print(
        f"\n{processes} processes, one ledger: p50 {median:.0f} µs, p99 {slow:.0f} µs, the slowest call {worst:.0f} µs"
    )


def _times(one: oh.Session, calls: int) -> tuple[float, float, float]:
    times = sorted(_timed(one) for _ in range(calls))
    return times[calls // 2], times[calls * 99 // 100], times[-1]


def _timed(one: oh.Session) -> float:
    start = time.perf_counter()
    one.run(None, {"x": X})
    return time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())

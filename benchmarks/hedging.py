"""Second requests beside slow ones: `python -m benchmarks.hedging`, or `make bench-hedge`.

Two servers on loopback, one of which is slow on 2 % of its calls (200 ms in place of 2 ms). The same calls are made
with and without hedging, in turns, and the servers count the requests.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

import onnxhybrid as oh
from benchmarks.hedging_server import Server, serve

GOAL = 10.0
"""So many times lower is the quantile 0.999 with hedging, at least."""

MORE = 0.02
"""The share of further requests, at most."""

EVERY = 50
"""Of so many calls the slow server is slow on one."""

WARM_UP = 200

Order = Literal["first", "spread"]


def session(model: str, servers: Sequence[Server], order: Order, hedge: oh.Hedge | None) -> oh.Session:
    """A session whose one call goes to `model` at these servers."""
    remote = oh.remote.triton(
        oh.Endpoint("pair", servers[0].url, order=order),
        model,
        inputs=[oh.TensorSpec("x", "float32", (1,))],
        outputs=[oh.TensorSpec("y", "float32", (1,))],
        hedge=hedge,
    )
    return oh.Session(remote, endpoints={"pair": [server.url for server in servers]})


def times(sessions: Sequence[oh.Session], calls: int) -> list[list[float]]:
    """Milliseconds of each session's calls; they take turns call by call, and in who goes first."""
    x = np.zeros(1, np.float32)
    found: list[list[float]] = [[] for _ in sessions]
    turns = list(zip(sessions, found, strict=True))
    for number in range(calls):
        for asked, record in turns if number % 2 else reversed(turns):
            began = time.perf_counter()
            asked.run(None, {"x": x})
            record.append((time.perf_counter() - began) * 1000)
    return found


def report(hedge: oh.Hedge, order: Order, calls: int) -> bool:
    """Measure and print one table; whether the goals were met."""
    with serve(EVERY) as slow, serve(0) as even:
        servers = (slow, even)
        both = [session(name, servers, order, own) for name, own in (("plain", None), ("hedged", hedge))]
        times(both, WARM_UP)
        found = times(both, calls)
        counts = [server.counts() for server in servers]
    print(f'\n{hedge}, order "{order}", {calls} calls each after {WARM_UP}; ms')
    print(f"{'':<10} {'p50':>8} {'p99':>8} {'p99.9':>8} {'requests':>9} {'cancelled':>9}")
    quantiles, requests = [], []
    for name, record in zip(("plain", "hedged"), found, strict=True):
        quantiles.append(np.quantile(record, [0.5, 0.99, 0.999]))
        requests.append(sum(count.get(name, 0) for count in counts))
        cancelled = sum(count.get(f"{name} cancelled", 0) for count in counts)
        row = " ".join(f"{value:8.2f}" for value in quantiles[-1])
        print(f"{name:<10} {row} {requests[-1]:>9} {cancelled:>9}")
    ratio, more = quantiles[0][2] / quantiles[1][2], requests[1] / requests[0] - 1
    print(f"p99.9 ÷ {ratio:.1f} (goal {GOAL:g}) at {more:.2%} more requests (goal: at most {MORE:.0%})")
    return bool(ratio >= GOAL and more <= MORE)


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hedging", description=__doc__)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--after", type=float, default=oh.Hedge.after)
    parser.add_argument("--most", type=float, default=MORE, help="the share of second requests (0.02)")
    parser.add_argument("--order", choices=("first", "spread"), default="spread")
    options = parser.parse_args()
    return 0 if report(oh.Hedge(options.after, options.most), options.order, options.calls) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What the broker of limits costs with many workers: `python -m benchmarks.broker [--workers N …] [--ray]`.

The broker is the real one, with a ledger on disk; workers are simulated, and time with them. Each makes so many calls a
second of a common budget, begins a piece every few seconds, and gives back what it did not use when the piece ends. The
processor time is what the broker's own code took. With `--ray` the same messages go through the real actor of a cluster
of this machine, from as many processes as it has processors, as fast as they can.
"""

from __future__ import annotations

import argparse
import heapq
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxhybrid as oh
from onnxhybrid.cluster.amounts import Amount
from onnxhybrid.cluster.broker import Broker

PIECE = 5.0
"""Seconds that a worker takes for a piece."""

NEED = Amount(calls=1, bytes=2_000, cost_billionths=1_000_000)
POLICY = oh.Policy(max_concurrency=1 << 16, budget={"calls": 1 << 40, "cost": 1e8, "price": {"*": 0.001}})


@dataclass
class Told:
    """The messages of a simulation, and what the broker took for them."""

    joins: int = 0
    lends: int = 0
    settles: int = 0
    seconds: float = 0.0


def simulated(workers: int, rate: float, seconds: float, folder: Path) -> Told:
    """Let so many workers make `rate` calls a second each, for so many seconds of theirs."""
    broker, told, chance = Broker(POLICY, workers, folder), Told(), random.Random(17)
    held = [0] * workers
    ends: list[float] = []
    queue: list[tuple[float, int]] = []
    for worker in range(workers):
        told.seconds += _timed(lambda name=str(worker): broker.join(name, "a handle" * 50))
        told.joins += 1
        heapq.heappush(queue, (chance.random() * PIECE, worker))
        ends.append(chance.random() * PIECE)
    told.seconds = 0.0  # joining happens once
    while queue[0][0] < seconds:
        now, worker = heapq.heappop(queue)
        if now >= ends[worker]:  # the piece is written
            unused = NEED.each(lambda each, count=held[worker]: each * count)
            told.seconds += _timed(lambda name=str(worker), back=unused: broker.settle(name, back))
            told.settles += 1
            held[worker], ends[worker] = 0, now + PIECE
        began = time.perf_counter()
        share = broker.lend(str(worker), NEED, now)
        told.seconds += time.perf_counter() - began
        told.lends += 1
        assert isinstance(share, Amount)
        until = min(now + share.calls / rate, ends[worker])
        held[worker] = share.calls - int((until - now) * rate)
        heapq.heappush(queue, (max(until, now + 1e-6), worker))
    return told


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Asking:
    """An actor that asks the broker as fast as it can."""

    def ask(self, broker: Any, name: str, seconds: float) -> int:
        """Ask until the time is over; how often."""
        import ray

        until, count = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            ray.get([broker.lend.remote(name, NEED.to_json(), 30.0) for _ in range(20)])
            count += 20
        return count


def through_ray(seconds: float) -> float:
    """Messages a second through the actor."""
    from onnxhybrid.cluster.broking import close_broker, open_broker
    from onnxhybrid.cluster.connection import connected

    ray = connected("the benchmark")
    broker = open_broker(POLICY, 1000)
    actors = [ray.remote(Asking).options(num_cpus=0).remote() for _ in range(int(ray.cluster_resources()["CPU"]))]
    began = time.monotonic()
    count = sum(ray.get([actor.ask.remote(broker, str(place), seconds) for place, actor in enumerate(actors)]))
    took = time.monotonic() - began
    close_broker(broker)
    ray.shutdown()
    return float(count / took)


def main() -> int:
    """Print a line for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second of a worker")
    parser.add_argument("--seconds", type=float, default=60.0, help="simulated time")
    parser.add_argument("--ray", action="store_true", help="measure the real actor, too")
    given = parser.parse_args()
    print(f"{'workers':>8} {'calls/s':>9} {'messages/s':>11} {'µs each':>8} {'of a processor':>15}")
    for workers in given.workers:
        with tempfile.TemporaryDirectory() as folder:
            told = simulated(workers, given.rate, given.seconds, Path(folder))
        messages = told.lends + told.settles
        share = told.seconds / given.seconds
        print(
            f"{workers:>8} {workers * given.rate:>9.0f} {messages / given.seconds:>11.0f} "
            f"{told.seconds / messages * 1e6:>8.0f} {share:>14.1%}"
        )
    if given.ray:
        print(f"through the actor, at most: {through_ray(5.0):.0f} messages/s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

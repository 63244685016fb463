"""Two contestants on one machine: measured in turns, in one run, so that its noise falls on both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

Call = Callable[[], object]
Figures = tuple[float, float]  # ours, the peer's
Measure = Callable[[Call, Call], Figures]


@dataclass(frozen=True)
class Comparison:
    """The figures of several rounds, a pair for each."""

    rounds: tuple[Figures, ...]

    @property
    def ours(self) -> float:
        """The median of our figures."""
        return statistics.median(ours for ours, _ in self.rounds)

    @property
    def peer(self) -> float:
        """The median of the peer's figures."""
        return statistics.median(peer for _, peer in self.rounds)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios, ours to the peer's."""
        return statistics.median(self._ratios())

    @property
    def spread(self) -> Figures:
        """The least and the greatest ratio of a round."""
        return min(self._ratios()), max(self._ratios())

    def _ratios(self) -> list[float]:
        return [ours / peer for ours, peer in self.rounds]


def compare(measure: Measure, ours: Call, peer: Call, *, rounds: int) -> Comparison:
    """Measure both in every round; one round before the first is a warm-up and does not count."""
    measure(ours, peer)
    return Comparison(tuple(measure(ours, peer) for _ in range(rounds)))


def p50(calls: int) -> Measure:
    """Milliseconds of the median call; the two take turns call by call, and in who goes first."""

    def measure(ours: Call, peer: Call) -> Figures:
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(calls):
            turns = ((times[0], ours), (times[1], peer))
            for record, call in turns if number % 2 else reversed(turns):
                record.append(_timed(call))
        return statistics.median(times[0]) * 1e3, statistics.median(times[1]) * 1e3

    return measure


def cpu(calls: int) -> Measure:
    """Milliseconds of this process's own processor time a call, all of its threads together."""

    def measure(ours: Call, peer: Call) -> Figures:
        return _processor_time(ours, calls), _processor_time(peer, calls)

    return measure


def throughput(threads: int, seconds: float) -> Measure:
    """Calls a second of so many threads, each as fast as it can."""

    def measure(ours: Call, peer: Call) -> Figures:
        return _rate(ours, threads, seconds), _rate(peer, threads, seconds)

    return measure


def _processor_time(call: Call, calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls * 1e3


def _rate(call: Call, threads: int, seconds: float) -> float:
    def work(until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            call()
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: call(), range(threads)))  # connections are made before the clock runs
        start = time.perf_counter()
        counts = list(pool.map(work, [start + seconds] * threads))
        return sum(counts) / (time.perf_counter() - start)


def _timed(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

"""What an audit finds, and how soon: `python -m benchmarks.audit [--streams N] [--rows N]`.

Streams of audited rows are simulated, in which as many differ as the certificate promises, or twice as many. The table
says in how many the alarm is raised, and after how many rows. The gamblers are those of the library
(`native/src/session/audit/evidence.rs`; `tests/test_audit_alarm.py` compares them with it). No method finds the doubled
share sooner, on the average, than in log(1/α)/KL rows; the test that comes near to that has to be told what share to
look for. The last table is what an audit costs a run that it does not draw.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import onnxhybrid as oh
from benchmarks.judge import classifier
from benchmarks.measure import Call, compare, p50

_ALPHA = 0.05
_PROMISED = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_POWERS = np.arange(-16, 17)
_STAKES = 2.0 ** (_POWERS / 2)
_PARTS = 1 / (4.0 + abs(_POWERS)) ** 2

Array = npt.NDArray[Any]


def log_fortunes(audited: Array, differed: Array, share: float) -> Array:
    """The logarithm of what the gamblers own against `share`, after so many rows of which so many differed."""
    stakes = np.minimum(_STAKES, 1 / share)
    with np.errstate(divide="ignore", invalid="ignore"):
        won, lost = np.log1p(stakes * (1 - share)), np.log1p(-stakes * share)
        same = (audited - differed)[:, None]
        owned = np.log(_PARTS / _PARTS.sum()) + differed[:, None] * won + np.where(same > 0, same * lost, 0)
    most = owned.max(axis=1)
    return np.asarray(most + np.log(np.exp(owned - most[:, None]).sum(axis=1)))


def first_alarm(differs: Array, share: float) -> int | None:
    """After how many rows of a stream `share` is refuted; None where it never is. Only rows that differ refute it."""
    audited = np.flatnonzero(differs) + 1
    refuted = log_fortunes(audited, np.arange(1, len(audited) + 1), share) >= -np.log(_ALPHA)
    return int(audited[refuted.argmax()]) if refuted.any() else None


def first_told(differs: Array, share: float, truth: float) -> int | None:
    """The same by the likelihood ratio, which has to be told the truth."""
    won, lost = float(np.log(truth / share)), float(np.log((1 - truth) / (1 - share)))
    reached = np.where(differs, won, lost).cumsum() >= -np.log(_ALPHA)
    return int(reached.argmax()) + 1 if reached.any() else None


def divergence(truth: float, share: float) -> float:
    """The information that one row holds against `share`, in nats."""
    return float(truth * np.log(truth / share) + (1 - truth) * np.log((1 - truth) / (1 - share)))


@dataclass(frozen=True)
class Found:
    """One row of the table: a promised share, false alarms, and rows until the alarm where twice as many differ."""

    promised: float
    false: float
    bound: float
    told: float
    mean: float
    median: float
    most: float

    def __str__(self) -> str:
        """A row of Markdown."""
        return (
            f"| {self.promised:.1%} | {self.false:.1%} | {self.bound:.0f} | {self.told:.0f} | {self.mean:.0f} "
            f"| {self.mean / self.bound:.2f} | {self.median:.0f} | {self.most:.0f} |"
        )


def simulated(promised: float, streams: int, rows: int, random: np.random.Generator) -> Found:
    """What happens in so many streams."""
    truth = 2 * promised
    bound = -np.log(_ALPHA) / divergence(truth, promised)
    false = sum(first_alarm(random.random(rows) < promised, promised) is not None for _ in range(streams))
    shifted = [random.random(int(40 * bound)) < truth for _ in range(streams)]
    alarms = [first_alarm(stream, promised) or len(stream) for stream in shifted]
    told = [first_told(stream, promised, truth) or len(stream) for stream in shifted]
    quantiles = np.quantile(alarms, [0.5, 0.95])
    return Found(promised, false / streams, bound, float(np.mean(told)), float(np.mean(alarms)), *map(float, quantiles))


def costs(rounds: int) -> Iterator[str]:
    """A run that is accepted and not drawn, with an audit and without, in turns, as rows of Markdown."""
    local = classifier()
    cloud = oh.remote.triton("http://127.0.0.1:1", "m", inputs=local.inputs, outputs=local.outputs)
    judge = oh.judge.max_probability("probabilities") >= 0.0
    feeds = {"image": np.random.default_rng(0).random((1, 64), np.float32)}
    for rows in (False, True):

        def run(audit: float, rows: bool = rows) -> Call:
            session = oh.Session(oh.cascade(local, cloud, judge, rows=rows, audit=audit))
            return lambda: session.run(None, feeds)

        found = compare(p50(500), run(1e-12), run(0.0), rounds=rounds)
        with_audit, without = found.ours * 1e3, found.peer * 1e3
        yield f"| {rows} | {without:.1f} µs | {with_audit:.1f} µs | {with_audit - without:.1f} µs |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="how soon an audit finds that twice as many rows differ")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of a stream in which as many differ as promised")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    random = np.random.default_rng(15)
    print("| promised | false alarms | bound | told | rows until the alarm | to the bound | median | 95 % |")
    print("|---|---|---|---|---|---|---|---|")
    for promised in _PROMISED:
        print(simulated(promised, arguments.streams, arguments.rows, random), flush=True)
    print("\n| rows= | without | with an audit | more |\n|---|---|---|---|")
    for row in costs(arguments.rounds):
        print(row, flush=True)


if __name__ == "__main__":
    main()

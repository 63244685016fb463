"""Prometheus' text format: what is counted, and how it is written.

Source: https://prometheus.io/docs/instrumenting/exposition_formats (version 0.0.4).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, final

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""What the name of the family is continued by (such as `_count`), the labels, the value."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True)
class Family:
    """The samples of one name.

    Attributes:
        name: the name, with the endings that Prometheus wants (`_total`, `_seconds`, `_bytes`).
        kind: what it is.
        what: a line that says so to people.
        samples: the samples, of which no two have the same labels.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "summary"]
    what: str
    samples: Iterable[Sample]


def exposed(families: Iterable[Family]) -> str:
    """The families as text; those without a sample are left out."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    samples = list(family.samples)
    if samples:
        yield f"# HELP {family.name} {_escaped(family.what)}\n# TYPE {family.name} {family.kind}\n"
    for suffix, labels, value in samples:
        given = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
        yield f"{family.name}{suffix}{{{given}}} {value!r}\n" if given else f"{family.name}{suffix} {value!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


@final
class Counter:
    """Numbers that only grow, by the values of labels; any thread may count."""

    def __init__(self, *labels: str) -> None:
        self._labels = labels
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], float] = {}

    def add(self, amount: float, *values: str) -> None:
        """Count under these values of the labels."""
        with self._lock:
            self._counts[values] = self._counts.get(values, 0) + amount

    def samples(self) -> list[Sample]:
        """A sample for each values that something was counted under."""
        with self._lock:
            counts = dict(self._counts)
        return [("", dict(zip(self._labels, values, strict=True)), count) for values, count in counts.items()]


@dataclass
class _Seen:
    """Seconds that were seen: how often up to each border, the last being without an end, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    total: float = 0.0


@final
class Histogram:
    """How long something took, by the values of labels; any thread may tell."""

    def __init__(self, *labels: str) -> None:
        self._labels = labels
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], _Seen] = {}

    def took(self, seconds: float, *values: str) -> None:
        """It took so long."""
        with self._lock:
            seen = self._seen.setdefault(values, _Seen())
            seen.counts[bisect_left(_SECONDS, seconds)] += 1
            seen.total += seconds

    def samples(self) -> list[Sample]:
        """Buckets, sum and count of each values of the labels."""
        with self._lock:
            seen = [(values, list(each.counts), each.total) for values, each in self._seen.items()]
        return [sample for each in seen for sample in self._of(*each)]

    def _of(self, values: tuple[str, ...], counts: list[int], total: float) -> Iterator[Sample]:
        labels = dict(zip(self._labels, values, strict=True))
        for border, below in zip((*map(str, _SECONDS), "+Inf"), accumulate(counts), strict=True):
            yield "_bucket", {**labels, "le": border}, below
        yield "_sum", labels, total
        yield "_count", labels, sum(counts)

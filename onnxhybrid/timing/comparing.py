"""`compare`: models in turn on the same feeds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from onnxhybrid.errors import Error
from onnxhybrid.model import Model, load
from onnxhybrid.runtime import Session


@dataclass(frozen=True)
class Timing:
    """How long the runs of a model took.

    Attributes:
        runs: how many there were.
        p50, p90, p99: quantiles of the seconds of a run.
        calls: remote calls of a run, on the average.
        bytes_out, bytes_in: bytes that a run sent and received, on the average.
        retries: repeats of requests in all runs together.
    """

    runs: int
    p50: float
    p90: float
    p99: float
    calls: float
    bytes_out: float
    bytes_in: float
    retries: int

    def document(self) -> dict[str, Any]:
        """These, as JSON has them."""
        return asdict(self)


def compare(
    models: Mapping[str, Model | str | os.PathLike[str]],
    feeds: Mapping[str, Any],
    *,
    repeat: int = 50,
    warmup: int = 2,
    told: Callable[[], None] = lambda: None,
    **session: Any,
) -> dict[str, Timing]:
    """Run models in turn, so that what else the machine does meets all of them alike.

    Args:
        models: the models by labels.
        feeds: input -> array; each model takes those that it has.
        repeat: how often each is run.
        warmup: how often before that, without counting; not told of, since opening and first runs take longer.
        told: called after each run that counts.
        **session: credentials, endpoints, policy, sess_options and providers, as for `oh.Session`; of credentials and
            endpoints each model takes those that it names.

    Returns:
        Label -> what its runs took, in the order of `models`.

    Raises:
        Error: OH703, a model is not fed what it takes; whatever opening or running a model raises.
    """
    loaded = {label: each if isinstance(each, Model) else load(each) for label, each in models.items()}
    settings = _settings(loaded, session)
    opened = {label: Session(models[label], **settings[label]) for label in loaded}
    fed = {label: _own(label, each, feeds) for label, each in opened.items()}
    for _ in range(warmup):
        for label, each in opened.items():
            each.run(None, fed[label])
    before = {label: _sums(each) for label, each in opened.items()}
    seconds: dict[str, list[float]] = {label: [] for label in opened}
    for _ in range(repeat):
        for label, each in opened.items():
            began = time.perf_counter()
            each.run(None, fed[label])
            seconds[label].append(time.perf_counter() - began)
            told()
    return {label: _timing(seconds[label], before[label], _sums(each)) for label, each in opened.items()}


def _settings(models: Mapping[str, Model], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each session is opened with; a name that no model has is for all of them, whose sessions refuse it."""
    named = {
        "credentials": {
            label: {n for call in model.remotes for n in call.credentials} for label, model in models.items()
        },
        "endpoints": {label: {call.endpoint_name for call in model.remotes} for label, model in models.items()},
    }
    found: dict[str, dict[str, Any]] = {label: dict(given) for label in models}
    for key, by_label in named.items():
        known = set().union(*by_label.values())
        for label, own in by_label.items():
            values = given.get(key) or {}
            found[label][key] = {n: value for n, value in values.items() if n in own or n not in known} or None
    return found


def _own(label: str, session: Session, feeds: Mapping[str, Any]) -> dict[str, Any]:
    names = [each.name for each in session.get_inputs()]
    if missing := [name for name in names if name not in feeds]:
        raise Error("OH703", f"{label} takes {missing[0]!r}, which is not fed")
    optional = {each.name for each in session.get_overridable_initializers()}
    return {name: array for name, array in feeds.items() if name in names or name in optional}


_COUNTED = ("calls", "bytes_out", "bytes_in", "retries")


def _sums(session: Session) -> dict[str, int]:
    nodes = session.stats().values()
    return {name: sum(getattr(node, name) for node in nodes) for name in _COUNTED}


def _timing(seconds: list[float], before: Mapping[str, int], after: Mapping[str, int]) -> Timing:
    runs = len(seconds)
    p50, p90, p99 = (float(value) for value in np.quantile(seconds, (0.5, 0.9, 0.99)))
    calls, bytes_out, bytes_in, retries = (after[name] - before[name] for name in _COUNTED)
    return Timing(runs, p50, p90, p99, calls / runs, bytes_out / runs, bytes_in / runs, retries)


def table(timings: Mapping[str, Timing]) -> str:
    """Timings as a table for people; the last column compares the medians with the first row's."""
    rows = [["", "p50", "p90", "p99", "calls", "sent", "received", "ratio"]]
    first = next(iter(timings.values())).p50 if timings else 1.0
    for label, timing in timings.items():
        times = [f"{value * 1000:.2f} ms" for value in (timing.p50, timing.p90, timing.p99)]
        moved = [f"{value:.0f} B" for value in (timing.bytes_out, timing.bytes_in)]
        rows.append([label, *times, f"{timing.calls:.2f}", *moved, f"{timing.p50 / first:.2f} ×"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )

"""The points of a calibration: what a threshold gives, and what is true of the rows whatever the threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxhybrid.calibration.bounds import lower, upper
from onnxhybrid.calibration.choosing import Curve


@dataclass(frozen=True)
class Point:
    """What one threshold gives, as the calibration rows show it.

    Attributes:
        threshold: the threshold.
        share_sent: the share of rows that are sent, between `share_low` and `share_high`.
        accuracy: the share of rows that the hybrid answers rightly, between `accuracy_low` and `accuracy_high`.
        loss: the share of rows that are kept, wrong, and right in the remote's answer; at most `loss_high`.
        cost: the price of a row, if each row that is sent is a request; None where no cost was given.
        latency: the seconds that a row waits for the remote, on average; None where no request was timed.

    Bounds hold for this one threshold, each with the calibration's confidence.
    """

    threshold: float
    share_sent: float
    share_low: float
    share_high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    loss: float
    loss_high: float
    cost: float | None
    latency: float | None


@dataclass(frozen=True)
class Summary:
    """What is true of the rows whatever the threshold.

    Attributes:
        rows: the rows that the remote answered.
        failed: the rows that it did not answer, which count nowhere else.
        labelled: whether there were labels; without them the remote's answers are the truth.
        local_accuracy, remote_accuracy: of each alone.
        oracle_share, oracle_accuracy: of a judge that sends exactly the rows where local is wrong and remote right.
        request_cost: the price of a row that is sent; None where no cost was given.
        request_time: the median time of a request in seconds; None where none was made.
    """

    rows: int
    failed: int
    labelled: bool
    local_accuracy: float
    remote_accuracy: float
    oracle_share: float
    oracle_accuracy: float
    request_cost: float | None
    request_time: float | None


def number(threshold: float) -> float:
    """A threshold as a float of Python; NaN is the one object `math.nan`, so that equal points are equal."""
    return math.nan if math.isnan(threshold) else float(threshold)


def points_of(curve: Curve, places: list[int], confidence: float, summary: Summary) -> tuple[Point, ...]:
    """The points at some places of a curve."""
    at = np.array(places)
    rows = curve.rows
    away, right, lost = rows - curve.kept[at], curve.right[at], curve.losses[at]
    two_sided = (1 + confidence) / 2
    columns: list[Any] = [
        curve.thresholds[at].astype(np.float64),
        away / rows, lower(away, rows, two_sided), upper(away, rows, two_sided),
        right / rows, lower(right, rows, two_sided), upper(right, rows, two_sided),
        lost / rows, np.where(curve.kept[at] == 0, 0.0, upper(lost, rows, confidence)),
    ]  # fmt: skip
    each_sent = {"cost": summary.request_cost, "latency": summary.request_time}
    made = []
    for values in zip(*(column.tolist() for column in columns), strict=True):
        expected: dict[str, Any] = {
            name: None if each is None else each * values[1] for name, each in each_sent.items()
        }
        made.append(Point(number(values[0]), *values[1:], **expected))
    return tuple(made)

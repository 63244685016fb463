"""`Calibration`: what a calibration found, as numbers, a table, JSON, a picture, and a file that is ready to use."""

from __future__ import annotations

import json
import numbers
import os
from dataclasses import asdict, dataclass, field

import numpy as np

from onnxhybrid.calibration.certificate import Certificate, json_number
from onnxhybrid.calibration.choosing import Curve
from onnxhybrid.calibration.picture import Chosen, draw
from onnxhybrid.calibration.points import Point, Summary, points_of
from onnxhybrid.calibration.price import shown
from onnxhybrid.calibration.tabulating import table
from onnxhybrid.errors import Error
from onnxhybrid.model import Model


@dataclass(frozen=True)
class Calibration:
    """The thresholds of a cascade and what each gives; the one that was chosen, and the proof of it.

    Attributes:
        points: thresholds from "all is sent" to "nothing is", close together where something changes fast.
        threshold: the chosen one. Where all is sent it is one that no score reaches: infinite, or NaN.
        certificate: what was proven of it; None where the judge keeps rows at every threshold and too many of them are
            losses.
        model: the hybrid with that default, and with the certificate in its metadata.
        loss, confidence: the promise that was asked for.
        needed: where all is sent, how many rows would do to keep some; None where no number would, or rows are kept.
        summary: what does not depend on the threshold.
    """

    points: tuple[Point, ...]
    threshold: float
    certificate: Certificate | None
    model: Model = field(repr=False)
    loss: float
    confidence: float
    needed: int | None
    summary: Summary
    _curve: Curve = field(repr=False)

    @property
    def chosen(self) -> Point:
        """The point of the chosen threshold."""
        return next(point for point in self.points if _same(point.threshold, self.threshold))

    @property
    def promise(self) -> str:
        """What is proven, or why nothing is kept, in one or two sentences."""
        asked = f"a loss of at most {self.loss:.4g} with confidence {self.confidence:.4g}"
        if self.certificate is None:
            return f"No threshold keeps the promise of {asked}: the judge keeps rows whatever the threshold is."
        if self.chosen.share_sent < 1:
            return (
                f"At the threshold {self.threshold:.9g} the promise holds: {asked}, proven on {self.summary.rows} rows."
            )
        if self.needed is None:
            more = "more rows would not change that: the rows kept first are losses too often"
        else:
            more = f"about {self.needed} rows that the remote answers would be needed"
        return f"No threshold that keeps rows is proven to give {asked}, so all is sent; {more}."

    def best(self, *, accuracy: float | None = None, budget: float | None = None, share: float | None = None) -> Point:
        """The best threshold for another aim than the promise; of it nothing is proven but the point's own bounds.

        Args:
            accuracy: the one that sends least, of those that are at least as accurate.
            budget: the most accurate one whose cost of a row is at most this.
            share: the most accurate one that sends at most this share of the rows.

        Raises:
            Error: OH607, not exactly one aim is given, or a budget without a cost; OH613, no threshold reaches it.
        """
        given = {"accuracy": accuracy, "budget": budget, "share": share}
        aims = {name: value for name, value in given.items() if value is not None}
        if len(aims) != 1:
            raise Error("OH607", "best takes exactly one of accuracy=, budget= and share=")
        for name, value in aims.items():
            if not isinstance(value, numbers.Real) or isinstance(value, bool) or value != value:
                raise Error("OH607", f"best takes a number, as in {name}=0.1, not {shown(value)}")
        sent = 1 - self._curve.kept / self._curve.rows
        right = self._curve.right / self._curve.rows
        if accuracy is not None:
            return self._point(_best(-sent, right >= accuracy, aims))
        if budget is not None:
            if self.summary.request_cost is None:
                raise Error("OH607", "a budget needs to know what a request costs: calibrate with cost=")
            return self._point(_best(right, sent * self.summary.request_cost <= budget, aims))
        return self._point(_best(right, sent <= (share or 0), aims))

    def _point(self, place: int) -> Point:
        return points_of(self._curve, [place], self.confidence, self.summary)[0]

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw accuracy by share of rows sent, with the chosen threshold, local alone, remote alone, and an oracle.

        Args:
            path: a file that ends in .png, .svg or .pdf.

        Raises:
            Error: OH551, matplotlib is not installed; OH612, no such picture can be written.
        """
        proven = self.certificate is not None and self.chosen.share_sent < 1
        draw(path, self.points, self.summary, Chosen(self.chosen, self.loss, self.confidence, proven))

    def to_json(self) -> str:
        """All of it but the model, as a JSON object; what JSON has no number for is a text, such as "inf"."""
        points = [{name: json_number(value) for name, value in asdict(point).items()} for point in self.points]
        told = {
            "threshold": json_number(self.threshold),
            "promise": self.promise,
            "loss": self.loss,
            "confidence": self.confidence,
            "needed": self.needed,
            "certificate": None if self.certificate is None else json.loads(self.certificate.to_json()),
            "summary": asdict(self.summary),
            "points": points,
        }
        return json.dumps(told)

    def __str__(self) -> str:
        summary = self.summary
        truth = "the labels" if summary.labelled else "the remote's answers"
        failed = f"; {summary.failed} more failed and count nowhere" if summary.failed else ""
        head = [self.promise, f"{summary.rows} rows, right is what {truth} say{failed}."]
        return "\n".join([*head, "", table(self.points, self.chosen, summary)])


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))


def _best(wanted: np.ndarray[tuple[int], np.dtype[np.float64]], allowed: np.ndarray[tuple[int], np.dtype[np.bool_]],
          aim: dict[str, float]) -> int:  # fmt: skip
    if not allowed.any():
        ((name, value),) = aim.items()
        raise Error("OH613", f"no threshold gives {name}={value} on these rows")
    return int(np.argmax(np.where(allowed, wanted, -np.inf)))

"""The picture of a calibration: what accuracy costs in rows sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxhybrid.calibration.points import Point, Summary
from onnxhybrid.errors import Error
from onnxhybrid.model.texts import file_path

_ENDINGS = (".png", ".svg", ".pdf")
_HYBRID, _LOCAL, _REMOTE, _ORACLE = "#2563a8", "#8a5a00", "#4b5563", "#15803d"


@dataclass(frozen=True)
class Chosen:
    """The chosen threshold's point, the promise that was asked for, and whether it is proven of rows that are kept."""

    point: Point
    loss: float
    confidence: float
    proven: bool


def draw(path: str | os.PathLike[str], points: Sequence[Point], summary: Summary, chosen: Chosen) -> None:
    """Write the picture.

    Raises:
        Error: OH551, matplotlib is not installed; OH612, no such picture can be written.
    """
    target = require_picture(path)
    figure = _figure(points, summary, chosen)
    import matplotlib as mpl

    # An .svg of the same calibration is the same file: it has no date, and no ids that are drawn anew.
    metadata = {"Date": None} if target.suffix.lower() == ".svg" else None
    try:
        with mpl.rc_context({"svg.hashsalt": "onnxhybrid", "svg.fonttype": "none"}):
            figure.savefig(target, dpi=144, bbox_inches="tight", metadata=metadata)
    except OSError as problem:
        raise Error("OH612", f"{target} cannot be written: {problem.strerror}") from None


def require_picture(path: str | os.PathLike[str]) -> Path:
    """The path of a picture.

    Raises:
        Error: OH612, its name ends otherwise.
    """
    target = file_path(path, "OH612")
    if target.suffix.lower() not in _ENDINGS:
        raise Error("OH612", f"a picture ends in {', '.join(_ENDINGS)}, and not as {target.name!r} does")
    return target


def _figure(points: Sequence[Point], summary: Summary, chosen: Chosen) -> Any:
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter
    except ImportError as problem:
        raise Error(
            "OH551",
            f'a picture needs an extra: pip install "onnxhybrid[calibration]" (there is no module {problem.name!r})',
        ) from None
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    _curve(axes, points, chosen.confidence)
    _marks(axes, summary, chosen.point)
    axes.set(xlabel="rows that are sent", ylabel="right answers", title=_title(summary, chosen))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlim(-0.03, 1.03)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=True)
    return figure


def _curve(axes: Any, points: Sequence[Point], confidence: float) -> None:
    points = sorted(points, key=lambda point: point.share_sent)
    shares = [point.share_sent for point in points]
    low, high = ([getattr(point, name) for point in points] for name in ("accuracy_low", "accuracy_high"))
    axes.plot(shares, [point.accuracy for point in points], color=_HYBRID, linewidth=2, label="hybrid, by threshold")
    axes.fill_between(
        shares, low, high, color=_HYBRID, alpha=0.15, linewidth=0, label=f"{100 * confidence:.4g}% interval"
    )


def _marks(axes: Any, summary: Summary, chosen: Point) -> None:
    axes.axhline(summary.local_accuracy, color=_LOCAL, linestyle=":", linewidth=1.2)
    axes.axhline(summary.remote_accuracy, color=_REMOTE, linestyle=":", linewidth=1.2)
    marks = (
        ("local alone", 0.0, summary.local_accuracy, "s", _LOCAL),
        ("cloud alone", 1.0, summary.remote_accuracy, "D", _REMOTE),
        ("oracle: asks where it helps", summary.oracle_share, summary.oracle_accuracy, "^", _ORACLE),
    )
    for name, share, accuracy, marker, color in marks:
        label = f"{name}: {accuracy:.1%}"
        axes.plot([share], [accuracy], marker, color=color, markersize=8, label=label, clip_on=False, zorder=3)
    label = f"chosen: {chosen.accuracy:.1%} right, {chosen.share_sent:.1%} sent"
    axes.plot(
        [chosen.share_sent],
        [chosen.accuracy],
        "o",
        color="#c81e1e",
        markersize=11,
        label=label,
        clip_on=False,
        zorder=4,
    )


def _title(summary: Summary, chosen: Chosen) -> str:
    if not chosen.proven:
        return "No threshold is proven to keep the promise: all is sent"
    point = chosen.point
    return (
        f"{point.share_sent:.1%} of the rows are sent; at most {100 * chosen.loss:.4g}% of the answers are lost\n"
        f"(threshold {point.threshold:.4g}, confidence {100 * chosen.confidence:.4g}%, {summary.rows} rows)"
    )

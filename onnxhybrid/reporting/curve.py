"""The curve of a calibration as SVG: right answers by the share of rows that are sent."""

from __future__ import annotations

import json

from onnxhybrid.calibration import Calibration
from onnxhybrid.reporting.texts import plain

_WIDTH, _HEIGHT = 420.0, 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 396.0, 16.0, 238.0


class Scale:
    """Where shares of rows sent and of right answers lie on the picture."""

    def __init__(self, found: Calibration) -> None:
        """Let all that is drawn fit, with round numbers at both ends."""
        summary = found.summary
        low = min(summary.local_accuracy, summary.remote_accuracy, *(p.accuracy_low for p in found.points))
        high = max(summary.oracle_accuracy, *(p.accuracy_high for p in found.points))
        self.step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (high - low) / s <= 5 or s == 1.0)
        self.low = max(0.0, int(low / self.step) * self.step)
        self.high = min(1.0, (int(high / self.step - 1e-9) + 1) * self.step)
        if self.high <= self.low:
            self.low = self.high - self.step

    def x(self, share: float) -> float:
        """From the left."""
        return _LEFT + (_RIGHT - _LEFT) * share

    def y(self, accuracy: float) -> float:
        """From the top."""
        return _BOTTOM - (_BOTTOM - _TOP) * (accuracy - self.low) / (self.high - self.low)

    def at(self, share: float, accuracy: float) -> str:
        """A point."""
        return f"{self.x(share):.1f} {self.y(accuracy):.1f}"


def curve(found: Calibration) -> str:
    """The picture."""
    scale = Scale(found)
    points = sorted(found.points, key=lambda point: (point.share_sent, point.accuracy))
    upper = "L".join(scale.at(p.share_sent, p.accuracy_high) for p in points)
    lower = "L".join(scale.at(p.share_sent, p.accuracy_low) for p in reversed(points))
    line = "L".join(scale.at(p.share_sent, p.accuracy) for p in points)
    parts = [_axes(scale), f'<path class="band" d="M{upper}L{lower}Z"/>', f'<path class="line" d="M{line}"/>']
    label = (
        f"Right answers by the share of rows that are sent: from {found.summary.local_accuracy:.1%} where none is "
        f"sent to {found.summary.remote_accuracy:.1%} where all are; chosen are {found.chosen.accuracy:.1%} "
        f"where {found.chosen.share_sent:.1%} are sent. The table below has the numbers."
    )
    return (
        f'<svg class="curve" role="img" aria-label="{plain(label)}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}">'
        f"{''.join(parts)}{_marks(scale, found)}</svg>"
    )


def _axes(scale: Scale) -> str:
    parts = []
    for number in range(round((scale.high - scale.low) / scale.step) + 1):
        accuracy = min(scale.high, scale.low + number * scale.step)
        y = scale.y(accuracy)
        parts.append(f'<path class="grid" d="M{_LEFT:g} {y:.1f}H{_RIGHT:g}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 8:g}" y="{y + 4:.1f}">{accuracy:.0%}</text>')
    parts += [
        f'<text class="tick mid" x="{scale.x(share):.1f}" y="{_BOTTOM + 18:g}">{share:.0%}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    parts.append(f'<text class="mid" x="{(_LEFT + _RIGHT) / 2:g}" y="{_BOTTOM + 40:g}">rows that are sent</text>')
    middle = (_TOP + _BOTTOM) / 2
    parts.append(f'<text class="mid" transform="translate(14 {middle:g}) rotate(-90)">right answers</text>')
    return "".join(parts)


def _marks(scale: Scale, found: Calibration) -> str:
    summary, chosen = found.summary, found.chosen
    x, y = scale.x, scale.y
    return (
        _mark("local", x(0), y(summary.local_accuracy), "l5 5l-5 5l-5 -5z", "local alone")
        + _mark("remote", x(1), y(summary.remote_accuracy), "l5 5l-5 5l-5 -5z", "remote alone")
        + _mark("oracle", x(summary.oracle_share), y(summary.oracle_accuracy), "l6 10h-12z", "an oracle")
        + f'<circle class="chosen" cx="{x(chosen.share_sent):.1f}" cy="{y(chosen.accuracy):.1f}" r="6">'
        "<title>chosen</title></circle>"
    )


def _mark(kind: str, x: float, y: float, shape: str, title: str) -> str:
    return f'<path class="mark {kind}" d="M{x:.1f} {y - 5:.1f}{shape}"><title>{title}</title></path>'


def readings(found: Calibration) -> str:
    """The points as JSON for the page's script, each with its place on the picture; numbers and texts of ours alone."""
    scale = Scale(found)
    rows = [
        {
            "x": round(scale.x(point.share_sent), 1),
            "y": round(scale.y(point.accuracy), 1),
            "says": f"threshold {point.threshold:.6g}: {point.share_sent:.1%} of the rows are sent, "
            f"{point.accuracy:.2%} of the answers are right "
            f"({point.accuracy_low:.2%} to {point.accuracy_high:.2%}), {point.loss:.2%} are lost",
            "chosen": point is found.chosen,
        }
        for point in found.points
    ]
    return json.dumps(rows, separators=(",", ":"))

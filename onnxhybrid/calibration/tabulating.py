"""A calibration as a table of text."""

from __future__ import annotations

from collections.abc import Sequence

from onnxhybrid.calibration.points import Point, Summary

_MOST = 12


def table(points: Sequence[Point], chosen: Point, summary: Summary) -> str:
    """Some of the points, the chosen one among them, between local alone and remote alone."""
    costs, times = chosen.cost is not None, chosen.latency is not None
    head = f"{'':<14}{'sent':>8}{'accuracy':>10}{'between':>18}{'loss':>9}{'at most':>9}"
    head += f"{'cost/row':>12}" * costs + f"{'waits':>10}" * times
    lines = [head]
    for point in _some(points, chosen):
        name = f"{point.threshold:.6g}"
        between = f"{point.accuracy_low:.2%}–{point.accuracy_high:.2%}"
        line = f"{name:<14}{point.share_sent:>8.1%}{point.accuracy:>10.2%}{between:>18}"
        line += f"{point.loss:>9.2%}{point.loss_high:>9.2%}"
        line += f"{point.cost:>12.4g}" if costs else ""
        line += f"{1000 * (point.latency or 0):>7.1f} ms" if times else ""
        lines.append(line + ("   <- chosen" if point is chosen else ""))
    lines.append(f"{'local alone':<14}{0:>8.1%}{summary.local_accuracy:>10.2%}")
    lines.append(f"{'remote alone':<14}{1:>8.1%}{summary.remote_accuracy:>10.2%}")
    lines.append(f"{'an oracle':<14}{summary.oracle_share:>8.1%}{summary.oracle_accuracy:>10.2%}")
    return "\n".join(lines)


def _some(points: Sequence[Point], chosen: Point) -> list[Point]:
    """At most about a dozen, by equal steps, with the first, the last and the chosen one."""
    if len(points) <= _MOST:
        return list(points)
    places = {round(step * (len(points) - 1) / (_MOST - 1)) for step in range(_MOST)}
    places.add(next(place for place, point in enumerate(points) if point is chosen))
    return [points[place] for place in sorted(places)]

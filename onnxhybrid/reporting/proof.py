"""The sections about a threshold: the certificate in the file, a calibration, and the statistics of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from onnxhybrid.calibration import Calibration
from onnxhybrid.calibration.points import Point
from onnxhybrid.reporting.curve import curve, readings
from onnxhybrid.reporting.markup import facts, paragraph, section, table
from onnxhybrid.reporting.subject import Subject
from onnxhybrid.runtime import NodeStats

_MOST = 9


def certificate(subject: Subject) -> str:
    """What was proven of the threshold."""
    told, found = subject.certificate, subject.calibration
    if told is None and found is None:
        return section(
            "certificate", "Certificate", paragraph("The file holds none: nothing is proven of a threshold.")
        )
    content = [] if found is None else [paragraph(found.promise)]
    if told is None:
        content.append(
            paragraph("The file itself holds no certificate; save the calibration's .model for one.", "note")
        )
    elif found is not None and told.get("data") != getattr(found.certificate, "data", None):
        content.append(paragraph("The file's certificate is of another calibration than the one below.", "note"))
    return section("certificate", "Certificate", *content, "" if told is None else facts(_certified(told)))


def _certified(told: dict[str, Any]) -> Iterator[tuple[str, object]]:
    names = {
        "threshold": "threshold",
        "output": "output that was compared",
        "rows": "rows",
        "loss": "lost answers, at most, as promised",
        "loss_high": "lost answers, at most, as the rows show",
        "differ_high": "kept rows that the remote answers otherwise, at most",
        "confidence": "confidence",
        "data": "hash of the rows",
    }
    for key, name in names.items():
        if isinstance(value := told.get(key), (str, int, float)):
            yield name, _number(value) if isinstance(value, float) else value
    parts = told.get("parts")
    hashes = parts if isinstance(parts, dict) else {}
    yield from ((f"hash of {key}", hashes[key]) for key in ("local", "judge", "remote", "output") if key in hashes)


def _number(value: float) -> str:
    return f"{value:.6g}"


def calibration(subject: Subject) -> str:
    """The curve of a calibration, and its numbers; nothing where none is given."""
    found = subject.calibration
    if found is None:
        return ""
    key = (
        '<ul class="key"><li><span class="swatch line"></span>the hybrid, by threshold, and '
        f"its {found.confidence:.3g} interval</li>"
        '<li><span class="dot chosen"></span>chosen</li><li><span class="dot local"></span>local alone</li>'
        '<li><span class="dot remote"></span>remote alone</li>'
        '<li><span class="dot oracle"></span>an oracle that asks where it helps</li></ul>'
    )
    figure = (
        f'<figure class="paper" data-curve>{curve(found)}'
        f'<script type="application/json">{readings(found)}</script></figure>'
    )
    truth = "the labels" if found.summary.labelled else "the remote's answers"
    said = (
        f"{found.summary.rows} rows; right is what {truth} say; {found.summary.failed} more failed and count nowhere."
    )
    return section("calibration", "Calibration", paragraph(said), key, figure, _points(found))


def _points(found: Calibration) -> str:
    heads = ["threshold", "rows sent", "right answers", "between", "lost", "lost at most"]
    priced, timed = found.chosen.cost is not None, found.chosen.latency is not None
    heads += ["cost of a row"] * priced + ["a row waits"] * timed
    rows = [_point(point, found) for point in _some(found)]
    summary = found.summary
    blank = [None] * (len(heads) - 3)
    rows.append(("local alone", "0.0%", f"{summary.local_accuracy:.2%}", *blank))
    rows.append(("remote alone", "100.0%", f"{summary.remote_accuracy:.2%}", *blank))
    rows.append(("an oracle", f"{summary.oracle_share:.1%}", f"{summary.oracle_accuracy:.2%}", *blank))
    return table("What thresholds give", heads, rows)


def _point(point: Point, found: Calibration) -> tuple[object, ...]:
    chosen = " (chosen)" if point is found.chosen else ""
    row: list[object] = [
        f"{point.threshold:.6g}{chosen}",
        f"{point.share_sent:.1%}",
        f"{point.accuracy:.2%}",
        f"{point.accuracy_low:.2%} to {point.accuracy_high:.2%}",
        f"{point.loss:.2%}",
        f"{point.loss_high:.2%}",
    ]
    row += [] if point.cost is None else [f"{point.cost:.4g}"]
    row += [] if point.latency is None else [_time(point.latency)]
    return tuple(row)


def _some(found: Calibration) -> list[Point]:
    """Some by equal steps, with the chosen one."""
    last = len(found.points) - 1
    places = {round(step * last / (_MOST - 1)) for step in range(_MOST)}
    places.add(found.points.index(found.chosen))
    return [found.points[place] for place in sorted(places)]


def statistics(subject: Subject) -> str:
    """What a run did; nothing where no statistics are given."""
    if subject.stats is None:
        return ""
    rows = dict(sorted(subject.stats.items()))
    shown = [(head, told) for head, told, always in _COLUMNS if always or any(map(told, rows.values()))]
    heads = ("node", *(head for head, _ in shown))
    table_rows = ((node or "(no name)", *(told(row) for _, told in shown)) for node, row in rows.items())
    content = [table("By call", heads, table_rows) if rows else paragraph("No remote node was there to run.")]
    if subject.spending is not None:
        left = ", ".join(f"{value:g} {name}" for name, value in sorted(subject.spending.left.items()))
        content.append(
            facts(
                (
                    ("requests in all", subject.spending.calls),
                    ("bytes in all", f"{subject.spending.bytes:,}"),
                    ("cost in all", f"{subject.spending.cost:g}"),
                    ("left of the budget", left or "no limit"),
                )
            )
        )
    return section("run", "Statistics of a run", *content)


def _errors(row: NodeStats) -> str:
    return ", ".join(f"{code} ×{count}" for code, count in sorted(row.errors.items())) or "none"


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


_COLUMNS: tuple[tuple[str, Callable[[NodeStats], object], bool], ...] = (
    ("calls", lambda row: row.calls, True),
    ("repeats", lambda row: row.retries, True),
    ("second requests", lambda row: row.hedges, False),
    ("errors", _errors, True),
    ("sent", lambda row: f"{row.bytes_out:,} B", True),
    ("received", lambda row: f"{row.bytes_in:,} B", True),
    ("half took", lambda row: _time(row.p50), True),
    ("99 of 100 took", lambda row: _time(row.p99), True),
    ("from cache", lambda row: row.cache_hits, False),
    ("spent", lambda row: f"{row.spent:g}" if row.spent else "", False),
    ("tokens in", lambda row: row.input_tokens, False),
    ("tokens out", lambda row: row.output_tokens, False),
    ("compared", lambda row: row.audited, False),
    ("differed", lambda row: row.differed, False),
)
"""The columns of a run: the head, what it tells of a node, and whether it is there where that is nothing for all."""

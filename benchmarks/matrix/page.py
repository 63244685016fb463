"""The table of releases in docs/platforms.md."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.matrix.row import Row

PAGE = Path(__file__).parents[2] / "docs" / "platforms.md"
_BEGIN, _END = "<!-- written by make matrix -->", "<!-- end of what make matrix writes -->"


def write(rows: Sequence[Row], seconds: float) -> None:
    """Put the table into the page, in the place of the one before."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
    _, after = rest.split(_END)
    PAGE.write_text("\n".join((before + _BEGIN, *_lines(rows, seconds), _END + after)), encoding="utf-8")


def _lines(rows: Sequence[Row], seconds: float) -> Iterator[str]:
    today = dt.datetime.now(dt.timezone.utc).date()
    pairs = sum(asked for row in rows for asked, _ in row.models.values())
    wrong = sum(row.wrong_count for row in rows)
    machine = f"{platform.system()} {platform.machine()}"
    yield f"Written by `make matrix` on {today}, in {seconds / 60:.0f} minutes on {machine}:"
    yield f"{pairs:,} pairs of a model and a release, of which `validate` judged {wrong} otherwise than the release."
    yield ""
    corpora = list(rows[0].models)
    yield (
        "| onnxruntime | set of all bindings | hybrids of many opsets and types | "
        + " | ".join(corpora[1:])
        + " | judged otherwise |"
    )
    yield "|---|---|---|" + "---|" * len(corpora)
    for row in rows:
        equal, other, refused = row.own
        own = f"{equal} equal" + (f", {other} other" if other else "") + (f", {refused} refused" if refused else "")
        loads = " | ".join(f"{loads} of {asked}" for asked, loads in list(row.models.values())[1:])
        yield f"| {row.release} | {row.suite[0]} of {row.suite[1]} equal | {own} | {loads} | {_judged(row)} |"


def _judged(row: Row) -> str:
    if row.unknown:
        return "not known to `validate` yet"
    late = sum(not found for cases in row.wrong.values() for _, found, _ in cases)
    return f"{row.wrong_count}" + (f" ({late} said to load)" if late else "")

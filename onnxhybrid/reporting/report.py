"""`report`: a page about a model, or its map alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from onnxhybrid.calibration import Calibration
from onnxhybrid.errors import Error
from onnxhybrid.model import Model, load
from onnxhybrid.model.texts import file_path
from onnxhybrid.reporting.drawing import alone
from onnxhybrid.reporting.layout import WIDE, drawn
from onnxhybrid.reporting.page import page, style_of_map
from onnxhybrid.reporting.pieces import shortened
from onnxhybrid.reporting.sections import MOST_PIECES
from onnxhybrid.reporting.subject import Subject, subject_of
from onnxhybrid.runtime import NodeStats


def report(
    model_or_path: Model | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    calibration: Calibration | None = None,
    stats: Mapping[str, NodeStats] | None = None,
) -> None:
    """Write one page about a model: a map of its parts, remote calls, egress, validation, certificate, statistics.

    The page is one file that fetches nothing. The same model gives the same bytes. Nothing is sent or run for it, and
    no weight is read.

    Args:
        model_or_path: a Model, or the path of an .onnx file.
        path: the file to write: .html for the page, .svg for the map alone, as a README shows it.
        calibration: what `oh.calibrate` gave; the page then has its curve. The certificate is that of the model:
            `oh.report(found.model, "page.html", calibration=found)`.
        stats: of a run: `session.stats()`.

    Raises:
        ModelError: OH100, the model cannot be read; OH107, its external data is not there; OH690, the path is none.
        Error: OH690, the name ends otherwise, or what is given has no place in an .svg; OH691, the calibration is none;
            OH692, the statistics are none, or of another model; OH704, the file cannot be written.
    """
    target = file_path(path, "OH690")
    kind = target.suffix.lower()
    if kind not in (".html", ".htm", ".svg"):
        raise Error("OH690", f"a report ends in .html, or in .svg for the map alone, and not as {target.name!r} does")
    if kind == ".svg" and not (calibration is None and stats is None):
        raise Error("OH690", f"calibration= and stats= have no place in {target.name!r}, a map alone: write an .html")
    model = model_or_path if isinstance(model_or_path, Model) else load(model_or_path)
    subject = subject_of(model, calibration, stats)
    _write(target, _picture(subject) if kind == ".svg" else page(subject))


def _picture(subject: Subject) -> str:
    """The map as a file of its own."""
    piece, _ = shortened(subject.map, MOST_PIECES, WIDE.deepest)
    inputs, outputs = ([spec.name for spec in specs] for specs in (subject.model.inputs, subject.model.outputs))
    name = subject.model.name or "a model"
    told = f"Parts on the device at the left, remote calls in the cloud at the right. {subject.egress}"
    return alone(drawn(piece, inputs, outputs, WIDE), f"Map of {name}", told, style_of_map())


def _write(target: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    target = Path(os.path.realpath(target))  # where a link stands, what it leads to is written
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        try:
            part.write_text(text, encoding="utf-8", newline="\n")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as problem:
        raise Error("OH704", f"{target} cannot be written: {problem.strerror or problem}") from None

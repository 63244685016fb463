"""OH69x: reports."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH690",
        "Error",
        "A report cannot be written under this name",
        "oh.report writes an HTML page where the name ends in .html, and the map alone where it ends in .svg. A map "
        "alone has no place for a calibration's curve or for statistics.",
        'oh.report(hybrid, "hybrid.pdf")',
        "Write an .html, and print that to a PDF from a browser; for a README write an .svg without calibration= and "
        "stats=.",
    ),
    row(
        "OH691",
        "Error",
        "The calibration of a report is none",
        "calibration= takes what oh.calibrate gave, whose points are the curve. A certificate needs no argument: the "
        "model carries it.",
        'oh.report(hybrid, "hybrid.html", calibration=found.certificate)',
        'found = oh.calibrate(hybrid, rows, labels), then oh.report(found.model, "hybrid.html", calibration=found).',
    ),
    row(
        "OH692",
        "Error",
        "The statistics of a report are none, or those of another model",
        "stats= takes what session.stats() gave: a NodeStats for each remote node of this very model, by its name.",
        'oh.report(hybrid, "hybrid.html", stats=session)',
        'oh.report(hybrid, "hybrid.html", stats=session.stats()), with the model that the session was opened with.',
    ),
)

"""`validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from onnxhybrid import __version__
from onnxhybrid.cli import streams
from onnxhybrid.cli.usage import words, wrong
from onnxhybrid.errors import ModelError

if TYPE_CHECKING:
    from onnxhybrid.diagnostics import Report


def validate(
    models: list[str] = typer.Argument(help="The files.", metavar="MODEL.onnx..."),
    target: str = typer.Option(None, "--target", help="The runtime that they are for: onnxruntime==1.18, or opset 17."),
    online: bool = typer.Option(False, "--online", help="Ask the servers of remote nodes what they take and give."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON."),
    sarif: bool = typer.Option(False, "--sarif", help="Write SARIF, which code hosts show beside the files."),
) -> int:
    """Check models by every rule. The exit code is 1 where one has an error; warnings alone leave it 0."""
    if as_json and sarif:
        raise wrong("--json and --sarif: write one of them")
    from onnxhybrid.validation import sarif as as_sarif
    from onnxhybrid.validation import validate as check
    from onnxhybrid.validation.target import Target

    if target is not None:
        with words():
            Target.parse(target)
    for model in models:
        _require_readable(model)
    reports = {model: check(model, target=target, online=online) for model in models}
    if sarif:
        streams.answer_json(as_sarif(reports, version=__version__))
    elif as_json:
        streams.answer_json(_document(reports))
    else:
        streams.answer("\n".join(f"{model}: {line}" for model, report in reports.items() for line in _lines(report)))
    return 0 if all(reports.values()) else 1


def _document(reports: dict[str, Report]) -> dict[str, object]:
    files = [{"file": model, **report.document()} for model, report in reports.items()]
    return {"ok": all(reports.values()), "files": files}


def _lines(report: Report) -> list[str]:
    return str(report).splitlines()


def _require_readable(path: str) -> None:
    """Check that there is a file; what it holds is for the report.

    Raises:
        ModelError: OH100, it cannot be read.
    """
    try:
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise ModelError("OH100", f"{path} cannot be read: {reason}") from None

"""`calibrate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from onnxhybrid.cli import feeding, streams
from onnxhybrid.cli.saving import EXTERNAL, OUTPUT, Weights, require_places, written
from onnxhybrid.cli.usage import pairs, wrong
from onnxhybrid.errors import Error

if TYPE_CHECKING:
    from onnxhybrid.calibration import Calibration
    from onnxhybrid.model import Model


_ROWS = typer.Option(
    [], "--input", help="The file that holds the rows of an input, along its first axis.", metavar="NAME=FILE"
)
_LABELS = typer.Option(None, "--labels", help="The right answers; without them the remote's are right.", metavar="FILE")
_COST = typer.Option([], "--cost", help="The price of a request; of a token as input_token=PRICE, output_token=PRICE.")
_RECORD = typer.Option(None, "--record", help="Keep the remote's answers, or go on from them.", metavar="FILE")


def calibrate(
    hybrid: str = typer.Argument(help="The file of a cascade.", metavar="HYBRID.onnx"),
    files: list[str] = _ROWS,
    labels: Path = _LABELS,
    output: Path = OUTPUT,
    external: Weights = EXTERNAL,
    compared: str = typer.Option(None, "--compare", help="The output that is compared.", metavar="NAME"),
    loss: float = typer.Option(0.01, "--loss", help="The share of rows that may be lost."),
    confidence: float = typer.Option(0.95, "--confidence", help="The probability of the promise."),
    cost: list[str] = _COST,
    record: Path = _RECORD,
    batch: int = typer.Option(256, "--batch", help="The rows of a call.", min=1),
    plot: Path = typer.Option(None, "--plot", help="Draw the curve: .png, .svg or .pdf.", metavar="FILE"),
    page: Path = typer.Option(None, "--report", help="Write a page with the curve: .html.", metavar="PAGE"),
    credentials: list[str] = feeding.CREDENTIALS,
    endpoints: list[str] = feeding.ENDPOINTS,
    allowed: list[str] = feeding.ALLOWED,
    authorities: Path = feeding.AUTHORITIES,
    as_json: bool = typer.Option(False, "--json", help="Write JSON."),
) -> int:
    """Choose the threshold of a cascade on your own rows, and prove what it costs.

    The exit code is 1 where no threshold keeps the promise.
    """
    opening, price = feeding.session(credentials, endpoints, allowed, authorities), _price(cost)
    _require_targets(output, plot, page)
    from onnxhybrid import calibration
    from onnxhybrid.model import load

    model = load(hybrid)
    rows, right = _rows(model, files), None if labels is None else _labels(labels)
    asked: dict[str, Any] = {"output": compared, "loss": loss, "confidence": confidence, "record": record}
    progress = streams.on_terminal(sys.stderr)
    found = calibration.calibrate(model, rows, right, cost=price, batch=batch, progress=progress, **asked, **opening)
    if output is not None:  # first, since the calls that it came of are paid
        written(found.model, output, external)
    if plot is not None:
        found.plot(plot)
    if page is not None:
        from onnxhybrid.reporting import report

        report(found.model, page, calibration=found)
    _told(found, as_json)
    return 1 if found.certificate is None else 0


def _require_targets(output: Path | None, plot: Path | None, page: Path | None) -> None:
    """Check what is to be written, before calls are paid for it.

    Raises:
        Error: OH112, OH612, OH690, OH704, one of them cannot be.
    """
    if plot is not None:
        from onnxhybrid.calibration.picture import require_picture

        require_picture(plot)
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise Error("OH690", f"a report with a curve ends in .html, and not as {page.name!r} does")
    require_places(OH112=output, OH612=plot, OH704=page)


def _told(found: Calibration, as_json: bool) -> None:
    if as_json:
        streams.answer_json(json.loads(found.to_json()))
    else:
        streams.answer(str(found))


def _rows(model: Model, files: list[str]) -> dict[str, Any]:
    """The rows of each input, whose first axis is theirs whatever the input declares."""
    from dataclasses import replace

    from onnxhybrid.feeds import gather

    specs = [spec if not spec.shape else replace(spec, shape=(None, *spec.shape[1:])) for spec in model.inputs]
    return gather(specs, files=pairs(files, "--input", "NAME=FILE"))


def _labels(path: Path) -> Any:
    from onnxhybrid.feeds import read
    from onnxhybrid.model import TensorSpec

    return read(path, TensorSpec("labels", "int64", (None,)))


def _price(given: list[str]) -> float | dict[str, float] | None:
    """The price of a request, or prices by name.

    Raises:
        Usage: one is no number, or a number stands beside others.
    """
    if not given:
        return None
    try:
        if len(given) == 1 and "=" not in given[0]:
            return float(given[0])
        return {name: float(text) for name, text in pairs(given, "--cost", "NAME=PRICE").items()}
    except ValueError:
        raise wrong(f"--cost {' '.join(given)}: write --cost 0.002, or --cost input_token=0.00001") from None

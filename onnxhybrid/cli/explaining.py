"""`explain`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from onnxhybrid import diagnostics
from onnxhybrid.cli import streams
from onnxhybrid.cli.usage import wrong
from onnxhybrid.suggesting import near


def explain(
    code: str = typer.Argument(help="A code, such as OH101.", metavar="CODE"),
    as_json: bool = typer.Option(False, "--json", help="Write JSON."),
) -> None:
    """Say what a code means, with an example and what to do."""
    try:
        text = diagnostics.explain(code)
    except ValueError:
        raise wrong(f"no diagnostic has the code {code!r}{near(code.upper(), diagnostics.REGISTER)}") from None
    if as_json:
        streams.answer_json(asdict(diagnostics.REGISTER[code.strip().strip("[]").upper()]))
    else:
        streams.answer(text)

"""`inspect`."""

from __future__ import annotations

from pathlib import Path

import typer

from onnxhybrid.cli import streams
from onnxhybrid.cli.usage import wrong


def inspect(
    model: str = typer.Argument("", help="The file.", metavar="MODEL.onnx"),
    yaml: bool = typer.Option(False, "--yaml", help="Write the recipe that the file was composed from."),
    own: bool = typer.Option(False, "--self", help="Say what is installed: versions, library, what it reaches."),
    page: Path = typer.Option(
        None, "--report", help="Write a page about it: .html, or .svg for its map alone.", metavar="PAGE"
    ),
    as_json: bool = typer.Option(False, "--json", help="Write JSON."),
) -> None:
    """Show what a model is made of, and what leaves the device. No weight is read, and nothing is sent."""
    if own is bool(model):
        raise wrong("inspect takes one file, or --self")
    if yaml and (own or as_json):
        raise wrong("--yaml goes with a file alone")
    if page is not None and (own or yaml or as_json):
        raise wrong("--report goes with a file alone")
    if page is not None:
        from onnxhybrid.reporting import report

        report(model, page)
        streams.answer(str(page))
        return
    if yaml:
        from onnxhybrid.model import load
        from onnxhybrid.recipe import kept

        streams.answer(kept(load(model)).rstrip("\n"))
        return
    from onnxhybrid import inspection

    told = inspection.installation() if own else inspection.describe(model)
    if as_json:
        streams.answer_json(told.document())
    else:
        streams.answer(str(told))

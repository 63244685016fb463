"""What the verbs have in common that write a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onnxhybrid.cli import streams

if TYPE_CHECKING:
    from onnxhybrid.model import Model

OUTPUT = typer.Option(None, "--output", "-o", help="The file to write.", metavar="MODEL.onnx", show_default=False)
NEEDED = typer.Option(..., "--output", "-o", help="The file to write.", metavar="MODEL.onnx")


def saved(model: Model, path: Path, *, as_json: bool) -> None:
    """Save a model, and say so."""
    model.save(path)
    if as_json:
        from onnxhybrid.inspection import describe

        streams.answer_json(describe(path).document())
    else:
        streams.answer(str(path))

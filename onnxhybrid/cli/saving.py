"""What the verbs have in common that write a model."""

from __future__ import annotations

import contextlib
import glob
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onnxhybrid.cli import streams
from onnxhybrid.cli.progress import growing

if TYPE_CHECKING:
    from onnxhybrid.model import Model


class Weights(str, Enum):
    """Whether weights go to a file of their own."""

    AUTO = "auto"
    YES = "yes"
    NO = "no"


OUTPUT = typer.Option(None, "--output", "-o", help="The file to write.", metavar="MODEL.onnx", show_default=False)
NEEDED = typer.Option(..., "--output", "-o", help="The file to write.", metavar="MODEL.onnx")
EXTERNAL = typer.Option(
    Weights.AUTO, "--external-data", help="Whether weights go to a file beside it; by itself from 2 GiB up."
)


def written(model: Model, path: Path, external: Weights) -> None:
    """Save a model; of a large one it is shown how far that is."""
    total = sum(source.length for source in model.weights.values())
    with growing(f"saving {path.name}", total, lambda: _unfinished(path)):
        model.save(path, external_data="auto" if external is Weights.AUTO else external is Weights.YES)


def _unfinished(path: Path) -> int:
    """The bytes of the hidden files that will be the model."""
    target, count = Path(os.path.realpath(path)), 0
    for part in target.parent.glob(f".{glob.escape(target.name[:200])}*.part"):
        with contextlib.suppress(OSError):  # it has just got its place
            count += part.stat().st_size
    return count


def saved(model: Model, path: Path, external: Weights, *, as_json: bool) -> None:
    """Save a model, and say so."""
    written(model, path, external)
    if as_json:
        from onnxhybrid.inspection import describe

        streams.answer_json(describe(path).document())
    else:
        streams.answer(str(path))

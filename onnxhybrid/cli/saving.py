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
from onnxhybrid.errors import Error

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


def require_places(**places: Path | None) -> None:
    """Check that files can be written, before what goes into them is paid for.

    Args:
        places: the files, by the code of the error that tells of one.

    Raises:
        Error: of that code, there is no folder for it, or what stands there is none.
    """
    for code, path in places.items():
        folder = None if path is None else Path(os.path.realpath(path)).parent
        if folder is None or path is None:
            continue
        if not folder.is_dir():
            raise Error(code, f"{path} cannot be written: there is no folder {folder}")
        if path.exists() and not path.is_file():
            raise Error(code, f"{path} cannot be written: it is a folder, device, pipe or socket")
        if not os.access(folder, os.W_OK):
            raise Error(code, f"{path} cannot be written: the folder {folder} is not open to writing")


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

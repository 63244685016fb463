"""`upgrade` and `export`."""

from __future__ import annotations

from pathlib import Path

import typer

from onnxhybrid.cli.saving import EXTERNAL, NEEDED, Weights, saved

_MODEL = typer.Argument(help="The file.", metavar="MODEL.onnx")
_JSON = typer.Option(False, "--json", help="Write what was made as JSON.")


def upgrade(model: str = _MODEL, output: Path = NEEDED, external: Weights = EXTERNAL, as_json: bool = _JSON) -> None:
    """Replace the old operators of onnxruntime-extensions by calls of the same requests."""
    from onnxhybrid.legacy import upgrade as upgraded
    from onnxhybrid.model import load

    saved(upgraded(load(model)), output, external, as_json=as_json)


def export(model: str = _MODEL, output: Path = NEEDED, external: Weights = EXTERNAL, as_json: bool = _JSON) -> None:
    """Write a model with the old operators, for devices that still carry them."""
    from onnxhybrid.legacy import export as exported
    from onnxhybrid.model import load

    saved(exported(load(model)), output, external, as_json=as_json)

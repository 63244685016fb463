"""`retarget`."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from onnxhybrid.cli.saving import EXTERNAL, NEEDED, Weights, saved
from onnxhybrid.cli.usage import wrong

_PAIR = re.compile(r"(.+?)=([A-Za-z][A-Za-z0-9+.-]*://.*)")


def retarget(
    model: str = typer.Argument(help="The file.", metavar="MODEL.onnx"),
    urls: list[str] = typer.Argument(help="A base URL, and the one in its place.", metavar="OLD=NEW..."),
    output: Path = NEEDED,
    external: Weights = EXTERNAL,
    as_json: bool = typer.Option(False, "--json", help="Write what was made as JSON."),
) -> None:
    """Move a model's remote calls to other base URLs, as from a test server to the real one."""
    moved: dict[str, str] = {}
    for text in urls:
        found = _PAIR.fullmatch(text)  # a URL's query may hold an = too
        if found is None:
            raise wrong(f"{text}: write OLD=NEW, as in http://127.0.0.1:8000=https://gpu.example")
        if found[1] in moved:
            raise wrong(f"{found[1]} is moved twice")
        moved[found[1]] = found[2]
    from onnxhybrid.model import load

    saved(load(model).retarget(moved), output, external, as_json=as_json)

"""`compose`."""

from __future__ import annotations

from pathlib import Path

import typer

from onnxhybrid.cli import streams
from onnxhybrid.cli.saving import EXTERNAL, OUTPUT, Weights, saved
from onnxhybrid.cli.usage import wrong


def compose(
    recipe: str = typer.Argument("", help="The recipe, a YAML file; - reads standard input.", metavar="RECIPE.yaml"),
    output: Path = OUTPUT,
    external: Weights = EXTERNAL,
    schema: bool = typer.Option(False, "--schema", help="Write the JSON schema of recipes, for editors, and stop."),
    as_json: bool = typer.Option(False, "--json", help="Write what was composed as JSON."),
) -> None:
    """Compose a model from a recipe in YAML.

    A recipe names the functions of onnxhybrid with their arguments, word for word as in Python. Paths in it are
    relative to its folder.
    """
    from onnxhybrid import recipe as recipes

    if schema:
        streams.answer_json(recipes.schema())
        return
    if not recipe or output is None:
        raise wrong("compose takes a recipe and -o: onnxhybrid compose RECIPE.yaml -o MODEL.onnx")
    saved(recipes.compose(recipe), output, external, as_json=as_json)

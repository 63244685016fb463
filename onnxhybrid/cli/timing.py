"""`bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onnxhybrid.cli import feeding, streams
from onnxhybrid.cli.progress import progress
from onnxhybrid.cli.usage import wrong

if TYPE_CHECKING:
    from onnxhybrid.model import Model


def bench(
    models: list[str] = typer.Argument(
        help="The files, with labels where their names do not do; or one recipe, whose cascade or fallback is run "
        "beside its two sides alone.",
        metavar="[LABEL=]MODEL.onnx...",
    ),
    files: list[str] = feeding.FILES,
    values: list[str] = feeding.VALUES,
    random: list[str] = feeding.RANDOM,
    seed: int = feeding.SEED,
    repeat: int = typer.Option(50, "--repeat", help="How often each is run.", min=1),
    warmup: int = typer.Option(2, "--warmup", help="How often each is run before that.", min=0),
    credentials: list[str] = feeding.CREDENTIALS,
    endpoints: list[str] = feeding.ENDPOINTS,
    allowed: list[str] = feeding.ALLOWED,
    authorities: Path = feeding.AUTHORITIES,
    as_json: bool = typer.Option(False, "--json", help="Write JSON."),
) -> None:
    """Say how long models take, side by side: the local one, the hybrid, and the cloud's. Each is run in turn."""
    opening = feeding.session(credentials, endpoints, allowed, authorities)
    from onnxhybrid import timing

    compared = _models(models)
    fed = feeding.feeds(compared.values(), files, values, random, seed)
    with progress("running", repeat * len(compared)) as advance:
        timings = timing.compare(compared, fed, repeat=repeat, warmup=warmup, told=advance, **opening)
    if as_json:
        streams.answer_json({label: each.document() for label, each in timings.items()})
    else:
        streams.answer(timing.table(timings))


def _models(given: list[str]) -> dict[str, Model]:
    """The models by their labels.

    Raises:
        Usage: two have one label, or a recipe does not stand alone.
    """
    from onnxhybrid.model import load

    if any(Path(text).suffix in (".yaml", ".yml") for text in given):
        if len(given) > 1:
            raise wrong("a recipe is timed alone, beside its own sides")
        return _sides(given[0])
    found: dict[str, Model] = {}
    for text in given:
        label, sign, path = text.partition("=")
        if not sign:
            label, path = Path(text).stem, text
        if label in found:
            raise wrong(f"two models are called {label!r}: write LABEL=MODEL.onnx")
        found[label] = load(path)
    return found


def _sides(path: str) -> dict[str, Model]:
    from onnxhybrid import recipe

    read = recipe.read(path)
    sides = read.sides()
    if not sides:
        return {"hybrid": read.model()}
    (first, one), (second, other) = sides.items()
    return {first: one, "hybrid": read.model(), second: other}

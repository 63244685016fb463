"""The options by which verbs are told what to feed and whom to ask, and what they mean."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer

from onnxhybrid.cli.usage import pairs, words, wrong
from onnxhybrid.model import Model

FILES = typer.Option(
    [], "--input", help="The file that holds an input: .npy, .npz, .json, .wav, .png, .jpg.", metavar="NAME=FILE"
)
VALUES = typer.Option([], "--value", help="The value of an input, in JSON.", metavar="NAME=VALUE")
RANDOM = typer.Option(
    [], "--random", help="Random values for an input; the sizes where it leaves some open.", metavar="NAME[=SIZES]"
)
SEED = typer.Option(0, "--seed", help="Where random values begin.", min=0)
CREDENTIALS = typer.Option(
    [],
    "--credential",
    help="A credential of the model, from this environment variable (ONNXHYBRID_CREDENTIAL_NAME where none is named).",
    metavar="NAME[=VARIABLE]",
)
ENDPOINTS = typer.Option([], "--endpoint", help="The URL that an endpoint's name stands for.", metavar="NAME=URL")
ALLOWED = typer.Option(
    [], "--allow", help="A host that may be called, and no other; http:// before it lets tokens travel in clear."
)
AUTHORITIES = typer.Option(None, "--ca-file", help="Authorities that are trusted, too.", metavar="FILE.pem")


def feeds(
    models: Iterable[Model], files: Sequence[str], values: Sequence[str], random: Sequence[str], seed: int
) -> dict[str, Any]:
    """What models are fed together.

    Raises:
        Usage: an option has another form.
        Error: as of `onnxhybrid.feeds.gather`.
    """
    from onnxhybrid.feeds import gather

    known: dict[str, Any] = {}
    for model in models:
        for spec in model.inputs:
            known.setdefault(spec.name, spec)
    return gather(
        known.values(),
        files=pairs(files, "--input", "NAME=FILE"),
        values=constants(values),
        sizes=_sizes(random),
        seed=seed,
    )


def constants(values: Sequence[str]) -> dict[str, Any]:
    """Inputs that are the same for all rows, as they were typed.

    Raises:
        Usage: an option has another form.
    """
    return {name: _json(name, text) for name, text in pairs(values, "--value", "NAME=VALUE").items()}


def _json(name: str, text: str) -> Any:
    """A value; what is no JSON is a text as it stands."""
    try:
        return json.loads(text, parse_constant=lambda word: float(word.replace("Infinity", "inf")))
    except (ValueError, RecursionError):
        return text


def _sizes(random: Sequence[str]) -> dict[str, list[int] | None]:
    found: dict[str, list[int] | None] = {}
    for text in random:
        name, sign, sizes = text.partition("=")
        numbers = sizes.split(",") if sizes else []
        if not name or not all(number.strip().isdecimal() for number in numbers):
            raise wrong(f"--random {text}: write --random NAME=1,3,224,224, or NAME alone where no size is open")
        if name in found:
            raise wrong(f"--random names {name!r} twice")
        found[name] = [int(number) for number in numbers] if sign else None
    return found


def session(
    credentials: Sequence[str], endpoints: Sequence[str], allowed: Sequence[str], authorities: Path | None
) -> dict[str, Any]:
    """What a session is opened with.

    Raises:
        Usage: an option has another form, or a variable is not set.
    """
    tokens: dict[str, str] = {}
    for text in credentials:
        name, _, variable = text.partition("=")
        variable = variable or "ONNXHYBRID_CREDENTIAL_" + "".join(c if c.isalnum() else "_" for c in name.upper())
        if not name:
            raise wrong(f"--credential {text}: write --credential NAME=VARIABLE")
        if not os.environ.get(variable):
            raise wrong(f"--credential {name}: the environment variable {variable} is not set")
        tokens[name] = os.environ[variable]
    urls = {name: url.split(",") for name, url in pairs(endpoints, "--endpoint", "NAME=URL").items()}
    found: dict[str, Any] = {"credentials": tokens or None, "endpoints": urls or None}
    if allowed or authorities is not None:
        from onnxhybrid.runtime import Policy

        with words():
            found["policy"] = Policy(allow=list(allowed) or None, ca_file=authorities)
    return found

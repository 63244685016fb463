"""The verbs: what each is for, and where it is. A verb's file is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        text: what it is for, in a line.
        load: imports it: a function with Typer's annotations, or several by their names.
    """

    text: str
    load: Callable[[], Callable[..., Any] | dict[str, Callable[..., Any]]]


def _inspect() -> Callable[..., Any]:
    from onnxhybrid.cli.inspecting import inspect

    return inspect


def _validate() -> Callable[..., Any]:
    from onnxhybrid.cli.validating import validate

    return validate


def _compose() -> Callable[..., Any]:
    from onnxhybrid.cli.composing import compose

    return compose


def _explain() -> Callable[..., Any]:
    from onnxhybrid.cli.explaining import explain

    return explain


VERBS = {
    "inspect": Verb("Show what a model is made of, and what leaves the device.", _inspect),
    "validate": Verb("Check models by every rule.", _validate),
    "compose": Verb("Compose a model from a recipe in YAML.", _compose),
    "explain": Verb("Say what a code means, with an example and what to do.", _explain),
}

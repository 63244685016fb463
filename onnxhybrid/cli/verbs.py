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


def _calibrate() -> Callable[..., Any]:
    from onnxhybrid.cli.calibrating import calibrate

    return calibrate


def _run() -> Callable[..., Any]:
    from onnxhybrid.cli.running import run

    return run


def _score() -> Callable[..., Any]:
    from onnxhybrid.cli.scoring import score

    return score


def _bench() -> Callable[..., Any]:
    from onnxhybrid.cli.timing import bench

    return bench


def _endpoint() -> Callable[..., Any]:
    from onnxhybrid.cli.serving import endpoint

    return endpoint


def _deploy() -> dict[str, Callable[..., Any]]:
    from onnxhybrid.cli.deploying import azureml, triton

    return {"azureml": azureml, "triton": triton}


def _retarget() -> Callable[..., Any]:
    from onnxhybrid.cli.retargeting import retarget

    return retarget


def _upgrade() -> Callable[..., Any]:
    from onnxhybrid.cli.migrating import upgrade

    return upgrade


def _export() -> Callable[..., Any]:
    from onnxhybrid.cli.migrating import export

    return export


def _explain() -> Callable[..., Any]:
    from onnxhybrid.cli.explaining import explain

    return explain


VERBS = {
    "inspect": Verb("Show what a model is made of, and what leaves the device.", _inspect),
    "validate": Verb("Check models by every rule.", _validate),
    "compose": Verb("Compose a model from a recipe in YAML.", _compose),
    "calibrate": Verb("Choose the threshold of a cascade on your own rows, with a proof.", _calibrate),
    "run": Verb("Run a model, and show its outputs.", _run),
    "score": Verb("Run a model over the rows of files, each once.", _score),
    "bench": Verb("Say how long models take, side by side.", _bench),
    "endpoint": Verb("Serve models over HTTP, as the real services do.", _endpoint),
    "deploy": Verb("Write the folder that a service needs: azureml, triton.", _deploy),
    "retarget": Verb("Move a model's remote calls to other base URLs.", _retarget),
    "upgrade": Verb("Replace the old operators of onnxruntime-extensions.", _upgrade),
    "export": Verb("Write a model with the old operators.", _export),
    "explain": Verb("Say what a code means, with an example and what to do.", _explain),
}

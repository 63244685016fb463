"""`deploy`: `azureml` and `triton`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from onnxhybrid.cli import streams
from onnxhybrid.errors import Error

_MODEL = typer.Argument(help="The file.", metavar="MODEL.onnx")
_NAME = typer.Option(..., "--name", help="What the service calls the model.")
_OVERWRITE = typer.Option(False, "--overwrite", help="Replace what is there.")
_JSON = typer.Option(False, "--json", help="Write JSON.")


def azureml(
    model: str = _MODEL,
    folder: Path = typer.Argument(help="The folder to write.", metavar="FOLDER"),
    name: str = _NAME,
    deployment: str = typer.Option("blue", "--deployment", help="The deployment's name."),
    instance_type: str = typer.Option("Standard_DS3_v2", "--instance-type", help="The kind of machine."),
    instance_count: int = typer.Option(1, "--instance-count", help="How many machines."),
    script: Path = typer.Option(None, "--script", help="A scoring script of your own.", metavar="FILE.py"),
    files: list[Path] = typer.Option([], "--file", help="A file that the script reads; may come again."),
    packages: list[str] = typer.Option([], "--package", help="A package that it imports; may come again."),
    request: Path = typer.Option(None, "--request", help="An example of a request.", metavar="FILE.json"),
    overwrite: bool = _OVERWRITE,
    as_json: bool = _JSON,
) -> None:
    """Write all that an AzureML online endpoint needs to serve a model."""
    from onnxhybrid import deploy

    written = deploy.azureml(
        model,
        folder,
        name=name,
        deployment=deployment,
        instance_type=instance_type,
        instance_count=instance_count,
        script=script,
        files=files,
        packages=packages,
        request=None if request is None else _json(request),
        overwrite=overwrite,
    )
    _told(written, as_json)


def triton(
    model: str = _MODEL,
    repository: Path = typer.Argument(help="The folder that the server is started with.", metavar="REPOSITORY"),
    name: str = _NAME,
    version: int = typer.Option(1, "--version", help="The model's version."),
    overwrite: bool = _OVERWRITE,
    as_json: bool = _JSON,
) -> None:
    """Write a model into a repository of the Triton server."""
    from onnxhybrid import deploy

    _told(deploy.triton(model, repository, name=name, version=version, overwrite=overwrite), as_json)


def _json(path: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        Error: OH701, it cannot be read, or holds something else.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise Error("OH701", f"{path} is no JSON that can be read: {reason}") from None


def _told(folder: Path, as_json: bool) -> None:
    if as_json:
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        streams.answer_json({"folder": str(folder), "files": files})
    else:
        streams.answer(str(folder))

"""`score`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from onnxhybrid.cli import feeding, streams
from onnxhybrid.cli.usage import pairs
from onnxhybrid.errors import Error

if TYPE_CHECKING:
    from onnxhybrid.scoring import Summary


class Engine(str, Enum):
    """Where it runs."""

    LOCAL = "local"
    RAY = "ray"


_SOURCES = typer.Argument(help="Parquet, CSV, JSON lines or .npz: files, folders, patterns, URLs.", metavar="SOURCE")
_TARGET = typer.Option(..., "--output", "-o", help="The target, a folder; one of results goes on.", metavar="FOLDER")
_KEY = typer.Option(None, "--key", help="The column that tells rows apart.", metavar="COLUMN")
_COLUMNS = typer.Option([], "--column", help="The column that an input takes.", metavar="INPUT=COLUMN")
_KEEP = typer.Option([], "--keep", help="A further column that is kept.", metavar="COLUMN")
_ONLY = typer.Option([], "--only", help="An output that is kept; all where none is named.", metavar="OUTPUT")
_VALUES = typer.Option([], "--value", help="An input that is the same for all rows, in JSON.", metavar="NAME=VALUE")
_BATCH = typer.Option(256, "--batch", help="The rows of a call.", min=1)
_WORKERS = typer.Option(None, "--workers", help="Calls that are under way at once.", min=1)
_PATIENCE = typer.Option(60.0, "--patience", help="Seconds that a remote which is away is waited for.", min=0)
_RECORD = typer.Option(None, "--record", help="Keep what servers answer; a kill costs no call.", metavar="FOLDER")
_ENGINE = typer.Option(Engine.LOCAL, "--engine", help="Where it runs.")
_FRESH = typer.Option(False, "--no-resume", help="Refuse a folder that holds results.")


def score(
    model: str = typer.Argument(help="The file.", metavar="MODEL.onnx"),
    sources: list[str] = _SOURCES,
    target: Path = _TARGET,
    key: str = _KEY,
    columns: list[str] = _COLUMNS,
    keep: list[str] = _KEEP,
    only: list[str] = _ONLY,
    values: list[str] = _VALUES,
    batch: int = _BATCH,
    workers: int = _WORKERS,
    patience: float = _PATIENCE,
    record: Path = _RECORD,
    engine: Engine = _ENGINE,
    fresh: bool = _FRESH,
    credentials: list[str] = feeding.CREDENTIALS,
    endpoints: list[str] = feeding.ENDPOINTS,
    allowed: list[str] = feeding.ALLOWED,
    authorities: Path = feeding.AUTHORITIES,
    as_json: bool = typer.Option(False, "--json", help="Write JSON."),
) -> int:
    """Run a model over the rows of files, each once; the same command goes on where it was stopped.

    The exit code is 1 where rows failed.
    """
    opening = feeding.session(credentials, endpoints, allowed, authorities)
    from onnxhybrid.scoring import score as scored

    asked: dict[str, Any] = {
        "key": key,
        "columns": pairs(columns, "--column", "INPUT=COLUMN"),
        "keep": keep,
        "outputs": only or None,
        "feeds": feeding.constants(values),
        "workers": workers,
        "patience": patience,
        "record": record,
        "engine": engine.value,
        "resume": not fresh,
    }
    with _progress() as shown, _explained():
        summary = scored(model, sources, target, batch=batch, progress=shown, **asked, **opening)
    _told(summary, as_json)
    return 1 if summary.failed else 0


def _told(summary: Summary, as_json: bool) -> None:
    if as_json:
        streams.answer_json(json.loads(summary.to_json()))
    else:
        streams.answer(str(summary))


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Tell how far it came, where something ends it."""
    try:
        yield
    except Error as problem:
        for note in problem.__notes__[1:]:
            streams.tell(note)
        raise


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Any], None] | bool]:
    """A bar with rows a second, what is sent, spent and left, where somebody looks at standard error."""
    if not streams.on_terminal(sys.stderr):
        yield False
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True, no_color=not streams.coloured(sys.stderr))
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("looking at the source", total=None)
        yield lambda state: bar.update(task, total=state.total, completed=state.rows, description=str(state))

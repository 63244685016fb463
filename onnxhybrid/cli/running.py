"""`run`."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from onnxhybrid.cli import feeding, streams
from onnxhybrid.cli.progress import progress
from onnxhybrid.cli.tensors import shown


def run(
    model: str = typer.Argument(help="The file.", metavar="MODEL.onnx"),
    files: list[str] = feeding.FILES,
    values: list[str] = feeding.VALUES,
    random: list[str] = feeding.RANDOM,
    seed: int = feeding.SEED,
    repeat: int = typer.Option(1, "--repeat", help="How often it is run.", min=1),
    save: Path = typer.Option(None, "--save", help="Write the outputs of the last run.", metavar="FILE.npz"),
    credentials: list[str] = feeding.CREDENTIALS,
    endpoints: list[str] = feeding.ENDPOINTS,
    allowed: list[str] = feeding.ALLOWED,
    authorities: Path = feeding.AUTHORITIES,
    record: Path = typer.Option(None, "--record", help="Keep what servers answer.", metavar="FILE"),
    replay: Path = typer.Option(None, "--replay", help="Take answers from a record; send nothing.", metavar="FILE"),
    as_json: bool = typer.Option(False, "--json", help="Write the outputs as JSON."),
) -> None:
    """Run a model, and show its outputs, how long it took, and what its remote calls did."""
    opening = feeding.session(credentials, endpoints, allowed, authorities)
    from onnxhybrid.model import load
    from onnxhybrid.runtime import Session

    loaded = load(model)
    fed = feeding.feeds([loaded], files, values, random, seed)
    session = Session(model, **opening, record=record, replay=replay)
    names = [output.name for output in session.get_outputs()]
    seconds: list[float] = []
    with progress("running", repeat) as advance:
        for _ in range(repeat):
            began = time.perf_counter()
            results = session.run(None, fed)
            seconds.append(time.perf_counter() - began)
            advance()
    outputs = dict(zip(names, results, strict=True))
    if save is not None:
        from onnxhybrid import feeds

        feeds.save(save, outputs)
    if as_json:
        streams.answer_json(_document(outputs, seconds, session))
    else:
        streams.answer("\n".join((*(shown(name, value) for name, value in outputs.items()), *_told(seconds, session))))


def _document(outputs: dict[str, Any], seconds: list[float], session: Any) -> dict[str, Any]:
    from onnxhybrid.cli.tensors import document

    stats = {node: asdict(row) for node, row in session.stats().items()}
    tensors = {name: document(value) for name, value in outputs.items()}
    return {"outputs": tensors, "seconds": seconds, "remotes": stats}


def _told(seconds: list[float], session: Any) -> list[str]:
    """The lines about time and remote calls."""
    middle = sorted(seconds)[len(seconds) // 2]
    lines = [f"{len(seconds)} run{'s' if len(seconds) > 1 else ''}, {middle * 1000:.1f} ms each"]
    for node, row in session.stats().items():
        errors = ", ".join(f"{count} × {code}" for code, count in row.errors.items()) or "no errors"
        lines.append(f"{node}: {row.calls} calls, {row.bytes_out} B sent, {row.bytes_in} B received, {errors}")
    return lines

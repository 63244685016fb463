"""`endpoint`."""

from __future__ import annotations

import contextlib
import signal
from typing import Any, NoReturn

import typer

from onnxhybrid.cli import streams
from onnxhybrid.cli.usage import words


class _Terminated(Exception):
    """Whoever runs the program asked it to end."""


def endpoint(
    models: list[str] = typer.Argument(help="A model and the name to serve it under.", metavar="NAME=MODEL.onnx..."),
    host: str = typer.Option("127.0.0.1", "--host", help="The address to listen on; this one is this machine's alone."),
    port: int = typer.Option(0, "--port", help="The port to listen on; 0 takes a free one."),
    batch: list[str] = typer.Option(
        [], "--batch", help="The rows that a model, or each, is given at once; 0 for all.", metavar="[NAME=]ROWS"
    ),
    allow_host: list[str] = typer.Option([], "--allow-host", help="A further host that requests may name; * for all."),
    max_request_bytes: int = typer.Option(256 << 20, "--max-request-bytes", help="The largest request."),
    max_memory_bytes: int = typer.Option(1 << 30, "--max-memory-bytes", help="What all requests hold together."),
    max_connections: int = typer.Option(None, "--max-connections", help="The most connections."),
    receive_timeout: float = typer.Option(60.0, "--receive-timeout", help="Seconds in which a request has to arrive."),
    as_json: bool = typer.Option(False, "--json", help="Write the URL and the models as JSON."),
) -> int:
    """Serve models over HTTP, by the protocols of Triton (KServe v2), OpenAI and AzureML, until Ctrl-C.

    With ONNXHYBRID_ENDPOINT_TOKEN in the environment, requests need that bearer token.
    """
    from onnxhybrid.endpoint.command import greeting, models_of, rows_of, serve_until_stopped

    def told(url: str, names: list[str], guarded: bool) -> None:
        if as_json:
            streams.answer_json({"url": url, "models": names, "token": guarded})
        else:
            streams.answer(greeting(url, names, guarded))

    with words():
        served, rows = models_of(models), rows_of(batch)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background job ignores it
    limits = {
        "max_request_bytes": max_request_bytes,
        "max_memory_bytes": max_memory_bytes,
        "max_connections": max_connections,
        "receive_timeout": receive_timeout,
    }
    with contextlib.suppress(_Terminated):
        serve_until_stopped(served, host, port, told, allow_hosts=allow_host, batch=rows, **limits)
    return 0


def _terminated(*_: Any) -> NoReturn:
    raise _Terminated

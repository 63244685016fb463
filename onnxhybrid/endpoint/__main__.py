"""`python -m onnxhybrid.endpoint digits=large.onnx`: the embedded endpoint from the command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

from onnxhybrid.endpoint import serve
from onnxhybrid.errors import Error

TOKEN = "ONNXHYBRID_ENDPOINT_TOKEN"
_CREDENTIAL = "ONNXHYBRID_CREDENTIAL_ENDPOINT"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or a request to terminate; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        _serve(_parser().parse_args(arguments))
    except KeyboardInterrupt:
        return 0
    except Error as problem:
        print(f"onnxhybrid.endpoint: {problem}", file=sys.stderr)
        return 2
    return 0


def _serve(options: argparse.Namespace) -> None:
    models, token = _models(options.models), os.environ.get(TOKEN)
    endpoint = serve(
        models,
        options.host,
        options.port,
        token=token,
        allow_hosts=options.allow_host,
        max_request_bytes=options.max_request_bytes,
        max_memory_bytes=options.max_memory_bytes,
        max_connections=options.max_connections,
        receive_timeout=options.receive_timeout,
        batch=_batch(options.batch),
    )
    with endpoint:
        print(_greeting(endpoint.url, list(models), token is not None), flush=True)
        while True:  # on Windows a wait without an end keeps Ctrl-C from getting through
            threading.Event().wait(timeout=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m onnxhybrid.endpoint",
        description="Serve ONNX models over HTTP by the protocols of Triton (KServe v2), OpenAI and AzureML.",
        epilog=f"With {TOKEN} in the environment, requests need that bearer token.",
    )
    parser.add_argument("models", nargs="+", metavar="name=file.onnx", help="a model and the name to serve it under")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument(
        "--batch",
        action="append",
        default=[],
        metavar="[name=]ROWS",
        help="the rows that a model, or each, is given at once: it answers each row by itself (0: all rows of a "
        "request; default: 1024 where that is known of all of its operators)",
    )
    _add_limits(parser)
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a further host that requests may name (may come several times; * for all); known are localhost, "
        "loopback, the host of --host and, where other machines reach it, all IP addresses and this machine's name",
    )
    for name, default, what in (
        ("request", 256 << 20, "the largest request to accept (default: 256 MiB)"),
        ("memory", 1 << 30, "what all requests under way hold together (default: 1 GiB)"),
    ):
        parser.add_argument(f"--max-{name}-bytes", type=int, default=default, metavar="BYTES", help=what)
    parser.add_argument(
        "--max-connections",
        type=int,
        metavar="NUMBER",
        help="the most connections (default: half of the descriptors that the process may open, 1000 at most)",
    )
    parser.add_argument(
        "--receive-timeout",
        type=float,
        default=60,
        metavar="SECONDS",
        help="the time in which a request has to arrive (default: 60)",
    )


def _models(pairs: Sequence[str]) -> dict[str, str]:
    """The models of `name=file` arguments.

    Raises:
        Error: OH552, an argument is no such pair, or a name comes twice.
    """
    models: dict[str, str] = {}
    for pair in pairs:
        name, sign, path = pair.partition("=")
        if not (name and sign and path):
            raise Error("OH552", f"{pair!r} is no model: write name=file.onnx")
        if name in models:
            raise Error("OH552", f"two models are called {name!r}")
        models[name] = path
    return models


def _batch(given: Sequence[str]) -> int | dict[str, int] | None:
    """The rows of `--batch` arguments: of all models, or by name.

    Raises:
        Error: OH552, one of them is no number, or one for all stands beside others.
    """
    pairs = [each.rpartition("=") for each in given]
    if wrong := [rows for _, _, rows in pairs if not rows.isdecimal()]:
        raise Error("OH552", f"{wrong[0]!r} is no number of rows: write --batch 512, or --batch name=512")
    named = {name: int(rows) for name, sign, rows in pairs if sign}
    if len(named) == len(pairs):
        return named or None
    if len(pairs) > 1:
        raise Error("OH552", "--batch comes once for all models, or with a name each")
    return int(pairs[0][2])


def _greeting(url: str, names: Sequence[str], guarded: bool) -> str:
    header = f' -H "Authorization: Bearer ${TOKEN}"' if guarded else ""
    auth = ', auth=oh.Credential("endpoint")' if guarded else ""
    lines = [
        f"onnxhybrid endpoint: {url} (KServe v2) serves {', '.join(names)}",
        f"  look:     curl{header} {url}/v2/models/{names[0]}",
        f'  compose:  oh.remote.triton("{url}", "{names[0]}"{auth})',
    ]
    if guarded:
        lines.append(
            f"            with the token in {_CREDENTIAL} and {_CREDENTIAL}_HOSTS={url.removeprefix('http://')}"
        )
    return "\n".join((*lines, "Ctrl-C ends it."))


if __name__ == "__main__":
    sys.exit(main())

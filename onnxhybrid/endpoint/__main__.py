"""`python -m onnxhybrid.endpoint digits=large.onnx`: the embedded endpoint from the command line."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from onnxhybrid.endpoint.command import TOKEN, greeting, models_of, rows_of, serve_until_stopped
from onnxhybrid.errors import Error


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
    serve_until_stopped(
        models_of(options.models),
        options.host,
        options.port,
        lambda *ready: print(greeting(*ready), flush=True),
        allow_hosts=options.allow_host,
        max_request_bytes=options.max_request_bytes,
        max_memory_bytes=options.max_memory_bytes,
        max_connections=options.max_connections,
        receive_timeout=options.receive_timeout,
        batch=rows_of(options.batch),
    )


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


if __name__ == "__main__":
    sys.exit(main())

"""What the embedded endpoint's two command lines have in common: their words, and serving until somebody stops it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onnxhybrid.endpoint import serve
from onnxhybrid.errors import Error

TOKEN = "ONNXHYBRID_ENDPOINT_TOKEN"
_CREDENTIAL = "ONNXHYBRID_CREDENTIAL_ENDPOINT"


def serve_until_stopped(
    models: Mapping[str, str],
    host: str,
    port: int,
    told: Callable[[str, list[str], bool], None],
    **settings: Any,
) -> None:
    """Serve models until an exception, such as KeyboardInterrupt, comes to this thread; it passes on.

    Args:
        models: the models' files by name.
        host, port: the address to listen on.
        told: called once with the URL, the models' names and whether requests need a token.
        **settings: of `onnxhybrid.endpoint.serve`.

    Raises:
        Error: as of `serve`.
    """
    token = os.environ.get(TOKEN)
    with serve(models, host, port, token=token, **settings) as endpoint:
        told(endpoint.url, list(models), token is not None)
        while True:  # on Windows a wait without an end keeps Ctrl-C from getting through
            threading.Event().wait(timeout=1)


def models_of(pairs: Sequence[str]) -> dict[str, str]:
    """The models of `name=file` arguments.

    Raises:
        Error: OH552, an argument is no such pair, or a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, path = pair.partition("=")
        if not (name and sign and path):
            raise Error("OH552", f"{pair!r} is no model: write name=file.onnx")
        if name in found:
            raise Error("OH552", f"two models are called {name!r}")
        found[name] = path
    return found


def rows_of(given: Sequence[str]) -> int | dict[str, int] | None:
    """The rows of `--batch` arguments: of all models, or by name.

    Raises:
        Error: OH552, one of them is no number, or one for all stands beside others.
    """
    pairs = [each.rpartition("=") for each in given]
    if wrong := [count for _, _, count in pairs if not count.isdecimal()]:
        raise Error("OH552", f"{wrong[0]!r} is no number of rows: write --batch 512, or --batch name=512")
    named = {name: int(count) for name, sign, count in pairs if sign}
    if len(named) == len(pairs):
        return named or None
    if len(pairs) > 1:
        raise Error("OH552", "--batch comes once for all models, or with a name each")
    return int(pairs[0][2])


def greeting(url: str, names: Sequence[str], guarded: bool) -> str:
    """What is said once the endpoint answers."""
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

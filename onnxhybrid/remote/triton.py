"""Remote models on a Triton Inference Server, or on any server of the KServe v2 protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from onnxhybrid import library
from onnxhybrid.errors import ModelError, RemoteError
from onnxhybrid.model.model import Model
from onnxhybrid.model.tensor_spec import TensorSpec
from onnxhybrid.remote.invoke import CallSettings, Target, describe, invoke, specs
from onnxhybrid.remote.options import Attribute, Options

_GIVE = "; with inputs= and outputs= it is not asked"
_PORT = "; Triton speaks HTTP (http://) at one port and gRPC (grpc://) at another"
_HINTS = {**dict.fromkeys(("OH501", "OH502", "OH510", "OH511"), _GIVE), **dict.fromkeys(("OH504", "OH508"), _PORT)}
"""What to do, by code, where the server had no say about the model."""


def triton(
    url: str,
    model: str,
    *,
    version: str = "",
    inputs: Iterable[TensorSpec] | None = None,
    outputs: Iterable[TensorSpec] | None = None,
    binary: Literal["auto"] | bool = "auto",
    **common: Any,
) -> Model:
    """A model on a Triton server, or on any other that speaks KServe v2 over HTTP or gRPC.

    Args:
        url: the server's base URL, whose scheme says which of the two: `http://host:8000`, `https://…`,
            `grpc://host:8001` or `grpcs://…` (with TLS). A port that is left out is 80, with TLS 443.
        model: the model's name on the server.
        version: its version; empty for the server's choice.
        inputs, outputs: what it takes and gives, by the names on the wire; without them the server is asked. An input
            that is `optional` may be left out of a run, and is then not sent. A feed of it that has a size of 0 in each
            dimension counts as left out. Triton tells which inputs are optional; other servers do not.
        binary: over HTTP, whether tensors travel in bytes, by Triton's binary tensor extension (True), or as JSON,
            which every server of KServe v2 reads (False). With "auto" they go in bytes until the server refuses a
            request; then it is asked for its extensions, and where it names none for bytes, or does not tell, that
            request and all later ones go in JSON. NaN and infinities are refused in JSON. Over gRPC tensors always are
            bytes.
        **common: auth (`oh.Credential(name)`, `oh.Input("auth_token")` or None), timeout and connect_timeout in
            seconds (30 and 5; the first covers all attempts), retries (2), on_error ("raise", or "flag" for outputs
            ok, status and error), name (of the node; the model's name by default).

    Returns:
        A Model with these inputs and outputs; its graph is one remote call.

    Raises:
        ModelError: OH301 to OH304, an argument is wrong; OH330, the server has no word about the model's tensors.
        RemoteError: the server was asked for the model's metadata and did not answer well.

    Source: https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.md.
    """
    settings = CallSettings.of(common)
    target = Target(_protocol(url), url, model, version)
    options = Options(_form(target.protocol, binary))
    if (inputs is None) != (outputs is None):
        raise ModelError("OH302", "inputs and outputs are given together, or neither is and the server is asked")
    if inputs is None or outputs is None:
        return invoke(target, *_asked(target, settings), settings, options)
    return invoke(target, specs(inputs), specs(outputs), settings, options)


def _form(protocol: str, binary: object) -> dict[str, Attribute]:
    """The node's attribute for `binary`; none for "auto".

    Raises:
        ModelError: OH304, it is something else, or not for the protocol.
    """
    if not (binary == "auto" or isinstance(binary, bool)):
        raise ModelError("OH304", f'binary is "auto", True or False, not {binary!r}')
    if "binary" in library.protocols()[protocol]["attributes"]:
        return {} if binary == "auto" else {"binary": "true" if binary else "false"}
    if binary is False:
        raise ModelError("OH304", "binary=False is for http:// and https://: over gRPC tensors always are bytes")
    return {}


def _asked(target: Target, settings: CallSettings) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What the server says; a failure says who was asked, and for what, since no node has a name yet.

    Raises:
        RemoteError: the server did not answer well.
    """
    try:
        taken, given = describe(target, settings)
    except RemoteError as problem:
        asked = f"{target.endpoint} was asked what the model {target.model!r} takes and gives"
        raise type(problem)(
            problem.code,
            f"{asked}: {problem.message}{_HINTS.get(problem.code, '')}",
            endpoint=problem.endpoint,
            status=problem.status,
            attempts=problem.attempts,
        ) from None
    _told(target, "input", taken)
    _told(target, "output", given)
    return taken, given


def _told(target: Target, side: str, specs: tuple[TensorSpec, ...]) -> None:
    """Check what a server said of one side of the model.

    Raises:
        ModelError: OH330, that is nothing, or a name comes twice.
    """
    names = [spec.name for spec in specs]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if (specs and doubled is None) or (not specs and side == "input"):
        return  # a model that takes nothing gives something
    what = f"names the {side} {doubled!r} twice" if specs else f"does not tell which {side}s it has"
    raise ModelError(
        "OH330",
        f"{target.endpoint} was asked what the model {target.model!r} takes and gives, and {what}: give inputs= and "
        'outputs=, as in inputs=[oh.TensorSpec("x", "float32", ("n", 4))]',
    )


def _protocol(url: object) -> str:
    scheme = url.partition("://")[0].lower() if isinstance(url, str) else ""
    return "triton.grpc" if scheme in library.protocols()["triton.grpc"]["schemes"] else "triton.http"

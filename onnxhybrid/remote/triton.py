"""Remote models on a Triton Inference Server, or on any server of the KServe v2 protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from onnxhybrid import library
from onnxhybrid.errors import ModelError, RemoteError
from onnxhybrid.model.model import Model
from onnxhybrid.model.tensor_spec import TensorSpec
from onnxhybrid.remote.blobs import attribute_of, names_of, with_blobs
from onnxhybrid.remote.groups import Fields
from onnxhybrid.remote.invoke import CallSettings, Target, builder, describe, invoke, specs
from onnxhybrid.remote.named_endpoint import Endpoint, asked_at
from onnxhybrid.remote.options import Options

_GIVE = "; with inputs= and outputs= it is not asked"
_PORT = "; Triton speaks HTTP (http://) at one port and gRPC (grpc://) at another"
_HINTS = {
    **dict.fromkeys(("OH501", "OH502", "OH510", "OH511"), _GIVE),
    **dict.fromkeys(("OH504", "OH508"), _PORT + _GIVE),
}
"""What to do, by code, where the server had no say about the model."""
_UNTOLD = "; a server that does not tell what its models take is not asked with inputs= and outputs="
_TOKEN = '; a token is given as auth=oh.Credential("name")'
_STATUSES = {**dict.fromkeys((404, 405, 501), _UNTOLD), **dict.fromkeys((401, 403), _TOKEN)}
"""What to do, by HTTP's status, where the server refused the question."""


@builder
def triton(
    url: str | Endpoint,
    model: str,
    *,
    version: str = "",
    inputs: Iterable[TensorSpec] | None = None,
    outputs: Iterable[TensorSpec] | None = None,
    binary: Literal["auto"] | bool = "auto",
    parameters: Fields | None = None,
    bytes: Iterable[str] = (),  # noqa: A002  # the protocol's own word
    **common: Any,
) -> Model:
    """A model on a Triton server, or on any other that speaks KServe v2 over HTTP or gRPC.

    Args:
        url: the server's base URL, whose scheme says which of the two: `http://host:8000`, `https://…`,
            `grpc://host:8001` or `grpcs://…` (with TLS). A port that is left out is 80, with TLS 443. Or an
            `oh.Endpoint`: a name that a session resolves.
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
        parameters: of every request, by name: `sequence_id`, `sequence_start`, `sequence_end`, `priority`, `timeout`
            (in microseconds, for the server's queue), and what the model's own backend knows. A bool, an int, a float
            or a text each, or an `oh.Input()`: a graph input of shape [1] and of its default's type (bool, int64,
            float32, str), without a default str; an empty text is not sent.
        bytes: the BYTES tensors, inputs and outputs, that hold bytes and not text, as an encoded image. Each is one
            element, and in the graph the uint8["bytes"] that the element holds. Where inputs and outputs are given such
            a tensor is declared as uint8["bytes"], and has the shape [1] on the wire; or as the str that it is there,
            as in `TensorSpec("image", "str", (1, 1))`, and then has the shape of that. The other BYTES tensors are str.
        **common: auth (`oh.Credential(name)`, `oh.Input("auth_token")` or None), headers (of every request, the
            question for metadata included, by name: a text, an `oh.Credential` or an `oh.Input()`; over gRPC as
            metadata), timeout and connect_timeout in seconds (30 and 5; the first covers all attempts), attempt_timeout
            (seconds for one attempt, so that a request that was swallowed leaves time for a repeat; None for as long as
            the call), retries (2), batch (rows of one request at most), cache (`oh.Cache()` keeps answers, so that
            nothing is asked twice), on_error ("raise", or "flag" for outputs ok, status and error), name (of the node;
            the model's name by default).

    Returns:
        A Model with these inputs and outputs; its graph is one remote call.

    Raises:
        ModelError: OH301 to OH304, OH322, OH323 or OH325, an argument is wrong; OH327, a name leads to no server that
            could be asked; OH330, the server has no word about the model's tensors; OH334, what `bytes` names is not
            one element of BYTES.
        RemoteError: the server was asked for the model's metadata and did not answer well.

    Source: https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.md.
    """
    settings = CallSettings.of(common)
    target = Target(_protocol(url), url, model, version)
    form = _form(target.protocol, binary)
    if (inputs is None) != (outputs is None):
        raise ModelError("OH302", "inputs and outputs are given together, or neither is and the server is asked")
    names = names_of(bytes)
    if inputs is None or outputs is None:
        there = _asked(target, settings)
        if numbers := [spec for spec in (*there[0], *there[1]) if spec.name in names and spec.dtype != "str"]:
            raise ModelError("OH334", f"bytes names {numbers[0].name!r}, and the server says that it is {numbers[0]}")
    else:
        there = specs(inputs), specs(outputs)
    options = Options.of(target.protocol, {}, parameters=parameters, **form, **attribute_of(*there, names))
    return invoke(target, *with_blobs(*there, names), settings, options)


def _form(protocol: str, binary: object) -> dict[str, str]:
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
        asked = f"{_shown(target)} was asked what the model {target.model!r} takes and gives"
        raise type(problem)(
            problem.code,
            f"{asked}: {problem.message}{_hint(problem)}",
            endpoint=problem.endpoint,
            status=problem.status,
            attempts=problem.attempts,
        ) from None
    _told(target, "input", taken)
    _told(target, "output", given)
    return taken, given


def _hint(problem: RemoteError) -> str:
    refused = _STATUSES.get(problem.status or 0, "") if problem.code == "OH503" else ""
    return refused or _HINTS.get(problem.code, "")


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
        f"{_shown(target)} was asked what the model {target.model!r} takes and gives, and {what}: give inputs= and "
        'outputs=, as in inputs=[oh.TensorSpec("x", "float32", ("n", 4))]',
    )


def _shown(target: Target) -> str:
    url = asked_at(target.endpoint, target.protocol)
    return str(library.endpoint(url).get("shown", url))


def _protocol(url: object) -> str:
    address = (url.default or url.address) if isinstance(url, Endpoint) else url
    scheme = address.partition("://")[0].lower() if isinstance(address, str) else ""
    return "triton.grpc" if scheme in library.protocols()["triton.grpc"]["schemes"] else "triton.http"

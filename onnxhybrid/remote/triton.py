"""Remote models on a Triton Inference Server, or any server of the KServe v2 protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onnxhybrid import library
from onnxhybrid.errors import ModelError, RemoteError
from onnxhybrid.model.model import Model
from onnxhybrid.model.tensor_spec import TensorSpec
from onnxhybrid.remote.blobs import attribute_of, names_of, with_blobs
from onnxhybrid.remote.groups import Fields
from onnxhybrid.remote.invoke import CallSettings, Target, builder, describe, invoke, specs
from onnxhybrid.remote.options import Options

_GIVE = "; with inputs= and outputs= it is not asked"
_PORT = "; Triton speaks HTTP (http://) at one port and gRPC (grpc://) at another"
_HINTS = {**dict.fromkeys(("OH501", "OH502", "OH510", "OH511"), _GIVE), **dict.fromkeys(("OH504", "OH508"), _PORT)}
"""What to do, by code, where the server had no say about the model."""


@builder
def triton(
    url: str,
    model: str,
    *,
    version: str = "",
    inputs: Iterable[TensorSpec] | None = None,
    outputs: Iterable[TensorSpec] | None = None,
    parameters: Fields | None = None,
    bytes: Iterable[str] = (),  # noqa: A002  # the protocol's own word
    **common: Any,
) -> Model:
    """A model on a Triton server, called by the KServe v2 protocol over HTTP or gRPC.

    Args:
        url: the server's base URL, whose scheme says which of the two: `http://host:8000`, `https://…`,
            `grpc://host:8001` or `grpcs://…` (with TLS). A port that is left out is 80, with TLS 443. Over HTTP
            tensors travel by Triton's binary tensor extension.
        model: the model's name on the server.
        version: its version; empty for the server's choice.
        inputs, outputs: what it takes and gives, by the names on the wire; without them the server is asked.
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
            the call), retries (2), on_error ("raise", or "flag" for outputs ok, status and error), name (of the node;
            the model's name by default).

    Returns:
        A Model with these inputs and outputs; its graph is one remote call.

    Raises:
        ModelError: OH301 to OH304, OH322, OH323 or OH325, an argument is wrong; OH334, what `bytes` names is not one
            element of BYTES.
        RemoteError: the server was asked for the model's metadata and did not answer well.

    Source: https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.md.
    """
    settings = CallSettings.of(common)
    target = Target(_protocol(url), url, model, version)
    if (inputs is None) != (outputs is None):
        raise ModelError("OH302", "inputs and outputs are given together, or neither is and the server is asked")
    names = names_of(bytes)
    if inputs is None or outputs is None:
        there = _asked(target, settings)
        if numbers := [spec for spec in (*there[0], *there[1]) if spec.name in names and spec.dtype != "str"]:
            raise ModelError("OH334", f"bytes names {numbers[0].name!r}, and the server says that it is {numbers[0]}")
    else:
        there = specs(inputs), specs(outputs)
    options = Options.of(target.protocol, {}, parameters=parameters, **attribute_of(*there, names))
    return invoke(target, *with_blobs(*there, names), settings, options)


def _asked(target: Target, settings: CallSettings) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What the server says; a failure says who was asked, and for what, since no node has a name yet.

    Raises:
        RemoteError: the server did not answer well.
    """
    try:
        return describe(target, settings)
    except RemoteError as problem:
        asked = (
            f"{library.endpoint(target.endpoint)['shown']} was asked what the model {target.model!r} takes and gives"
        )
        raise type(problem)(
            problem.code,
            f"{asked}: {problem.message}{_HINTS.get(problem.code, '')}",
            endpoint=problem.endpoint,
            status=problem.status,
            attempts=problem.attempts,
        ) from None


def _protocol(url: object) -> str:
    scheme = url.partition("://")[0].lower() if isinstance(url, str) else ""
    return "triton.grpc" if scheme in library.protocols()["triton.grpc"]["schemes"] else "triton.http"

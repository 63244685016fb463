"""Remote models on a Triton Inference Server, or any server of the KServe v2 protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onnxhybrid.errors import ModelError
from onnxhybrid.model.model import Model
from onnxhybrid.model.tensor_spec import TensorSpec
from onnxhybrid.remote.invoke import Options, Target, describe, invoke


def triton(
    url: str,
    model: str,
    *,
    version: str = "",
    inputs: Iterable[TensorSpec] | None = None,
    outputs: Iterable[TensorSpec] | None = None,
    **common: Any,
) -> Model:
    """A model on a Triton server, called by the KServe v2 protocol with Triton's binary tensor extension.

    Args:
        url: the server's base URL, `http://host:8000` or `https://…`.
        model: the model's name on the server.
        version: its version; empty for the server's choice.
        inputs, outputs: what it takes and gives, by the names on the wire; without them the server is asked.
        **common: auth (`oh.Credential(name)`, `oh.Input("auth_token")` or None), timeout and connect_timeout in
            seconds (30 and 5; the first covers all attempts), retries (2), on_error ("raise", or "flag" for outputs
            ok, status and error), name (of the node; the model's name by default).

    Returns:
        A Model with these inputs and outputs; its graph is one remote call.

    Raises:
        ModelError: OH301 to OH304, an argument is wrong.
        RemoteError: the server was asked for the model's metadata and did not answer well.

    Source: https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.md.
    """
    options = Options.of(common)
    target = Target("triton.http", url, model, version)
    if (inputs is None) != (outputs is None):
        raise ModelError("OH302", "inputs and outputs are given together, or neither is and the server is asked")
    if inputs is None or outputs is None:
        return invoke(target, *describe(target, options), options)
    return invoke(target, tuple(inputs), tuple(outputs), options)

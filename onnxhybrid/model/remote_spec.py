"""The remote nodes of a model, as data: what leaves the device, where to and how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto, helper

from onnxhybrid.model.tensor_spec import TensorSpec

DOMAIN = "ai.onnxhybrid"
"""The operator domain of the remote nodes."""

INVOKE = "Invoke"
"""The operator type of a remote call."""

BEGIN = "Begin"
"""The operator type of a remote call that goes on while other nodes run; its one output is a ticket."""

AWAIT = "Await"
"""The operator type that gives what the call of a ticket brought."""

CANCEL = "Cancel"
"""The operator type that drops the call of a ticket."""

FLAGS = (TensorSpec("ok", "bool", ()), TensorSpec("status", "int64", ()), TensorSpec("error", "str", ()))
"""The last outputs of a call whose `on_error` is "flag"."""

REQUIRED = ("protocol", "endpoint", "input_names", "output_names", "auth", "timeout_ms")


@dataclass(frozen=True)
class RemoteSpec:
    """One remote call of a model.

    Attributes:
        node: the node's name; it says which part of a composition the call belongs to.
        protocol: the wire protocol, such as `triton.http`.
        endpoint: the base URL.
        model, version: what the server calls the model; an empty version is the server's choice.
        inputs, outputs: the tensors' names on the wire.
        auth: `none`, `input`, or `credential:NAME`.
        timeout, connect_timeout: seconds; the first covers all attempts together.
        retries: how often a call that is safe to repeat is repeated.
        on_error: `raise` or `flag`.
    """

    node: str
    protocol: str
    endpoint: str
    model: str
    version: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    auth: str
    timeout: float
    connect_timeout: float
    retries: int
    on_error: str

    @property
    def credential(self) -> str | None:
        """The name of the credential that the call sends; None if it sends none."""
        kind, _, name = self.auth.partition(":")
        return name if kind == "credential" else None

    @classmethod
    def of(cls, node: NodeProto) -> RemoteSpec:
        """The description of an Invoke or Begin node.

        Raises:
            ValueError: the node lacks an attribute, or one has another type; the message says which.
        """
        values = attributes_of(node)
        required = (*REQUIRED, *(("output_types",) if node.op_type == BEGIN else ()))
        if missing := [name for name in required if name not in values]:
            raise ValueError(f"attribute {missing[0]!r} is missing")
        try:
            return cls(
                node=node.name,
                protocol=_text(values, "protocol"),
                endpoint=_text(values, "endpoint"),
                model=_text(values, "model"),
                version=_text(values, "version"),
                inputs=_names(values, "input_names"),
                outputs=_names(values, "output_names"),
                auth=_text(values, "auth"),
                timeout=int(values["timeout_ms"]) / 1000,
                connect_timeout=int(values.get("connect_timeout_ms", values["timeout_ms"])) / 1000,
                retries=int(values.get("retries", 0)),
                on_error=_text(values, "on_error") or "raise",
            )
        except TypeError as problem:
            raise ValueError(str(problem)) from None


def is_remote(node: NodeProto) -> bool:
    """Whether the node makes a remote call."""
    return node.domain == DOMAIN and node.op_type in (INVOKE, BEGIN)


def gives_results(node: NodeProto) -> bool:
    """Whether the node's outputs come from a remote call, and so need a declared type."""
    return node.domain == DOMAIN and node.op_type in (INVOKE, AWAIT)


def result_count(node: NodeProto, spec: RemoteSpec) -> int:
    """How many outputs a remote node has: those of the call, or the ticket."""
    if node.op_type == BEGIN:
        return 1
    return len(spec.outputs) + (len(FLAGS) if spec.on_error == "flag" else 0)


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """The node's attributes as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name, b"")
    if not isinstance(value, bytes):
        raise ValueError(f"attribute {name!r} is no string")
    return value.decode("utf-8")


def _names(values: dict[str, Any], name: str) -> tuple[str, ...]:
    names = json.loads(_text(values, name))
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise ValueError(f"attribute {name!r} is no JSON array of strings")
    return tuple(names)

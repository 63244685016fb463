"""What the old operators carry, and how they name it on the wire."""

from __future__ import annotations

from typing import Any

from onnx import NodeProto

from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.remote_spec import attributes_of

TRITON_DTYPES = frozenset(
    {"bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64", "str"}
)
"""What AzureTritonInvoker carries: everything but the 16-bit floats."""

FORM, TEXT = "legacy.form", "legacy.text"
"""The protocols that send what the operators over plain HTTP sent."""


def needs_model(model: object) -> None:
    """Refuse what is no Model.

    Raises:
        ComposeError: OH205, always where it is none.
    """
    if not isinstance(model, Model):
        raise ComposeError("OH205", f"{type(model).__name__} is no Model; load a file with oh.load(path)")


def wire_name(tensor: str) -> str:
    """What an old operator calls a tensor on the wire: what follows its last slash."""
    return tensor.rsplit("/", 1)[-1]


def plain_attributes(node: NodeProto) -> dict[str, Any]:
    """The node's attributes as Python values, its texts as str."""
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in attributes_of(node).items()
    }

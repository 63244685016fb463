"""The form of a step between opsets: it changes a node in place, and says which nodes it needs around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from onnx import NodeProto, helper

from onnxhybrid.model.alignment.scope import Unproven
from onnxhybrid.model.messages import replace


@dataclass(frozen=True)
class Stage:
    """The nodes that a changed node needs before it and after it."""

    before: list[NodeProto] = field(default_factory=list)
    after: list[NodeProto] = field(default_factory=list)


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of an attribute; its default where the node has none.

    Raises:
        Unproven: it is a parameter of the function that the node is in.
    """
    for entry in node.attribute:
        if entry.name == name:
            if entry.ref_attr_name:
                raise Unproven(f"its attribute {name!r} is a parameter of a function")
            return helper.get_attribute_value(entry)
    return default


def drop(node: NodeProto, *names: str) -> None:
    """Take attributes off a node."""
    replace(node.attribute, [entry for entry in node.attribute if entry.name not in names])

"""The tensors that a graph knows, and those of the graphs around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from onnx import AttributeProto

from onnxhybrid.model.flows.steps import Body
from onnxhybrid.model.flows.tensor import Flow, Names


@dataclass(slots=True)
class Scope:
    """The tensors that a graph knows.

    Attributes:
        tensors: its own.
        outer: the scope around it; None for the main graph and the body of a function.
        attributes: what the attributes of the function stand for, in which it is.
    """

    tensors: dict[str, Flow]
    outer: Scope | None = None
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict)

    def get(self, name: str) -> Flow | None:
        """What is known of a tensor; None of one that is left out."""
        scope: Scope | None = self
        while scope is not None:
            if (flow := scope.tensors.get(name)) is not None:
                return flow
            scope = scope.outer
        return None

    def inner(self, tensors: dict[str, Flow]) -> Scope:
        """The scope of a graph inside of this one."""
        return Scope(tensors, self, self.attributes)


class Walker(Protocol):
    """Who walks through graphs."""

    def body(self, body: Body, scope: Scope, when: Names) -> list[Flow]:
        """What is known of the outputs of a graph in this scope, which is computed when these inputs say so."""

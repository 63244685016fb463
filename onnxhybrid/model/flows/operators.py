"""What the standard operators make of what is known of their inputs; of any other nothing is known."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from onnx import AttributeProto, defs

from onnxhybrid.model.flows.steps import Step
from onnxhybrid.model.flows.tensor import UNDEFINED, Flow, everything, opaque


@dataclass(frozen=True, slots=True)
class Given:
    """A node with what is known of its inputs.

    Attributes:
        step: the node.
        flows: its inputs; None where one is left out.
        bound: what attributes of the function stand for, in which the node is.
        version: the standard opset.
    """

    step: Step
    flows: Sequence[Flow | None]
    bound: Mapping[str, AttributeProto]
    version: int

    @property
    def present(self) -> list[Flow]:
        """The inputs that are not left out."""
        return [flow for flow in self.flows if flow is not None]

    def flow(self, position: int) -> Flow | None:
        """An input; None where it is left out."""
        return self.flows[position] if position < len(self.flows) else None

    def attribute(self, name: str) -> AttributeProto | None:
        """An attribute; None where the node has none of that name, or one that stands for none."""
        attribute = self.step.attributes().get(name)
        return None if attribute is None else resolved(attribute, self.bound)

    def integer(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        attribute = self.attribute(name)
        return default if attribute is None else int(attribute.i)

    def integers(self, name: str) -> list[int] | None:
        """An attribute that is a list of them; None where there is none."""
        attribute = self.attribute(name)
        return None if attribute is None else list(attribute.ints)

    def dtype(self, position: int = 0) -> str:
        """The element type of an output, as the operator's schema says it."""
        said = _said(self.step.operator, self.version, position)
        if isinstance(said, str):
            return said
        flow = self.flow(said) if said is not None else None
        return UNDEFINED if flow is None else flow.dtype


Rule = Callable[[Given], Sequence[Flow]]
RULES: dict[str, Rule] = {}
"""What each operator of the standard domain gives; `onnxhybrid.model.flows` fills it."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """A decorator: the rule of these operators."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def outputs(given: Given) -> Sequence[Flow]:
    """What is known of a node's outputs."""
    own = RULES.get(given.step.operator) if not given.step.domain else None
    if own is not None and (given.present or not given.flows):
        with contextlib.suppress(ArithmeticError, LookupError, ValueError):  # a node that no session computes
            return own(given)
    names = everything(given.flows)
    types = [UNDEFINED if given.step.domain else given.dtype(position) for position in range(len(given.step.outputs))]
    return [opaque(names, dtype) for dtype in types]


def is_built_in(domain: str) -> bool:
    """Whether ONNX Runtime may have a kernel for an operator of the domain."""
    return not domain or domain.startswith(("ai.onnx.", "com.microsoft", "com.ms.", "org.pytorch"))


def resolved(attribute: AttributeProto, bound: Mapping[str, AttributeProto]) -> AttributeProto | None:
    """What an attribute stands for within a function; None where that has no value."""
    return bound.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute


@functools.lru_cache(4096)
def _said(operator: str, version: int, position: int) -> str | int | None:
    """What a schema says of an output's element type: which, or that of which input; None for neither."""
    try:
        schema = defs.get_schema(operator, max(1, min(version, defs.onnx_opset_version())), "")
    except (defs.SchemaError, TypeError):
        return None
    if not schema.outputs:
        return None
    told = schema.outputs[min(position, len(schema.outputs) - 1)].type_str
    for place, entry in enumerate(schema.inputs):
        if entry.type_str == told:
            return place
    allowed = next((c.allowed_type_strs for c in schema.type_constraints if c.type_param_str == told), [told])
    kinds = {"string": "str", "float": "float32", "double": "float64"}
    if len(allowed) != 1 or not allowed[0].startswith("tensor("):
        return None
    inner = allowed[0][len("tensor(") : -1]
    return kinds.get(inner, inner)

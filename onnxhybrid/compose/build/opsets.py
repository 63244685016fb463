"""The opset of a composition: the newest of its parts, or a newer one that the nodes between them need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import Declared
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import align
from onnxhybrid.model.dtypes import is_container

_DIFFERING = 11
"""The first opset whose If takes branches that give different shapes; before, one shape was taken for both."""


def aligned(combinator: Combinator, parts: Sequence[Part], outputs: Iterable[str]) -> list[Model]:
    """The models of the parts, on common opsets.

    Those of branches are on 11 or later, if each of their operators means the same there.

    Raises:
        ComposeError: OH102, the opsets cannot be aligned.
    """
    models, at_least = [part.model for part in parts], _needed_opset(combinator, outputs, parts)
    if combinator.branches and at_least < _DIFFERING:
        try:
            return align(models, _DIFFERING)
        except ComposeError:
            pass
    return align(models, at_least)


def _needed_opset(combinator: Combinator, outputs: Iterable[str], parts: Sequence[Part]) -> int:
    """The oldest opset whose If gives such outputs, and whose Identity passes on those that are inputs themselves."""
    needed = {_identity_opset(part.outputs[name]) for part in parts for name in part.outputs if name in part.inputs}
    if combinator.branches:
        chosen = [part.outputs[name] for part in parts for name in outputs if name in part.outputs]
        needed |= {_if_opset(value) for value in chosen}
    return max(needed, default=0)


def _if_opset(value: Declared) -> int:
    """The oldest opset whose If gives such a value."""
    return 16 if value.dtype.startswith("optional(") else 13 if is_container(value.dtype) else 0


def _identity_opset(value: Declared) -> int:
    """The oldest opset whose Identity takes such a value."""
    return 16 if value.dtype.startswith("optional(") else 14 if is_container(value.dtype) else 0

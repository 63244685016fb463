"""The outputs of models of which only one will run: all must offer the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxhybrid.compose.build.assembly import Branch
from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.types import Declared, weaker, zipmap_hint
from onnxhybrid.errors import ComposeError

_NOT_OF_BRANCHES = frozenset(
    {"int2", "int4", "uint2", "uint4", "complex64", "complex128", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"}
    | {"float8_e8m0fnu"}
)
"""The element types for which ONNX Runtime has no If."""


def common_outputs(offered: Mapping[str, Mapping[str, Declared]]) -> list[str]:
    """The outputs of models of which one will run, in the first one's order.

    Args:
        offered: the declarations of the outputs by name, by the model's label.

    Raises:
        ComposeError: OH206, one of them offers what another one lacks.
    """
    for name in sorted({name for names in offered.values() for name in names}):
        owners = [label for label, names in offered.items() if name in names]
        if len(owners) < len(offered):
            listed = "; ".join(label + ": " + ", ".join(names) for label, names in offered.items())
            raise ComposeError(
                "OH206", f"only {' and '.join(map(repr, owners))} offers {name!r}; {listed}{meeting(*offered.values())}"
            )
    return list(next(iter(offered.values())))


def meeting(*offered: Mapping[str, Declared]) -> str:
    """What to do about models that do not offer the same outputs."""
    hints = filter(None, map(zipmap_hint, offered))
    return next(hints, ". Drop it with select, or rename outputs so that they meet")


def computed(outputs: Iterable[str], parts: Iterable[Part]) -> list[str]:
    """The outputs but for those that each of the parts gives back as it was given them: these are the inputs."""
    parts = list(parts)
    return [name for name in outputs if not all(name in part.inputs and name in part.outputs for part in parts)]


def unite(then: Branch, else_: Branch, outputs: list[str]) -> list[Declared]:
    """The declarations of outputs of an If: what is true of both branches.

    Raises:
        ComposeError: OH206, their types differ, or are none that an If gives.
    """
    united = [weaker(name, then.outputs[name], else_.outputs[name]) for name in outputs]
    for output in united:
        if output.dtype in _NOT_OF_BRANCHES:
            raise ComposeError(
                "OH206",
                f"the branches offer {output.name!r} as {output.dtype}, which ONNX Runtime cannot give from a branch; "
                "cast it first",
            )
    return united

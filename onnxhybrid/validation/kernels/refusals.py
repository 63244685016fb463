"""What kernels refuse when a session makes them, or schemas beyond what Python sees of them.

That is attributes that do not go together, and element types that a release has no tensors of. Each was seen in the
releases that are named; `make matrix` asks them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto, TensorProto, helper

from onnxhybrid.model.opsets import standard

Attributes = Mapping[str, Any]
Release = tuple[int, int]

_ALWAYS: tuple[Release, Release] = ((1, 0), (99, 0))
_EIGHTS = frozenset(number for name, number in TensorProto.DataType.items() if name.startswith("FLOAT8"))
_MODES = {16: (b"bilinear", b"nearest", b"bicubic"), 20: (b"linear", b"nearest", b"cubic")}


@dataclass(frozen=True)
class Refusal:
    """What is refused, in which releases, and how it is told."""

    operators: tuple[str, ...]
    applies: Callable[[NodeProto, int, Attributes], bool]
    text: str
    releases: tuple[Release, Release] = _ALWAYS


def _set(attributes: Attributes, prefix: str) -> int:
    return sum(name.startswith(prefix) for name in attributes)


REFUSALS = (
    Refusal(("GRU", "LSTM", "RNN"), lambda _, __, a: a.get("layout", 0) != 0, "layout=1"),
    Refusal(
        ("GridSample",),
        lambda _, since, a: "mode" in a and a["mode"] not in _MODES[20 if since >= 20 else 16],
        "this mode",
    ),
    Refusal(
        ("Cast",),
        lambda _, __, a: a.get("saturate", 1) == 0 and a.get("to") not in _EIGHTS,
        "saturate=0 to what is no float8",
    ),
    Refusal(
        ("DFT",),
        lambda _, __, a: bool(a.get("inverse")) and bool(a.get("onesided")),
        "inverse and onesided together",
        ((1, 0), (1, 24)),
    ),
    Refusal(
        ("RotaryEmbedding",),
        lambda _, __, a: a.get("rotary_embedding_dim", 0) > 0 and not a.get("num_heads"),
        "rotary_embedding_dim without num_heads",
        ((1, 23), (1, 23)),
    ),
    Refusal(
        ("LabelEncoder",),
        lambda _, since, a: since > 1 and (_set(a, "keys_") != 1 or _set(a, "values_") != 1),
        "keys or values of other than one type",
    ),
    Refusal(
        ("LabelEncoder",),
        lambda _, since, a: since == 1 and "classes_strings" not in a,
        "no classes_strings",
    ),
    Refusal(
        ("BatchNormalization",),
        lambda node, since, _: since < 14 and len(node.output) not in (1, 5),
        "other than one or five outputs",
    ),
)

ELEMENTS: dict[str, Release] = {
    "uint4": (1, 19),
    "int4": (1, 19),
    "float4e2m1": (1, 24),
    "float8e8m0": (1, 27),
    "uint2": (1, 24),
    "int2": (1, 24),
    "complex64": (99, 0),
    "complex128": (99, 0),
    "float6e2m3": (99, 0),
    "float6e3m2": (99, 0),
}
"""Element types that not every release has tensors of, and the first that has."""


def has_tensors_of(kind: str, release: Release) -> bool:
    """Whether a release has tensors of a type that is spelled as in `seq(tensor(int4))`."""
    return ELEMENTS.get(kind.rpartition("(")[2].rstrip(")"), release) <= release


def refusal(node: NodeProto, since: int, release: Release) -> str | None:
    """What a release does not take of a node of a standard operator; None where it takes it."""
    if standard(node.domain) not in ("", "ai.onnx.ml"):
        return None
    for entry in REFUSALS:
        if node.op_type in entry.operators and entry.releases[0] <= release <= entry.releases[1]:
            attributes = {
                each.name: helper.get_attribute_value(each) for each in node.attribute if not each.ref_attr_name
            }
            if entry.applies(node, since, attributes):
                return entry.text
    return None

"""What kernels refuse when a session makes them, or schemas beyond what Python sees of them.

That is attributes that do not go together or with a type, and element types that a release has no tensors of. Each was
seen in the releases that are named; `make matrix` asks them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto, TensorProto, helper

from onnxhybrid.model.opsets import standard

Release = tuple[int, int]

_ALWAYS: tuple[Release, Release] = ((1, 0), (99, 0))
_EIGHTS = frozenset(number for name, number in TensorProto.DataType.items() if name.startswith("FLOAT8"))
_MODES = {16: (b"bilinear", b"nearest", b"bicubic"), 20: (b"linear", b"nearest", b"cubic")}
_KEYS = {"keys_int64s": "tensor(int64)", "keys_strings": "tensor(string)", "keys_floats": "tensor(float)"}


@dataclass(frozen=True)
class Call:
    """A node: the version of its operator, its attributes, and the types that it reads, as far as they are known."""

    node: NodeProto
    since: int
    attributes: Mapping[str, Any]
    reads: Sequence[str]

    def read(self, position: int) -> str:
        """The type of an input; nothing where it is not given or not known."""
        return self.reads[position] if position < len(self.reads) else ""

    def get(self, name: str) -> Any:
        """The value of an attribute; 0 where it is not given."""
        return self.attributes.get(name, 0)

    def count(self, prefix: str) -> int:
        """How many attributes begin so."""
        return sum(name.startswith(prefix) for name in self.attributes)


@dataclass(frozen=True)
class Refusal:
    """What is refused of an operator, how it is told, and in which releases."""

    operators: tuple[str, ...]
    applies: Callable[[Call], bool]
    text: str
    releases: tuple[Release, Release] = _ALWAYS


def _has_other_keys(call: Call) -> bool:
    kinds = {kind for name, kind in _KEYS.items() if name in call.attributes}
    if isinstance(tensor := call.get("keys_tensor"), TensorProto):
        kinds.add(_kind(tensor))
    return call.since > 1 and bool(call.read(0)) and bool(kinds) and call.read(0) not in kinds


def _has_other_splits(call: Call) -> bool:
    splits = call.get("nodes_splits")
    return isinstance(splits, TensorProto) and bool(call.read(0)) and call.read(0) != _kind(splits)


def _kind(tensor: TensorProto) -> str:
    return f"tensor({TensorProto.DataType.Name(tensor.data_type).lower()})"


def _has_foreign_mask(call: Call) -> bool:
    """Whether the mask of an Attention is neither of the query's type nor of bool."""
    return bool(call.read(3)) and bool(call.read(0)) and call.read(3) not in (call.read(0), "tensor(bool)")


REFUSALS = (
    Refusal(("GRU", "LSTM", "RNN"), lambda call: call.get("layout") != 0, "layout=1"),
    Refusal(
        ("GridSample",),
        lambda call: "mode" in call.attributes and call.get("mode") not in _MODES[20 if call.since >= 20 else 16],
        "this mode",
    ),
    Refusal(
        ("Cast",),
        lambda call: call.attributes.get("saturate", 1) == 0 and call.get("to") not in _EIGHTS,
        "saturate=0 to what is no float8",
    ),
    Refusal(
        ("DFT",),
        lambda call: bool(call.get("inverse")) and bool(call.get("onesided")),
        "inverse and onesided together",
        ((1, 0), (1, 24)),
    ),
    Refusal(
        ("RotaryEmbedding",),
        lambda call: call.get("rotary_embedding_dim") > 0 and not call.get("num_heads"),
        "rotary_embedding_dim without num_heads",
        ((1, 23), (1, 23)),
    ),
    Refusal(
        ("LabelEncoder",),
        lambda call: call.since > 1 and (call.count("keys_") != 1 or call.count("values_") != 1),
        "keys or values of other than one type",
    ),
    Refusal(
        ("LabelEncoder",),
        lambda call: call.since == 1 and "classes_strings" not in call.attributes,
        "no classes_strings",
    ),
    Refusal(("LabelEncoder",), _has_other_keys, "keys of another type than the input"),
    Refusal(("TreeEnsemble",), _has_other_splits, "splits of another type than the input"),
    Refusal(("Attention",), _has_foreign_mask, "a mask of a third type", ((1, 23), (1, 23))),
    Refusal(
        ("Attention",),
        lambda call: _has_foreign_mask(call) and call.read(0) == "tensor(float16)" and len(call.node.output) == 4,
        "a mask of a third type and the product of float16",
        ((1, 24), (1, 31)),
    ),
    Refusal(
        ("BatchNormalization",),
        lambda call: call.since < 14 and len(call.node.output) not in (1, 5),
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
    **dict.fromkeys(("complex64", "complex128", "float6e2m3", "float6e3m2"), (99, 0)),
}
"""Element types that not every release has tensors of, and the first that has."""


def has_tensors_of(kind: str, release: Release) -> bool:
    """Whether a release has tensors of a type that is spelled as in `seq(tensor(int4))`."""
    return ELEMENTS.get(kind.rpartition("(")[2].rstrip(")"), release) <= release


def refusal(node: NodeProto, since: int, release: Release, reads: Sequence[str]) -> str | None:
    """What a release does not take of a node of a standard operator that reads these types; None where it takes it."""
    if standard(node.domain) not in ("", "ai.onnx.ml"):
        return None
    entries = [entry for entry in REFUSALS if node.op_type in entry.operators]
    if not entries:
        return None
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute if not each.ref_attr_name}
    call = Call(node, since, attributes, reads)
    found = (e.text for e in entries if e.releases[0] <= release <= e.releases[1] and e.applies(call))
    return next(found, None)

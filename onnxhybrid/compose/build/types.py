"""What the declarations of two tensors have to do with each other.

Whether a tensor can be given to an input, what two parts that share an input want, what two branches have in common.
"""

from __future__ import annotations

from onnx import TypeProto, ValueInfoProto

from onnxhybrid.errors import ComposeError
from onnxhybrid.model.dtypes import is_container, type_name
from onnxhybrid.model.tensor_spec import Dim, Shape, TensorSpec, shape_of


def mismatch(given: ValueInfoProto, wanted: ValueInfoProto) -> tuple[str, str] | None:
    """The code of what keeps `given` from being `wanted`, and both sides in words; None when nothing does.

    Types must be equal. Shapes must be able to be equal: sizes that are names or unknown fit anything.
    """
    if "undefined" in (type_name(given.type), type_name(wanted.type)):
        return None  # a file that leaves a type to inference; ONNX Runtime will say whether it fits
    sides = f"{TensorSpec.of(given).describe()}, not {TensorSpec.of(wanted).describe()}"
    if type_name(given.type) != type_name(wanted.type):
        return "OH201", sides
    one, other = shape_of(given), shape_of(wanted)
    if one is not None and other is not None and not _can_be_equal(one, other):
        return "OH202", sides
    return None


def require(given: ValueInfoProto, source: str, wanted: ValueInfoProto, target: str, hint: str) -> None:
    """Check that a tensor fits an input.

    Raises:
        ComposeError: OH201 or OH202, naming both sides and what to write instead.
    """
    if problem := mismatch(given, wanted):
        code, sides = problem
        if is_container(type_name(given.type)) != is_container(type_name(wanted.type)):
            hint = "no operator turns one into the other; skl2onnx gives tensors with options={'zipmap': False}"
        raise ComposeError(
            code, f"{source} {given.name!r} does not fit {target} {wanted.name!r}: it is {sides}; {hint}"
        )


_FLOATS = ("float16", "bfloat16", "float32", "float64")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")


def judged_as(given: str, wanted: str) -> bool:
    """Whether a judge that reads `wanted` may be given a cast of `given`.

    Floats go to floats of any width, whole numbers to int64 or to the wide floats.
    """
    if given in _FLOATS:
        return wanted in _FLOATS
    return given in (*_INTEGERS, "uint64") and (
        wanted in ("float32", "float64") or (wanted == "int64" and given in _INTEGERS)
    )


def shared_sizes(given: ValueInfoProto, wanted: ValueInfoProto) -> dict[str, str]:
    """The names of sizes of `wanted` that are, in `given`, called otherwise (or the same)."""
    one, other = shape_of(given), shape_of(wanted)
    if one is None or other is None or len(one) != len(other):
        return {}
    return {b: a for a, b in zip(one, other, strict=True) if isinstance(a, str) and isinstance(b, str)}


def narrow(value: ValueInfoProto, other: ValueInfoProto) -> None:
    """Make `value`, an input that two parts share, promise what both want; they fit each other."""
    one, two = shape_of(value), shape_of(other)
    if two is not None and (one is None or len(one) == len(two)):
        both = two if one is None else tuple(_narrower(a, b) for a, b in zip(one, two, strict=True))
        _set_shape(value.type, both)


def weaker(name: str, one: ValueInfoProto, other: ValueInfoProto) -> ValueInfoProto:
    """What is true of both: the declaration of an output that comes from either of two branches.

    Raises:
        ComposeError: OH206, their types differ.
    """
    if type_name(one.type) != type_name(other.type):
        raise ComposeError(
            "OH206",
            f"the branches offer {name!r} as {TensorSpec.of(one).describe()} and {TensorSpec.of(other).describe()}",
        )
    if "map(" in type_name(one.type):
        raise ComposeError(
            "OH206",
            f"the branches offer {name!r} as {type_name(one.type)}, which ONNX Runtime cannot give from a branch; "
            "skl2onnx gives tensors with options={'zipmap': False}",
        )
    result = ValueInfoProto(name=name)
    result.type.CopyFrom(one.type)
    if result.type.WhichOneof("value") == "tensor_type":
        _set_shape(result.type, _common(shape_of(one), shape_of(other)))
    return result


def _can_be_equal(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        a == b or not (isinstance(a, int) and isinstance(b, int)) for a, b in zip(one, other, strict=True)
    )


def _narrower(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) or b is None:
        return a
    return b if isinstance(b, int) or a is None else a


def _common(one: Shape | None, other: Shape | None) -> Shape | None:
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


def _set_shape(kind: TypeProto, shape: Shape | None) -> None:
    kind.tensor_type.ClearField("shape")
    if shape is None:
        return
    kind.tensor_type.shape.SetInParent()
    for dim in shape:
        entry = kind.tensor_type.shape.dim.add()
        if isinstance(dim, int):
            entry.dim_value = dim
        elif dim is not None:
            entry.dim_param = dim

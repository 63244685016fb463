"""The declaration of a tensor, and comparisons of two of them.

Whether a tensor fits an input, what two parts that share an input both take, what the outputs of two branches share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from onnx import TypeProto, ValueInfoProto

from onnxhybrid.errors import ComposeError
from onnxhybrid.model.dtypes import FLOATS, INTEGERS, is_container, type_name
from onnxhybrid.model.messages import copied
from onnxhybrid.model.tensor_spec import Dim, Shape, TensorSpec, shape_of


@dataclass(frozen=True, eq=False)
class Declared:
    """A tensor's declaration, which nobody changes from now on. What is read from it is kept."""

    value: ValueInfoProto

    @cached_property
    def name(self) -> str:
        """The tensor's name."""
        return self.value.name

    @cached_property
    def dtype(self) -> str:
        """The dtype, or the container, as TensorSpec has it; `undefined` where none is declared."""
        return type_name(self.value.type)

    @cached_property
    def shape(self) -> Shape | None:
        """The shape; None for an unknown rank, and for what is no tensor."""
        return shape_of(self.value)

    @cached_property
    def spec(self) -> TensorSpec:
        """The declaration as a user writes it."""
        return TensorSpec(self.name, self.dtype, self.shape)

    def __str__(self) -> str:
        return str(self.spec)

    def called(self, name: str) -> Declared:
        """The declaration under another name."""
        return Declared(ValueInfoProto(name=name, type=self.value.type))

    def shaped(self, shape: Shape | None) -> Declared:
        """The declaration with another shape."""
        other = copied(self.value)
        _set_shape(other.type, shape)
        return Declared(other)


def by_name(values: Iterable[ValueInfoProto]) -> dict[str, Declared]:
    """Declarations by the tensors' names."""
    return {value.name: Declared(value) for value in values}


def mismatch(given: Declared, wanted: Declared) -> tuple[str, str] | None:
    """The code of what keeps `given` from being `wanted`, and both sides in words; None when nothing does.

    Types must be equal. Shapes must be able to be equal: sizes that are names or unknown fit anything.
    """
    if "undefined" in (given.dtype, wanted.dtype):
        return None  # a file that leaves a type to inference; ONNX Runtime will say whether it fits
    if given.dtype != wanted.dtype:
        return "OH201", _sides(given, wanted)
    if given.shape is not None and wanted.shape is not None and not _can_be_equal(given.shape, wanted.shape):
        return "OH202", _sides(given, wanted)
    return None


def _sides(given: Declared, wanted: Declared) -> str:
    return f"{given.spec.describe()}, not {wanted.spec.describe()}"


def require(given: Declared, source: str, wanted: Declared, target: str, hint: str) -> None:
    """Check that a tensor fits an input.

    Raises:
        ComposeError: OH201 or OH202, naming both sides and what to write instead.
    """
    if problem := mismatch(given, wanted):
        code, sides = problem
        if is_container(given.dtype) != is_container(wanted.dtype):
            hint = f"no operator turns one into the other{_NO_ZIPMAP}"
        raise ComposeError(
            code, f"{source} {given.name!r} does not fit {target} {wanted.name!r}: it is {sides}; {hint}"
        )


def judged_as(given: str, wanted: str) -> bool:
    """Whether a judge that reads `wanted` may be given a cast of `given`.

    Floats go to floats of any width, whole numbers to int64 or to the wide floats.
    """
    if given in FLOATS:
        return wanted in FLOATS
    whole = wanted == "int64" and given != "uint64"
    return given in INTEGERS and (whole or wanted in ("float32", "float64"))


def shared_sizes(given: Declared, wanted: Declared) -> dict[str, str]:
    """Name of a size of `wanted` -> the name that the same size has in `given`."""
    one, other = given.shape, wanted.shape
    if one is None or other is None or len(one) != len(other):
        return {}
    return {b: a for a, b in zip(one, other, strict=True) if isinstance(a, str) and isinstance(b, str)}


def narrowed(value: Declared, other: Declared) -> Declared:
    """The input `value`, with a shape that `other`, of a part that shares it, takes too; the two fit each other."""
    one, two = value.shape, other.shape
    if two is None or (one is not None and len(one) != len(two)):
        return value
    return value.shaped(two if one is None else tuple(_narrower(a, b) for a, b in zip(one, two, strict=True)))


def corrected(declared: Shape | None, sure: Shape | None) -> Shape | None:
    """A declared shape with the sizes that are sure; what is not known stays as it is declared."""
    if declared is None or sure is None or len(declared) != len(sure):
        return declared if sure is None else sure
    return tuple(a if b is None else b for a, b in zip(declared, sure, strict=True))


def enforced(value: Declared) -> Shape | None:
    """The shape that ONNX Runtime holds an input to: its rank, and its fixed sizes; None where it takes any.

    It takes any shape where a scalar is declared, and it does not compare sizes of one name.
    """
    if (is_container(value.dtype) and value.dtype != "undefined") or not value.shape:
        return None
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def fulfils(shape: Shape | None, wanted: Shape) -> bool | None:
    """Whether a tensor of a shape has an enforced one; None where that depends on the run."""
    if shape is None:
        return None
    if len(shape) != len(wanted):
        return False
    known = [a == b if isinstance(a, int) else None for a, b in zip(shape, wanted, strict=True) if b is not None]
    return False if False in known else None if None in known else True


def single(spec: TensorSpec) -> bool:
    """Whether the tensor can have exactly one element."""
    return spec.shape is None or all(size == 1 for size in spec.shape if isinstance(size, int))


_NO_ZIPMAP = "; skl2onnx gives tensors with options={'zipmap': False}"


def zipmap_hint(values: Mapping[str, Declared]) -> str:
    """What to do about a tensor that holds maps, as the probabilities of scikit-learn's models do; else nothing."""
    maps = [(name, value.dtype) for name, value in values.items() if "map(" in value.dtype]
    return f"; {maps[0][0]!r} is {maps[0][1]}, which no other model takes{_NO_ZIPMAP}" if maps else ""


def weaker(name: str, one: Declared, other: Declared) -> Declared:
    """What is true of both: the declaration of an output that comes from either of two branches.

    Raises:
        ComposeError: OH206, their types differ.
    """
    if one.dtype != other.dtype:
        hint = zipmap_hint({name: one}) or zipmap_hint({name: other})
        raise ComposeError(
            "OH206", f"the branches offer {name!r} as {one.spec.describe()} and {other.spec.describe()}{hint}"
        )
    if "map(" in one.dtype:
        raise ComposeError(
            "OH206",
            f"the branches offer {name!r} as {one.dtype}, which ONNX Runtime cannot give from a branch{_NO_ZIPMAP}",
        )
    either = one.called(name)
    tensor = either.value.type.WhichOneof("value") == "tensor_type"
    return either.shaped(_common(one.shape, other.shape)) if tensor else either


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

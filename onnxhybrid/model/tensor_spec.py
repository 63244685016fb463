"""`TensorSpec`: the name, dtype and shape of an input or output; `Input`: a value given at run time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from onnx import TensorShapeProto, ValueInfoProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.dtypes import Dtype, dtype_name, elem_type, is_container, type_name
from onnxhybrid.model.texts import is_name

Dim = int | str | None
Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor is called, what it holds and how large it is.

    Args:
        name: the tensor's name.
        dtype: a numpy dtype or its name (`float32`, `float16`, `bfloat16`, `str`, …); kept as the name.
        shape: sizes (0 or more), names of sizes, and None for a size that is not known; None for an unknown rank.
        optional: whether the input has a default and may be left out; of a remote model, whether the server takes
            requests without it. It takes no part in comparisons.

    Raises:
        ModelError: OH110, one of them is malformed.
    """

    name: str
    dtype: str
    shape: Shape | None
    optional: bool = field(default=False, compare=False)

    def __init__(self, name: str, dtype: Dtype, shape: Iterable[Dim] | None, optional: bool = False) -> None:
        if not is_name(name):
            raise ModelError("OH110", f"a tensor's name is a non-empty text, not {name!r}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "dtype", dtype_name(dtype))
        object.__setattr__(self, "shape", None if shape is None else _checked(name, shape))
        object.__setattr__(self, "optional", optional)

    def __str__(self) -> str:
        return f"{self.name}: {self.describe()}"

    def describe(self) -> str:
        """The dtype and shape for a message, as in `float32[n, 64]`."""
        if self.shape is None:
            return self.dtype if is_container(self.dtype) else f"{self.dtype}[…]"
        return f"{self.dtype}[{', '.join('?' if dim is None else str(dim) for dim in self.shape)}]"

    def to_value_info(self) -> ValueInfoProto:
        """The ONNX form; an unknown rank is a tensor type without a shape."""
        if is_container(self.dtype):
            raise ModelError("OH110", f"{self} is no tensor, and only a tensor can be described here")
        value = ValueInfoProto(name=self.name)
        value.type.tensor_type.elem_type = elem_type(self.dtype)
        if self.shape is not None:
            value.type.tensor_type.shape.SetInParent()
            for dim in self.shape:
                entry = value.type.tensor_type.shape.dim.add()
                if isinstance(dim, int):
                    entry.dim_value = dim
                elif isinstance(dim, str):
                    entry.dim_param = dim
        return value

    @classmethod
    def of(cls, value: ValueInfoProto, *, optional: bool = False) -> TensorSpec:
        """The description of a graph's input, output or value_info."""
        return cls(value.name, type_name(value.type), shape_of(value), optional)


@dataclass(frozen=True)
class Input:
    """A value given at run time: it becomes a graph input.

    Args:
        name: the input's name; None takes the option's own name.
        default: a value that is used when the input is left out. It is not printed, since it may be a token by mistake.

    Raises:
        ModelError: OH110, the name is no text.
    """

    name: str | None = None
    default: object | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.name is not None and not is_name(self.name):
            raise ModelError("OH110", f"an input's name is a non-empty text or None, not {self.name!r}")


def shape_of(value: ValueInfoProto) -> Shape | None:
    """The shape that a value_info declares; None where it declares no rank, or is no tensor."""
    if value.type.WhichOneof("value") != "tensor_type" or not value.type.tensor_type.HasField("shape"):
        return None
    return tuple(_dim(dim) for dim in value.type.tensor_type.shape.dim)


def _dim(dim: TensorShapeProto.Dimension) -> Dim:
    """One size; some exporters write -1 for a size that varies."""
    if dim.WhichOneof("value") == "dim_value":
        return dim.dim_value if dim.dim_value >= 0 else None
    return dim.dim_param or None


def _checked(name: str, shape: Iterable[Dim]) -> Shape:
    if isinstance(shape, str) or not hasattr(shape, "__iter__"):
        raise ModelError("OH110", f"the shape of {name!r} is {shape!r}; a shape is a tuple such as ('n', 64), or None")
    return tuple(_checked_dim(name, dim) for dim in shape)


def _checked_dim(name: str, dim: object) -> Dim:
    if dim is None or is_name(dim):
        return dim
    if hasattr(dim, "__index__") and not isinstance(dim, bool):
        size = int(dim.__index__())
        if 0 <= size < 2**63:
            return size
    raise ModelError("OH110", f"the shape of {name!r} holds {dim!r}; a size is an int from 0, a name or None")

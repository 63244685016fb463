"""The one table of tensor element types: ONNX number, name, numpy dtype.

Names are numpy's (`float32`, `bool`), with `str` for ONNX strings and ml_dtypes' names for what numpy lacks. Source:
TensorProto.DataType of the ONNX IR specification.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import TensorProto, TypeProto, helper

from onnxhybrid.errors import ModelError

_NAMES: dict[int, str] = {
    TensorProto.STRING: "str",
    **{
        number: helper.tensor_dtype_to_np_dtype(number).name
        for number in TensorProto.DataType.values()
        if number not in (TensorProto.UNDEFINED, TensorProto.STRING)
    },
}
_NUMBERS: dict[str, int] = {name: number for number, name in _NAMES.items()}

_BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2, "float6_e2m3fn": 6, "float6_e3m2fn": 6}
"""The dtypes of which several elements share a byte in a file; in an array each has a byte of its own."""

_MOST_ELEMENTS = 2**63 - 1

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

Dtype = str | np.dtype[Any] | type


def dtype_name(dtype: Dtype) -> str:
    """The canonical name of a dtype given as a name, a numpy dtype or a scalar type.

    Raises:
        ModelError: OH110, ONNX has no such element type.
    """
    if isinstance(dtype, str) and (dtype in _NUMBERS or is_container(dtype)):
        return dtype
    if dtype is None:  # which numpy takes for float64
        raise _unknown(dtype)
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise _unknown(dtype) from None
    if kind.kind in "OUST":
        return "str"
    if kind.name not in _NUMBERS:
        raise _unknown(dtype)
    return kind.name


def _unknown(dtype: object) -> ModelError:
    meant = _meant(dtype) if isinstance(dtype, str) else None
    hint = f"did you mean {meant!r}?" if meant else f"known: {', '.join(sorted(_NUMBERS))}"
    return ModelError("OH110", f"{dtype!r} is no tensor element type; {hint}")


def _meant(dtype: str) -> str | None:
    """The dtype that a name of KServe's, such as FP32 or BYTES, stands for, or else the one most like it."""
    name = dtype.lower()
    if name in ("bytes", "string", "text"):
        return "str"
    spelt = re.sub(r"^fp(?=\d)", "float", re.sub(r"^bf16$", "bfloat16", name))
    near = difflib.get_close_matches(spelt, _NUMBERS, n=1, cutoff=0.85)
    return near[0] if near else None


def is_container(name: str) -> bool:
    """Whether a dtype name stands for no dense tensor, as `seq(map(int64,tensor(float32)))` or `undefined` does."""
    return name.startswith(("seq(", "map(", "optional(", "sparse(")) or name == "undefined"


def elem_type(name: str) -> int:
    """The ONNX number (TensorProto.DataType) of a canonical dtype name."""
    return _NUMBERS[name]


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy dtype that holds a dtype of this name; strings are objects."""
    return np.dtype(object) if name == "str" else helper.tensor_dtype_to_np_dtype(_NUMBERS[name])


def name_of(number: int) -> str:
    """The canonical name of an ONNX element type number; `undefined` where there is none."""
    return _NAMES.get(number, "undefined")


def byte_count(number: int, dims: Iterable[int]) -> int | None:
    """The bytes that a tensor of this ONNX element type and shape has in a file; None where it can have no such form.

    Strings have none, nor do unknown types, negative sizes, and more elements than can be counted.
    """
    name = name_of(number)
    count = _element_count(list(dims))
    if name in ("str", "undefined") or count is None:
        return None
    bits = _BITS.get(name) or 8 * numpy_dtype(name).itemsize
    return (count * bits + 7) // 8


def _element_count(sizes: list[int]) -> int | None:
    if any(size < 0 for size in sizes):
        return None
    if 0 in sizes:
        return 0
    count = 1
    for size in sizes:
        count *= size
        if count > _MOST_ELEMENTS:  # whoever made the file up, the product of its sizes is not worth the time
            return None
    return count


def type_name(type_proto: TypeProto) -> str:
    """The dtype name of any ONNX type; containers are written as in `seq(map(int64,tensor(float32)))`."""
    kind = type_proto.WhichOneof("value")
    if kind == "tensor_type":
        return name_of(type_proto.tensor_type.elem_type)
    return _container_name(type_proto)


def _container_name(type_proto: TypeProto) -> str:
    kind = type_proto.WhichOneof("value")
    if kind == "tensor_type":
        return f"tensor({name_of(type_proto.tensor_type.elem_type)})"
    if kind == "sequence_type":
        return f"seq({_container_name(type_proto.sequence_type.elem_type)})"
    if kind == "optional_type":
        return f"optional({_container_name(type_proto.optional_type.elem_type)})"
    if kind == "map_type":
        return f"map({name_of(type_proto.map_type.key_type)},{_container_name(type_proto.map_type.value_type)})"
    if kind == "sparse_tensor_type":
        return f"sparse({name_of(type_proto.sparse_tensor_type.elem_type)})"
    return "undefined"

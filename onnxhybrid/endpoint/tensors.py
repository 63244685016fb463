"""KServe v2 tensors: numpy arrays to and from bytes and JSON values. Pure functions.

Binary tensors are little-endian, row-major, without padding; an element of BYTES is its length (uint32) and its bytes;
a BOOL is one byte. JSON carries FP16 and BF16 as numbers too, which Triton itself refuses. Sources: the Open Inference
Protocol (tensor data types) and Triton's binary tensor data extension.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.memory import Hold, unbounded
from onnxhybrid.model.dtypes import numpy_dtype

Array = npt.NDArray[Any]

_LENGTH = struct.Struct("<I")
_LARGEST_DIM = 2**63 - 1
_HIGHEST_RANK = 64


@dataclass(frozen=True)
class Datatype:
    """A tensor element type on the wire: its KServe name, our name for it, and the JSON types of its elements."""

    name: str
    dtype: str
    elements: frozenset[type]

    @property
    def wire(self) -> np.dtype[Any]:
        """The numpy dtype of its binary form, little-endian."""
        return numpy_dtype(self.dtype).newbyteorder("<")


_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = {"FP16": "float16", "BF16": "bfloat16", "FP32": "float32", "FP64": "float64"}

DATATYPES: dict[str, Datatype] = {
    "BOOL": Datatype("BOOL", "bool", frozenset({bool})),
    **{name.upper(): Datatype(name.upper(), name, frozenset({int})) for name in _INTEGERS},
    **{wire: Datatype(wire, name, frozenset({int, float})) for wire, name in _FLOATS.items()},
    "BYTES": Datatype("BYTES", "str", frozenset({str})),
}
"""The datatypes of KServe v2, by their names on the wire."""

BY_DTYPE: dict[str, Datatype] = {datatype.dtype: datatype for datatype in DATATYPES.values()}
"""The same by their names in a TensorSpec."""


@dataclass(frozen=True)
class TensorHeader:
    """What a message says of a tensor apart from its data."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of elements."""
        return prod(self.shape)


def header_of(name: object, datatype: object, shape: object) -> TensorHeader:
    """The header in three values of a JSON message.

    Raises:
        RequestError: one of them is not what the protocol says.
    """
    if not isinstance(name, str):
        raise RequestError("Unable to parse 'name': a tensor needs a name, a string")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(
            f"invalid datatype for input {quoted(name)}: {quoted(datatype)} is none of {', '.join(DATATYPES)}"
        )
    if not isinstance(shape, list) or not all(type(dim) is int and 0 <= dim <= _LARGEST_DIM for dim in shape):
        raise RequestError(f"Unable to parse 'shape' of input {quoted(name)}: a shape is a list of integers from 0")
    if len(shape) > _HIGHEST_RANK:
        raise RequestError(f"invalid shape for input {quoted(name)}: more than {_HIGHEST_RANK} dimensions")
    return TensorHeader(name, DATATYPES[datatype], tuple(shape))


def decode_binary(header: TensorHeader, data: bytes | memoryview, hold: Hold = unbounded) -> Array:
    """The array in the binary form `data`. Numbers share the memory of `data` where they lie aligned in it.

    Raises:
        RequestError: `data` is not the binary form of such a tensor; or as `hold` says.
    """
    if header.datatype.name == "BYTES":
        return _shaped(header, _strings(header, memoryview(data), hold))
    expected = header.count * header.datatype.wire.itemsize
    if len(data) != expected:
        raise RequestError(
            f"unexpected total byte size {len(data)} for input {quoted(header.name)}, expecting {expected}"
        )
    hold(len(data))
    values = np.frombuffer(data, header.datatype.wire)
    if header.datatype.name == "BOOL" and (values.view(np.uint8) > 1).any():
        raise RequestError(f"input {quoted(header.name)} is BOOL and holds a byte that is neither 0 nor 1")
    native = values.astype(numpy_dtype(header.datatype.dtype), copy=False)
    return _shaped(header, np.require(native, requirements="A"))


_PIECE = 1 << 12
"""Elements of a BYTES tensor that are looked at together."""

_BESIDE = 40
"""Bytes that a string takes beside itself: in an array, and as the std::string that ONNX Runtime has of it."""


def _strings(header: TensorHeader, data: memoryview, hold: Hold) -> Array:
    """The elements of a BYTES tensor, exactly as many as its shape has; an array of str objects."""
    if header.count > len(data) // _LENGTH.size:
        raise _miscounted(header, sum(1 for _ in _elements(header, data)))
    hold(len(data))
    array, found = np.empty(header.count, object), 0
    elements = _elements(header, data)
    while piece := [_text(header, element) for element in islice(elements, _PIECE)]:
        if found + len(piece) > header.count:
            raise _miscounted(header, found + len(piece) + sum(1 for _ in elements))
        hold(sum(map(sys.getsizeof, piece)) + _BESIDE * len(piece))
        array[found : found + len(piece)] = piece
        found += len(piece)
    if found != header.count:
        raise _miscounted(header, found)
    return array


def _miscounted(header: TensorHeader, found: int) -> RequestError:
    return RequestError(f"expected {header.count} string elements for input {quoted(header.name)}, got {found}")


def _elements(header: TensorHeader, data: memoryview) -> Iterator[memoryview]:
    position = 0
    while position < len(data):
        start = position + _LENGTH.size
        if start > len(data):
            raise RequestError(f"incomplete string length indicator for inference input {quoted(header.name)}")
        position = start + _LENGTH.unpack_from(data, position)[0]
        if position > len(data):
            raise RequestError(f"incomplete string data for inference input {quoted(header.name)}")
        yield data[start:position]


def _text(header: TensorHeader, element: memoryview) -> str:
    try:
        return str(element, "utf-8")
    except UnicodeDecodeError:
        raise RequestError(f"input {quoted(header.name)} holds a string that is not UTF-8") from None


def decode_json(header: TensorHeader, data: object) -> Array:
    """The array in the parsed JSON value `data`: a list of elements in row-major order, flat or nested.

    Raises:
        RequestError: `data` is not the JSON form of such a tensor.
    """
    if not isinstance(data, list):
        raise RequestError(f"Unable to parse 'data' of input {quoted(header.name)}: a list of elements is expected")
    values = _flattened(header, data)
    if len(values) != header.count:
        sizes = f"its shape has {header.count} elements, got {len(values)}"
        raise RequestError(f"Unable to parse 'data' of input {quoted(header.name)}: {sizes}")
    if not header.datatype.elements.issuperset(map(type, values)):
        raise RequestError(
            f"Unable to parse 'data' of input {quoted(header.name)}: an element is no {header.datatype.name}"
        )
    return _shaped(header, converted(header, values))


def _flattened(header: TensorHeader, values: list[Any]) -> list[Any]:
    while list in (kinds := set(map(type, values))):
        if len(kinds) > 1:
            raise RequestError(f"Unable to parse 'data' of input {quoted(header.name)}: lists and elements are mixed")
        values = list(chain.from_iterable(values))
    return values


def converted(header: TensorHeader, values: list[Any]) -> Array:
    """A flat array of elements whose JSON types are right.

    Raises:
        RequestError: a number is out of the datatype's range, or a string has no UTF-8 form.
    """
    try:
        if header.datatype.name == "BYTES":
            for text in values:
                text.encode()
            return _objects(values)
        if header.datatype.name in _FLOATS:
            return _rounded(header, np.array(values, np.float64))
        if header.datatype.name != "BOOL":
            _check_range(header, values)
        return np.array(values, numpy_dtype(header.datatype.dtype))
    except UnicodeEncodeError:
        raise RequestError(f"input {quoted(header.name)} holds a lone surrogate, which UTF-8 cannot carry") from None
    except OverflowError:
        raise _out_of_range(header) from None


def _check_range(header: TensorHeader, values: list[int]) -> None:
    limits = np.iinfo(header.datatype.dtype)
    if values and not (limits.min <= min(values) and max(values) <= limits.max):
        raise _out_of_range(header)


def _rounded(header: TensorHeader, values: Array) -> Array:
    with np.errstate(over="ignore"):
        rounded = values.astype(numpy_dtype(header.datatype.dtype))
    if not np.isfinite(rounded).all():
        raise _out_of_range(header)
    return rounded


def _out_of_range(header: TensorHeader) -> RequestError:
    return RequestError(
        f"input {quoted(header.name)} holds a number that is out of the range of {header.datatype.name}"
    )


def _objects(values: list[str]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _shaped(header: TensorHeader, values: Array) -> Array:
    try:
        return values.reshape(header.shape)
    except ValueError:  # an empty tensor whose other sizes are beyond what an address can hold
        raise RequestError(f"invalid shape for input {quoted(header.name)}: its sizes are too large") from None


def datatype_of(array: Array) -> Datatype:
    """The datatype of an array that a model gave.

    Raises:
        KeyError: KServe v2 has none for it.
    """
    return BY_DTYPE["str" if array.dtype.kind in "OU" else array.dtype.name]


def encode_binary(array: Array, hold: Hold = unbounded) -> bytes | memoryview:
    """The binary form of an array; strings are UTF-8. That of numbers may share the memory of the array.

    Raises:
        RequestError: as `hold` says.
    """
    datatype = datatype_of(array)
    if datatype.name == "BYTES":
        return _packed(array.ravel(), hold)
    hold(array.nbytes)
    return np.ascontiguousarray(array.ravel(), datatype.wire).view(np.uint8).data


def _packed(values: Array, hold: Hold) -> bytes:
    """The binary form of strings, piece by piece: as objects of their own they would take many times its size."""
    packed = BytesIO()
    for start in range(0, len(values), _PIECE):
        texts = [str(value).encode() for value in values[start : start + _PIECE]]
        piece = b"".join(chain.from_iterable((_LENGTH.pack(len(text)), text) for text in texts))
        hold(2 * len(piece))  # here, and in the answer
        packed.write(piece)
    return packed.getvalue()


def encode_json(array: Array) -> list[Any]:
    """The JSON form of an array: its elements in row-major order.

    Raises:
        RequestError: it holds a NaN or an infinity, which JSON cannot carry.
    """
    datatype = datatype_of(array)
    if datatype.name == "BYTES":
        return [str(value) for value in array.ravel()]
    if datatype.name not in _FLOATS:
        return array.ravel().tolist()
    with np.errstate(invalid="ignore"):  # even to look at a signalling NaN warns
        finite = np.isfinite(array).all()
    if not finite:
        raise RequestError("an output holds a NaN or an infinity, which JSON cannot carry: ask for it as binary data")
    return array.ravel().astype(np.float64).tolist()

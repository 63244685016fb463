"""Reads an ONNX file without its weights: large fields of numbers become references while the bytes are walked.

Only the fields on the way to a tensor are opened; everything else is passed on as it is, so unknown fields survive.
Source: https://protobuf.dev/programming-guides/encoding/ and onnx.proto.
"""

from __future__ import annotations

from typing import NamedTuple

from onnx import TensorProto

from onnxhybrid.errors import ModelError

Buffer = bytes | memoryview

THRESHOLD = 1024
"""Weights from this many bytes up are kept by reference; smaller ones (shapes, axes, scalars) stay in the graph."""

SPAN = "onnxhybrid.span"
"""The external_data key that marks a reference into the file that is being read: `"offset,length"`."""

ENCODED = "onnxhybrid.encoded"
"""The external_data key of a reference to numbers that are encoded one by one (see `encoded`)."""

# field numbers that lead to a tensor, by message
_WAYS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
MESSAGE_LIMIT = 2**31 - 1
"""The largest protobuf message, in bytes."""

RAW_DATA = 9
"""The number of TensorProto.raw_data."""

_DATA_TYPE, _DATA_LOCATION = 2, 14
_FLOAT_DATA, _DOUBLE_DATA = 4, 10
_ENCODED_DATA = {5: "int32_data", 7: "int64_data", 11: "uint64_data"}
_DATA = frozenset({RAW_DATA, _FLOAT_DATA, _DOUBLE_DATA, *_ENCODED_DATA})
_TYPES = TensorProto.DataType
_TYPES_OF = {
    _FLOAT_DATA: {_TYPES.Value(name) for name in ("FLOAT", "COMPLEX64")},
    _DOUBLE_DATA: {_TYPES.Value(name) for name in ("DOUBLE", "COMPLEX128")},
    7: {_TYPES.Value("INT64")},
    11: {_TYPES.Value(name) for name in ("UINT32", "UINT64")},
}
"""The element types of a data field; raw_data takes all, and int32_data all that the others do not."""
_TYPES_OF[5] = set(_TYPES.values()).difference(
    *_TYPES_OF.values(),
    # these lie in bits there as nowhere else, and their numbers stay in the graph
    (number for name, number in _TYPES.items() if name in ("UNDEFINED", "STRING") or name.startswith("FLOAT6")),
)

_MAX_DEPTH = 100
_SMALL_TAG, _WIRE_TYPE, _DELIMITED = 0x80, 7, 2


class _Field(NamedTuple):
    """One field of a message: where it starts, and for a length-delimited one where its content lies."""

    number: int
    start: int
    content: int
    end: int
    delimited: bool


def detach(data: Buffer) -> bytes:
    """The bytes of the ModelProto in `data`, with each large `raw_data` replaced by a reference.

    A tensor whose data is left out becomes EXTERNAL, with an external_data entry `SPAN` and perhaps `ENCODED`.

    Raises:
        ModelError: OH100, the bytes are no protobuf message, or without its weights still too large for one.
    """
    view = memoryview(data)
    try:
        pieces = _message(view, 0, len(view), "model", 0)
    except (IndexError, ValueError) as problem:
        raise ModelError("OH100", f"the bytes are no ONNX model: {problem}") from None
    if sum(map(len, pieces)) >= MESSAGE_LIMIT:
        raise ModelError("OH100", "the bytes are no ONNX model: they hold 2 GiB or more beside its weights")
    return b"".join(pieces)


def _message(data: memoryview, start: int, end: int, kind: str, depth: int) -> list[Buffer]:
    """The pieces of one message; runs of untouched fields stay one slice."""
    if depth > _MAX_DEPTH:
        raise ValueError("graphs are nested too deeply")
    ways = _WAYS[kind]
    pieces: list[Buffer] = []
    kept = position = start
    while position < end:
        if following := _behind_small(data, position, end):
            position = following
            continue
        field = _field(data, position, end)
        position = field.end
        way = ways.get(field.number)
        if way is None or not field.delimited or field.end - field.content < THRESHOLD:
            continue
        inner = _tensor(data, field) if way == "tensor" else _message(data, field.content, field.end, way, depth + 1)
        if inner is None:
            continue
        size = sum(len(piece) for piece in inner)
        pieces += [data[kept : field.start], prefix(field.number, size), *inner]
        kept = field.end
    pieces.append(data[kept:end])
    return pieces


def _behind_small(data: memoryview, start: int, end: int) -> int:
    """Where a field below `THRESHOLD` ends, which nearly all are; 0 where another starts, or it is not told so fast."""
    if start + 3 > end or not _SMALL_TAG > (tag := data[start]) > _WIRE_TYPE or tag & _WIRE_TYPE != _DELIMITED:
        return 0
    if (size := data[start + 1]) < 0x80:
        stop = start + 2 + size
    elif (more := data[start + 2]) < THRESHOLD >> 7:
        stop = start + 3 + (size & 0x7F | more << 7)
    else:
        return 0
    return stop if stop <= end else 0


def _tensor(data: memoryview, tensor: _Field) -> list[Buffer] | None:
    """A tensor's pieces without its numbers; None when there is nothing large to leave out."""
    position, data_type, elsewhere = tensor.content, 0, False
    found: list[_Field] = []
    while position < tensor.end:
        field = _field(data, position, tensor.end)
        position = field.end
        if field.number in _DATA:
            found.append(field)
        elif field.number == _DATA_TYPE and not field.delimited:
            data_type = _read_varint(data, field.start + 1, field.end)[0]
        elif field.number == _DATA_LOCATION and not field.delimited:
            elsewhere = bool(_read_varint(data, field.start + 1, field.end)[0])
    if elsewhere or len(found) != 1 or not _is_reference(found[0], data_type):
        return None
    field = found[0]
    reference = TensorProto(data_location=TensorProto.EXTERNAL)
    reference.external_data.add(key=SPAN, value=f"{field.content},{field.end - field.content}")
    if field.number in _ENCODED_DATA:
        reference.external_data.add(key=ENCODED, value=_ENCODED_DATA[field.number])
    # At the end, since the last of two values counts: a file may say that its data lies inside.
    return [data[tensor.content : field.start], data[field.end : tensor.end], reference.SerializeToString()]


def _is_reference(field: _Field, data_type: int) -> bool:
    """Whether a field of numbers of this element type is kept by reference."""
    if not field.delimited or field.end - field.content < THRESHOLD:
        return False
    return field.number == RAW_DATA or data_type in _TYPES_OF[field.number]


def _field(data: memoryview, start: int, end: int) -> _Field:
    """The field that starts at `start`.

    Raises:
        ValueError: it does not end before `end`.
    """
    tag, content = _read_varint(data, start, end)
    wire_type = tag & 7
    if wire_type == 2:
        length, content = _read_varint(data, content, end)
        stop = content + length
    elif wire_type == 0:
        content = stop = _read_varint(data, content, end)[1]
    elif wire_type in (1, 5):
        stop = content + (8 if wire_type == 1 else 4)
    else:
        raise ValueError(f"unknown wire type {wire_type} at byte {start}")
    if tag >> 3 == 0 or stop > end:
        raise ValueError(f"the message is cut short or damaged at byte {start}")
    return _Field(tag >> 3, start, content, stop, wire_type == 2)


def _read_varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    if position < end and data[position] < 0x80:  # most are of one byte
        return data[position], position + 1
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"the message is cut short or damaged at byte {position}")


def prefix(number: int, size: int) -> bytes:
    """What stands before a length-delimited field of `size` bytes."""
    return _varint(number << 3 | 2) + _varint(size)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)

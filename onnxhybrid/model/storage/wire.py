"""Reads an ONNX file without its weights: large `raw_data` fields become references while the bytes are walked.

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

# field numbers that lead to a tensor, by message; the empty name is a tensor's own raw_data
_WAYS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
RAW_DATA = 9
"""The number of TensorProto.raw_data."""

_MAX_DEPTH = 100


class _Field(NamedTuple):
    """One field of a message: where it starts, and for a length-delimited one where its content lies."""

    number: int
    start: int
    content: int
    end: int
    delimited: bool


def detach(data: Buffer) -> bytes:
    """The bytes of the ModelProto in `data`, with each large `raw_data` replaced by a reference.

    A tensor whose data is left out becomes EXTERNAL, with one external_data entry `SPAN`.

    Raises:
        ModelError: OH100, the bytes are no protobuf message.
    """
    view = memoryview(data)
    try:
        return b"".join(_message(view, 0, len(view), "model", 0))
    except (IndexError, ValueError) as problem:
        raise ModelError("OH100", f"the bytes are no ONNX model: {problem}") from None


def _message(data: memoryview, start: int, end: int, kind: str, depth: int) -> list[Buffer]:
    """The pieces of one message; runs of untouched fields stay one slice."""
    if depth > _MAX_DEPTH:
        raise ValueError("graphs are nested too deeply")
    ways = _WAYS[kind]
    pieces: list[Buffer] = []
    kept = position = start
    while position < end:
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


def _tensor(data: memoryview, tensor: _Field) -> list[Buffer] | None:
    """A tensor's pieces without its raw_data; None when there is nothing large to leave out."""
    position = tensor.content
    while position < tensor.end:
        field = _field(data, position, tensor.end)
        position = field.end
        if field.number == RAW_DATA and field.delimited and field.end - field.content >= THRESHOLD:
            reference = TensorProto(data_location=TensorProto.EXTERNAL)
            reference.external_data.add(key=SPAN, value=f"{field.content},{field.end - field.content}")
            return [data[tensor.content : field.start], reference.SerializeToString(), data[field.end : tensor.end]]
    return None


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

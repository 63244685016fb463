"""The most bytes of a request's body, where sizes and types say it: a sound bound, near to what is sent."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from onnxhybrid.model.batching import BATCH, BATCH_BYTES
from onnxhybrid.model.flows.calls import Call
from onnxhybrid.model.flows.tensor import Flow
from onnxhybrid.model.remote_spec import blobs_of

Bound = int | None
"""Bytes at most; None where no bound is known."""

_DIGITS = {
    "bool": 5, "int8": 4, "int16": 6, "int32": 11, "int64": 20, "uint8": 3, "uint16": 5, "uint32": 10, "uint64": 20,
    "float16": 16, "bfloat16": 16, "float32": 16, "float64": 24,
}  # fmt: skip
"""Characters of the longest number of a type, as JSON has it."""

_BYTES = {
    "bool": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
}  # fmt: skip

_SIZE = 19  # digits of a dimension
_VARINT = 10  # bytes of a number in protobuf
_FIELD = 1 + 5  # a protobuf field's key and length
_PREFIX = 5  # of a gRPC message


@dataclass(frozen=True)
class _Sent:
    """A tensor of a request, of so many sizes at most.

    Attributes:
        name: its name on the wire.
        dtype: its element type.
        sizes: the most that each of its sizes can be.
        blob: whether it is one element of BYTES there.
    """

    name: str
    dtype: str
    sizes: tuple[int, ...]
    blob: bool

    @property
    def count(self) -> int:
        return math.prod(self.sizes)

    @property
    def raw(self) -> int:
        """Bytes in the binary form."""
        return self.count * _BYTES[self.dtype] + (4 if self.blob else 0)

    @property
    def flat(self) -> int:
        """Characters as a flat list of JSON."""
        if self.blob:
            return (
                6 * self.count + 4
            )  # one string, of which a byte takes six characters where it is a control character
        return self.count * (_DIGITS[self.dtype] + 1) + 2

    @property
    def nested(self) -> int:
        """Characters as lists of lists."""
        lists = sum(math.prod(self.sizes[:axis]) for axis in range(len(self.sizes)))
        return self.flat + 3 * lists


def most_bytes(call: Call, flows: Sequence[Flow | None]) -> Bound:
    """The most bytes of the body of one request of a call, given what is known of its node's inputs."""
    measure = {"triton.http": _kserve, "triton.grpc": _grpc, "azureml.score": _azureml}.get(call.spec.protocol)
    if measure is None:  # a text may be of any length
        return None
    tensors = _sent(call, flows[call.travelling])
    given = list(zip(call.options, flows[call.travelling.start - len(call.options) :], strict=False))
    parameters = _parameters(call, given)
    return None if tensors is None or parameters is None else measure(call, tensors, parameters)


def _sent(call: Call, flows: Sequence[Flow | None]) -> list[_Sent] | None:
    """The tensors of a request, at most; None where a size or a type is not known."""
    rows, blobs, found = _rows(call, flows), blobs_of(call.node), []
    for (name, shape), flow, cut in zip(call.inputs, flows, call.cut, strict=False):
        sizes = _sizes(shape, flow, rows if cut else None)
        if flow is None or sizes is None or flow.dtype not in _BYTES:
            return None
        found.append(_Sent(name, flow.dtype, sizes, name in blobs))
    return found if len(found) == len(call.inputs) else None


def _sizes(shape: Sequence[object] | None, flow: Flow | None, rows: int | None) -> tuple[int, ...] | None:
    """The most that each size can be: as it is, as the node declares it, or as its batch is cut."""
    known: list[int | None] = [] if shape is None else [size if isinstance(size, int) else None for size in shape]
    if flow is not None and flow.sizes is not None and (shape is None or len(flow.sizes) == len(known)):
        known = [
            own.value if own.value is not None else (known[axis] if shape is not None else None)
            for axis, own in enumerate(flow.sizes)
        ]
    elif shape is None:
        return None
    if rows is not None and known:
        known[0] = rows if known[0] is None else min(rows, known[0])
    sizes = [size for size in known if size is not None]
    return tuple(sizes) if len(sizes) == len(known) else None


def _rows(call: Call, flows: Sequence[Flow | None]) -> int | None:
    """The most rows of one request; None for any number."""
    rows, most = call.number(BATCH) or None, call.number(BATCH_BYTES)
    if not most:
        return rows
    row = 0
    for (_, shape), flow, cut in zip(call.inputs, flows, call.cut, strict=False):
        if cut:
            sizes = _sizes(shape, flow, 1)
            if flow is None or sizes is None or flow.dtype not in _BYTES:
                return rows
            row += math.prod(sizes) * _BYTES[flow.dtype]
    fitting = max(1, most // row) if row else None
    return rows if fitting is None else fitting if rows is None else min(rows, fitting)


@dataclass(frozen=True)
class _Parameters:
    """The parameters of a request: their characters as a JSON object, and their bytes as fields of a message."""

    text: int
    fields: int


def _parameters(call: Call, given: Sequence[tuple[str, Flow | None]]) -> _Parameters | None:
    """The parameters at most; None where one is a text of any length, or they are no JSON object."""
    attribute = call.text("parameters") or "{}"
    try:
        constants = json.loads(attribute)
        text, fields = len(attribute.encode()), sum(_entry(name, value) for name, value in constants.items())
    except (AttributeError, TypeError, ValueError, RecursionError):
        return None
    for option, flow in given:
        group, _, name = option.partition(".")
        if group == "parameters":
            if flow is None or flow.dtype not in _DIGITS:
                return None
            text, fields = text + _quoted(name) + _DIGITS["float64"] + 2, fields + _entry(name, 0)
    return _Parameters(text, fields)


def _entry(name: str, value: object) -> int:
    """Bytes of an entry of a protobuf map: its name, and a message with a text, a number or a bool."""
    held = _FIELD + len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 1 + _VARINT
    return 3 * _FIELD + len(name.encode("utf-8", "surrogatepass")) + held


def _quoted(text: str) -> int:
    """Bytes of a text in JSON."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _kserve(call: Call, tensors: Sequence[_Sent], parameters: _Parameters) -> Bound:
    """The header, and what follows it, or the tensors in it."""
    head = len('{"inputs":[],"outputs":[],"parameters":}') + parameters.text
    for tensor in tensors:
        described = '{"name":,"shape":[],"datatype":"UINT64","parameters":{"binary_data_size":}},'
        head += len(described) + _quoted(tensor.name) + (_SIZE + 1) * len(tensor.sizes) + _SIZE
    for name, _ in call.outputs:
        head += len('{"name":,"parameters":{"binary_data":true}},') + _quoted(name)
    binary = head + sum(tensor.raw for tensor in tensors)
    plain = head + sum(len(',"data":') + tensor.flat for tensor in tensors)
    return {"true": binary, "false": plain}.get(call.text("binary"), max(binary, plain))


def _grpc(call: Call, tensors: Sequence[_Sent], parameters: _Parameters) -> Bound:
    """The message behind its prefix."""
    names = [call.spec.model, call.spec.version]
    total = _PREFIX + sum(_FIELD + len(name.encode()) for name in names)
    total += sum(2 * _FIELD + len(name.encode()) for name, _ in call.outputs)
    for tensor in tensors:
        described = 3 * _FIELD + len(tensor.name.encode()) + len("UINT64") + _VARINT * len(tensor.sizes)
        total += _FIELD + described + _FIELD + tensor.raw
    return total + parameters.fields


def _azureml(call: Call, tensors: Sequence[_Sent], parameters: _Parameters) -> Bound:
    """Lists by name, or a table of columns."""
    names = sum(_quoted(tensor.name) + 2 for tensor in tensors)
    rows = max((tensor.sizes[0] for tensor in tensors if tensor.sizes), default=0)
    table = rows * (_SIZE + 3) if "split" in call.text("form") else 0
    return (
        len('{"dataframe_split":{"columns":[],"index":[],"data":[]}}') + names + table + sum(t.nested for t in tensors)
    )

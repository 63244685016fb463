"""KServe v2 inference requests and responses: bytes to and from data. Pure functions.

A message is a JSON object, followed by the binary tensors in the order in which the object lists them; the header
Inference-Header-Content-Length says where the object ends. Source: Triton's binary tensor data extension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.json_text import json_elements, json_members
from onnxhybrid.endpoint.memory import Hold, unbounded
from onnxhybrid.endpoint.tensors import (
    Array,
    Datatype,
    TensorHeader,
    datatype_of,
    decode_binary,
    decode_json,
    encode_binary,
    encode_json,
    header_of,
)
from onnxhybrid.endpoint.weight import weigh

Json = dict[str, Any]


@dataclass(frozen=True)
class InferRequest:
    """An inference request.

    Attributes:
        id: what the response has to repeat, or None.
        inputs: the inputs' headers and arrays, by name.
        outputs: for each requested output, whether it is to come as binary data; empty for all outputs.
        binary: whether outputs that are not named in `outputs` are to come as binary data.
    """

    id: str | None
    inputs: dict[str, tuple[TensorHeader, Array]]
    outputs: dict[str, bool]
    binary: bool


def object_length(values: list[str], body_length: int) -> int | None:
    """The length of a message's JSON object, from the values of its Inference-Header-Content-Length headers.

    Raises:
        RequestError: it is no length, or longer than the body.
    """
    if not values:
        return None
    if len(set(values)) > 1 or not (values[0].isascii() and values[0].isdigit() and len(values[0]) < 20):
        raise RequestError(f"Unable to parse Inference-Header-Content-Length, got: {quoted(values[0])}")
    if int(values[0]) > body_length:
        raise RequestError(f"inference header size should be in range (0, {body_length}), got: {values[0]}")
    return int(values[0])


def parse_request(body: bytes, length: int | None, hold: Hold = unbounded) -> InferRequest:
    """The request in `body`, whose JSON object has `length` bytes (None: no header said so, and all of it is JSON).

    Raises:
        RequestError: it is malformed, or as `hold` says, which is asked for the memory.
    """
    message = json_object(body if length is None else body[:length], hold)
    binary = memoryview(body)[len(body) if length is None else length :]
    parameters = _member(message, "parameters", dict, {})
    default = _member(parameters, "binary_data_output", bool, False)
    return InferRequest(
        id=_member(message, "id", str, None),
        inputs=_inputs(_member(message, "inputs", list), binary, hold),
        outputs=_outputs(_member(message, "outputs", list, []), default),
        binary=default,
    )


def raw_request(
    name: str, datatype: Datatype, shape: tuple[int | None, ...], body: bytes, hold: Hold = unbounded
) -> InferRequest:
    """The request of a body that is the one input's data and nothing else (the extension's "raw binary request").

    Args:
        shape: what the model declares; the one size that may be None follows from the size of the body. A string has
            no length before it, and its shape is [1].

    Raises:
        RequestError: the shape cannot be deduced.
    """
    if shape.count(None) > 1 or (datatype.name == "BYTES" and shape not in ((1,), (None,))):
        raise RequestError(f"The shape of the raw input {quoted(name)} can not be deduced")
    known = TensorHeader(name, datatype, tuple(1 if dim is None else dim for dim in shape))
    if datatype.name == "BYTES":
        body = len(body).to_bytes(4, "little") + body
    else:
        row = max(1, known.count * datatype.wire.itemsize)
        known = TensorHeader(name, datatype, tuple(len(body) // row if dim is None else dim for dim in shape))
    return InferRequest(None, {name: (known, decode_binary(known, body, hold))}, {}, True)


def json_object(text: bytes, hold: Hold = unbounded) -> Json:
    """The JSON object in a body.

    Raises:
        RequestError: it is no JSON, or no object; or as `weigh` says.
    """
    weigh(text, hold)
    try:
        value = json.loads(text.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise RequestError(f"failed to parse the request JSON buffer: {problem}") from None
    if not isinstance(value, dict):
        raise RequestError("failed to parse the request JSON buffer: it is no object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _member(of: Json, key: str, kind: type, *default: Any) -> Any:
    """A member of a JSON object that has to be of one type, or a default where it may be left out."""
    value = of.get(key, *default)
    if type(value) is kind or (default and key not in of):
        return value
    raise RequestError(f"Unable to parse '{key}': a JSON {_JSON_NAMES[kind]} is expected")


_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}


def _inputs(entries: list[Any], binary: memoryview, hold: Hold) -> dict[str, tuple[TensorHeader, Array]]:
    inputs: dict[str, tuple[TensorHeader, Array]] = {}
    position = 0
    for entry in map(_as_object, entries):
        header = header_of(entry.get("name"), entry.get("datatype"), entry.get("shape"))
        if header.name in inputs:
            raise RequestError(f"input {quoted(header.name)} already exists in request")
        size = _binary_size(header, entry)
        if size is None:
            inputs[header.name] = header, decode_json(header, entry["data"])
            continue
        if size > len(binary) - position:
            absent = size - (len(binary) - position)
            raise RequestError(f"unexpected size for input {quoted(header.name)}, expecting {absent} additional bytes")
        inputs[header.name] = header, decode_binary(header, binary[position : position + size], hold)
        position += size
    if position != len(binary):
        raise RequestError(f"unexpected additional input data: {len(binary) - position} bytes belong to no input")
    return inputs


def _as_object(entry: object) -> Json:
    if not isinstance(entry, dict):
        raise RequestError("Unable to parse 'inputs' or 'outputs': each entry is a JSON object")
    return entry


def _binary_size(header: TensorHeader, entry: Json) -> int | None:
    """The number of bytes of an input's binary data; None when its data is JSON."""
    parameters = _member(entry, "parameters", dict, {})
    if "shared_memory_region" in parameters:
        raise RequestError(f"input {quoted(header.name)}: shared memory is not supported")
    if ("data" in entry) == ("binary_data_size" in parameters):
        raise RequestError(
            f"Input {quoted(header.name)} must set exactly one of 'data' and 'binary_data_size' in 'parameters'"
        )
    size: int | None = _member(parameters, "binary_data_size", int, None)
    if size is not None and size < 0:
        raise RequestError("Unable to parse 'binary_data_size': it is negative")
    return size


def _outputs(entries: list[Any], default: bool) -> dict[str, bool]:
    outputs: dict[str, bool] = {}
    for entry in map(_as_object, entries):
        name = _member(entry, "name", str)
        parameters = _member(entry, "parameters", dict, {})
        if name in outputs:
            raise RequestError(f"output {quoted(name)} already exists in request")
        for unsupported in ("classification", "shared_memory_region"):
            if unsupported in parameters:  # another answer than the one asked for would be a wrong one
                raise RequestError(f"output {quoted(name)}: '{unsupported}' is not supported")
        outputs[name] = _member(parameters, "binary_data", bool, default)
    return outputs


def compose_response(
    head: Json, outputs: Mapping[str, Array], request: InferRequest, hold: Hold = unbounded
) -> tuple[bytes, int | None]:
    """The body of a response, and the length of its JSON object when binary data follows it.

    Args:
        head: the members in front of the outputs.

    Raises:
        RequestError: an output cannot be sent in the form asked for; or as `hold` says.
    """
    text: list[bytes] = []
    binary: list[bytes | memoryview] = []
    for name, array in outputs.items():
        entry: Json = {"name": name, "datatype": datatype_of(array).name, "shape": list(array.shape)}
        if request.outputs.get(name, request.binary):
            binary.append(encode_binary(array, hold))
            entry["parameters"] = {"binary_data_size": len(binary[-1])}
        data = [] if "parameters" in entry else [("data", [json_elements(array, encode_json, hold)])]
        text += [b"," if text else b"", *json_members(entry, data)]
    given_id = {} if request.id is None else {"id": request.id}
    text = json_members({**given_id, **head}, [("outputs", [b"[", *text, b"]"])])
    return b"".join((*text, *binary)), sum(map(len, text)) if binary else None

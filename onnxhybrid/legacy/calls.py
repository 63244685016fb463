"""What an `Invoke` asks for, in the terms of the old operators."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from onnx import NodeProto

from onnxhybrid.errors import ModelError
from onnxhybrid.legacy.operators import FORM, TEXT, plain_attributes, wire_name
from onnxhybrid.model import RemoteSpec
from onnxhybrid.model.old_operators import AZURE_AUDIO, AZURE_TEXT, OPENAI_AUDIO, TRITON
from onnxhybrid.model.remote_spec import AUDIT, DRAW, INVOKE, attributes_of, option_names
from onnxhybrid.model.request_groups import FIELDS

_BODY_FORMATS = ("text", "srt", "vtt", "verbose_json")
_AUDIO_FIELDS = ("response_format", "language", "prompt", "temperature")
_SEGMENT = "-._~"


@dataclass(frozen=True)
class Field:
    """One input of an old operator: its wire name, and the tensor or the constant text that it is."""

    wire: str
    tensor: str = ""
    constant: str = ""


@dataclass(frozen=True)
class OldCall:
    """One call by an old operator.

    Attributes:
        operator: the operator's type.
        attributes: the node's attributes.
        token: the tensor of the token; empty where the server asks for none.
        fields: the inputs after the token.
        outputs: (wire name, tensor) of each output; a wire name is empty where there is none.
    """

    operator: str
    attributes: dict[str, Any]
    token: str
    fields: tuple[Field, ...]
    outputs: tuple[tuple[str, str], ...]


def old_call(node: NodeProto) -> OldCall:
    """The call of the old operator that does what a remote node does.

    Raises:
        ModelError: OH403, there is none; OH301, the node is malformed.
    """
    if node.op_type in (AUDIT, DRAW):
        raise refused(node, "none asks in the background; compose without audit=")
    if node.op_type != INVOKE:
        raise refused(node, "none starts before it is known whether it is needed; compose without speculate=True")
    try:
        spec = RemoteSpec.of(node)
    except ValueError as problem:
        raise ModelError("OH301", f"node {node.name!r}: {problem}") from None
    _check(node, spec)
    values = plain_attributes(node)
    given = list(node.input)
    token = given.pop(0) if spec.auth == "input" and given else ""
    names = [name for name in _listed(values.get("option_names")) if isinstance(name, str)]
    options, tensors = dict(zip(names, given, strict=False)), given[len(names) :]
    if len(tensors) != len(spec.inputs) or not 0 < len(node.output) == len(spec.outputs):
        raise ModelError("OH301", f"node {node.name!r} has other numbers of inputs and outputs than it names")
    write = _WRITERS.get(spec.protocol)
    if write is None:
        raise refused(node, f"none speaks {spec.protocol}; they speak {', '.join(sorted(_WRITERS))}")
    return write(_Invoke(node, spec, values, token, options, tuple(zip(spec.inputs, tensors, strict=True))))


@dataclass(frozen=True)
class _Invoke:
    node: NodeProto
    spec: RemoteSpec
    values: Mapping[str, Any]
    token: str
    options: Mapping[str, str]
    tensors: tuple[tuple[str, str], ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(Field(wire_name(wire), tensor) for wire, tensor in self.tensors)

    def text(self, name: str) -> str:
        return str(self.values.get(name, ""))

    def over_http(self, operator: str, uri: str, fields: Sequence[Field], **attributes: str) -> OldCall:
        """A call of one of the operators over plain HTTP, whose output is one string."""
        query = self.text("query")
        own = {"model_uri": f"{uri}?{query}" if query else uri, "timeout_seconds": math.ceil(self.spec.timeout)}
        return OldCall(operator, {**own, **attributes}, self.token, tuple(fields), (("", self.node.output[0]),))

    def constant(self, name: str) -> str:
        """An option that has to be a constant."""
        if name in self.options:
            raise refused(self.node, f"{name} is an attribute there; give it as a constant, not as oh.Input()")
        return self.text(name)


def refused(node: NodeProto, why: str) -> ModelError:
    """The error for what the old operators cannot do."""
    return ModelError("OH403", f"node {node.name!r} cannot be written with the old operators: {why}")


def _check(node: NodeProto, spec: RemoteSpec) -> None:
    if spec.credential is not None:
        raise refused(node, "they take tokens as inputs only; build it with auth=oh.Input('auth_token')")
    if spec.endpoint_name:
        raise refused(node, f"their URLs are fixed, and {spec.endpoint_name!r} is a name; build it with the URL itself")
    named = {name.partition(".")[0] for name in (*attributes_of(node), *option_names(node))}
    if spec.headers or spec.auth_scheme or not named.isdisjoint(FIELDS):
        raise refused(node, "they send no headers, further fields or parameters")
    if spec.on_error == "flag":
        raise refused(node, "they have no outputs ok, status and error; build it with on_error='raise'")


def _triton(call: _Invoke) -> OldCall:
    for wire in call.spec.inputs:
        if wire_name(wire) != wire:
            raise refused(call.node, f"of the wire name {wire!r} they send what follows the last slash")
    if call.text("bytes_tensors"):
        raise refused(call.node, "they send a uint8 tensor as UINT8, and not as an element of BYTES")
    attributes = {
        "model_uri": call.spec.endpoint,
        "model_name": call.spec.model,
        "model_version": call.spec.version,
    }
    outputs = tuple(zip(call.spec.outputs, call.node.output, strict=True))
    return OldCall(TRITON, attributes, call.token, call.fields, outputs)


def _openai_audio(call: _Invoke) -> OldCall:
    if call.constant("response_format") not in _BODY_FORMATS:
        raise refused(call.node, f"their output is the body as it came; use response_format {', '.join(_BODY_FORMATS)}")
    uri = f"{call.spec.endpoint.rstrip('/')}/audio/{call.text('task') or 'transcriptions'}"
    model = [Field("model_name", call.options["model"])] if "model" in call.options else []
    fields = [*model, *filter(None, (_audio_field(call, name) for name in _AUDIO_FIELDS)), *call.fields]
    attributes = {"audio_format": call.constant("audio_format") or "wav"}
    if not model:
        attributes["model_name"] = call.spec.model
    return call.over_http(OPENAI_AUDIO, uri, fields, **attributes)


def _audio_field(call: _Invoke, name: str) -> Field | None:
    if name in call.options:
        if name == "temperature":
            raise refused(call.node, "temperature is a number, and they take texts; give it as a constant")
        return Field(name, call.options[name])
    value = call.values.get(name)
    if value is None or value == "":
        return None
    return Field(name, constant=str(np.float32(value)) if name == "temperature" else str(value))


def _azure_chat(call: _Invoke) -> OldCall:
    if call.text("form") != "raw":
        raise refused(call.node, "AzureTextToText sends a body as it is; build it with raw=True")
    model, version = (quote(text, safe=_SEGMENT) for text in (call.constant("model"), call.text("api_version")))
    path = f"/openai/deployments/{model}/chat/completions?api-version={version}"
    return call.over_http(AZURE_TEXT, call.spec.endpoint.rstrip("/") + path, call.fields)


def _listed(text: str | None) -> list[Any]:
    """The JSON list in an attribute.

    Raises:
        ModelError: OH301, it is none.
    """
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):  # a stranger's text may be deep
        found = None
    if not isinstance(found, list):
        raise ModelError("OH301", f"{(text or '')[:50]!r} is no JSON list")
    return found


def _form(call: _Invoke) -> OldCall:
    constant = _listed(call.text("fields"))
    fields, attributes = call.fields, {"audio_format": call.text("audio_format")}
    if not constant and fields and fields[0].wire == "model":
        fields = (Field("model_name", fields[0].tensor), *fields[1:])
        return call.over_http(OPENAI_AUDIO, call.spec.endpoint, fields, **attributes)
    pair = constant[0] if len(constant) == 1 else []
    whole = isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
    operator = _FORMS.get(pair[0]) if whole else None
    if operator is None:
        raise refused(call.node, "its first field is neither model nor deployment_id")
    if pair[1]:
        attributes["model_name"] = pair[1]
    return call.over_http(operator, call.spec.endpoint, fields, **attributes)


def _text(call: _Invoke) -> OldCall:
    return call.over_http(AZURE_TEXT, call.spec.endpoint, call.fields)


_FORMS = {"model": OPENAI_AUDIO, "deployment_id": AZURE_AUDIO}

_WRITERS = {
    "triton.http": _triton,
    "openai.audio": _openai_audio,
    "azure_openai.chat": _azure_chat,
    FORM: _form,
    TEXT: _text,
}

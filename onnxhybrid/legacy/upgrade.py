"""`upgrade`: models with the old operators become models with `Invoke`, which send the same requests."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from onnxhybrid import library
from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ModelError, ValidationError
from onnxhybrid.legacy.operators import FORM, TEXT, needs_model, plain_attributes, wire_name
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model import old_operators as old
from onnxhybrid.model.certificate import drop_certificate
from onnxhybrid.model.check import check, endpoint_problem
from onnxhybrid.model.graphs import all_nodes, nested_graphs
from onnxhybrid.model.inlining import without_functions
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.metadata import annotate
from onnxhybrid.model.naming import free_name
from onnxhybrid.model.old_operators import AZURE_TEXT, OPENAI_AUDIO, TOKEN, TRITON, is_old, old_nodes
from onnxhybrid.model.opsets import opsets_of, set_opsets
from onnxhybrid.model.remote_spec import DOMAIN, INVOKE
from onnxhybrid.model.tensor_spec import Shape

_ANSWER = ("str", (1,))


def upgrade(model: Model) -> Model:
    """The model with each old operator (`com.microsoft.extensions`) replaced by an `Invoke` of the same request.

    What the operators got wrong is gone: a status other than 200 is an error, tokens cannot add headers, each call has
    a deadline (`timeout_seconds`, or 30 s), and what is safe to repeat is repeated. Where a form sent `model_name`
    twice, as `model` and as `model_name`, it is sent once, as `model`. An empty token sends no header.

    As there, an input `model_name` of fewer than two bytes or a `filename` of fewer than five says nothing, and the
    attributes do. A text is no longer cut at its first NUL.

    Wire names are taken from the file, as its author wrote them, whatever an optimizer would make of them. Functions
    that hold an old operator are inlined.

    Args:
        model: any Model.

    Returns:
        The new Model, with the same inputs and outputs but for a token that is an empty constant; `model` itself where
        it holds no old operator.

    Raises:
        ComposeError: OH205, it is no Model.
        ModelError: OH402, an operator lacks what the old library asks for, or says what cannot be taken over; OH301 or
            OH303, its URL cannot be called, or holds a credential.
        ValidationError: OH114, an output of AzureTritonInvoker has no declared type; OH303, a token is a constant.
    """
    needs_model(model)
    if not any(old_nodes(model.skeleton)):
        return model
    proto = copied(model.skeleton)
    drop_certificate(proto)
    try:
        proto = without_functions(proto, lambda node: node.domain == old.DOMAIN)
    except ValueError as problem:
        raise ModelError("OH402", f"a function that holds an old operator cannot be inlined: {problem}") from None
    names = {node.name for node in all_nodes(proto)}
    empty = _empty_texts(proto)
    for graph in nested_graphs(proto.graph):
        _upgrade(graph, names, empty)
    _drop_unread(proto.graph, empty)
    opsets = opsets_of(proto.opset_import)
    opsets[DOMAIN] = 1
    if not any(node.domain == old.DOMAIN for node in all_nodes(proto)):
        opsets.pop(old.DOMAIN, None)
    set_opsets(proto, opsets)
    annotate(proto)
    report = Report.of(check(proto))
    if not report:
        raise ValidationError(report, context="the upgraded model is not valid")
    return Model(proto, model.weights)


def _upgrade(graph: GraphProto, names: set[str], empty: set[str]) -> None:
    declared = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    _declare(graph, declared)
    shapes = {
        name: TensorSpec.of(value).shape for name, value in declared.items() if value.type.HasField("tensor_type")
    }
    for node in filter(is_old, graph.node):
        read = _Old(node, shapes, tokenless=bool(node.input) and node.input[0] in empty)
        if node.op_type != TRITON and node.output and node.output[0] not in declared:
            graph.value_info.append(TensorSpec(node.output[0], *_ANSWER).to_value_info())
        inputs, attributes = read.call()
        name = node.name or free_name(node.op_type, names)
        names.add(name)
        new = helper.make_node(INVOKE, inputs, list(node.output), name, domain=DOMAIN, **attributes)
        new.doc_string = node.doc_string
        node.CopyFrom(new)


def _declare(graph: GraphProto, declared: dict[str, ValueInfoProto]) -> None:
    """Add the declarations that an output of an old operator lacks and that a chain of Identity nodes behind it has."""
    given = {name for node in filter(is_old, graph.node) for name in node.output}
    for node in reversed(graph.node):
        if not node.input or not node.output:
            continue
        if node.op_type == "Identity" and node.output[0] in declared and node.input[0] not in declared:
            value = ValueInfoProto(name=node.input[0])
            value.type.CopyFrom(declared[node.output[0]].type)
            declared[value.name] = value
            if value.name in given:
                graph.value_info.append(value)


class _Old:
    """One old operator, read."""

    def __init__(self, node: NodeProto, shapes: Mapping[str, Shape | None], *, tokenless: bool) -> None:
        """Read a node.

        Args:
            node: the old operator.
            shapes: the declared shapes of its graph.
            tokenless: its token is a constant and empty.

        Raises:
            ModelError: OH402 or OH303, it cannot be taken over.
        """
        self._node = node
        self._values = plain_attributes(node)
        self._shapes = shapes
        self._tokenless = tokenless
        if not node.input or wire_name(node.input[0]) != TOKEN:
            raise self._refused(f"its first input is called {TOKEN}, as the old library wants it")
        if len(node.output) != 1 and node.op_type != TRITON:
            raise self._refused(f"it has one output, not {len(node.output)}")
        self._tensors = list(node.input)[1:]

    def call(self) -> tuple[list[str], dict[str, Any]]:
        """The inputs and the attributes of the Invoke that takes its place."""
        kind = self._node.op_type
        if kind == TRITON:
            tensors, own = self._triton()
        elif kind == AZURE_TEXT:
            tensors, own = self._text()
        else:
            tensors, own = self._form()
        shapes = [self._shapes.get(name) for name, _ in tensors]
        attributes = {
            **own,
            "auth": "none" if self._tokenless else "input",
            "timeout_ms": self._timeout(),
            **{
                name: library.default(name)
                for name in ("connect_timeout_ms", "attempt_timeout_ms", "retries", "on_error")
            },
            "input_names": json.dumps([wire for _, wire in tensors]),
            "input_shapes": json.dumps([_known(shape) for shape in shapes]),
        }
        token = [] if self._tokenless else [self._node.input[0]]
        return [*token, *(name for name, _ in tensors)], attributes

    def _triton(self) -> tuple[list[tuple[str, str]], dict[str, Any]]:
        tensors = [(name, wire_name(name)) for name in self._tensors]
        self._distinct([wire for _, wire in tensors])
        endpoint, query = self._endpoint("triton.http")
        if query:
            raise self._refused("the URL of a Triton server takes no query")
        if not self._text_of("model_name"):
            raise self._refused("it has no attribute model_name")
        outputs = list(self._node.output)
        return tensors, {
            "protocol": "triton.http",
            "endpoint": endpoint,
            "model": self._text_of("model_name"),
            "version": self._text_of("model_version", "0"),
            "output_names": json.dumps(outputs),
            "output_shapes": json.dumps([_known(self._shapes.get(name)) for name in outputs]),
        }

    def _text(self) -> tuple[list[tuple[str, str]], dict[str, Any]]:
        if len(self._tensors) != 1:
            raise self._refused(f"it has two inputs, {TOKEN} and the text, not {len(self._tensors) + 1}")
        return [(self._tensors[0], wire_name(self._tensors[0]))], self._http(TEXT)

    def _form(self) -> tuple[list[tuple[str, str]], dict[str, Any]]:
        tensors = [(name, wire_name(name)) for name in self._tensors]
        fields = [wire for _, wire in tensors]
        # The protocol reads a field's name behind the last slash, so that two fields can have one name.
        tensors = [
            (name, f"{number}/{wire}" if fields.count(wire) > 1 else wire)
            for number, (name, wire) in enumerate(tensors)
        ]
        own = {**self._http(FORM), "audio_format": self._text_of("audio_format")}
        if self._node.op_type != OPENAI_AUDIO:
            return tensors, {**own, "fields": json.dumps([["deployment_id", self._text_of("model_name")]])}
        if "file" not in fields:
            raise self._refused("it has no input called file")
        if "model_name" not in fields and not self._text_of("model_name"):
            raise self._refused("it has neither an input nor an attribute called model_name")
        own["fields"] = json.dumps([["model", self._text_of("model_name")]])
        named = {"file_name": "filename", "model_field": "model_name"}
        return tensors, {**own, **{attribute: field for attribute, field in named.items() if field in fields}}

    def _http(self, protocol: str) -> dict[str, Any]:
        endpoint, query = self._endpoint(protocol)
        own = {"query": query} if query else {}
        return {"protocol": protocol, "endpoint": endpoint, "output_names": json.dumps(["text"]), **own}

    def _endpoint(self, protocol: str) -> tuple[str, str]:
        """The URL without its query, and the query."""
        uri = self._text_of("model_uri")
        if not uri:
            raise self._refused("it has no attribute model_uri")
        try:
            parts = urlsplit(uri if "://" in uri else f"http://{uri}")
        except ValueError:
            raise self._refused("its model_uri is no URL") from None
        endpoint = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        if problem := endpoint_problem(protocol, endpoint):
            raise ModelError(problem[0], f"{self._label()}: {problem[1]}")
        return endpoint, parts.query

    def _timeout(self) -> int:
        """Milliseconds; where the old operator says none, those of every remote node."""
        seconds = self._values.get("timeout_seconds", 0)
        if isinstance(seconds, (int, float)) and math.isfinite(seconds) and seconds > 0:
            return min(math.ceil(seconds * 1000), 86_400_000)
        milliseconds: int = library.default("timeout_ms")
        return milliseconds

    def _text_of(self, name: str, default: str = "") -> str:
        value = self._values.get(name, default)
        return value if isinstance(value, str) else str(value)

    def _distinct(self, names: Iterable[str]) -> None:
        listed = list(names)
        if doubled := sorted({name for name in listed if listed.count(name) > 1}):
            raise self._refused(f"two of its inputs are called {doubled[0]!r} on the wire")

    def _label(self) -> str:
        return f"node {self._node.name!r} ({self._node.op_type})"

    def _refused(self, why: str) -> ModelError:
        return ModelError("OH402", f"{self._label()} cannot be upgraded: {why}")


def _known(shape: Shape | None) -> Shape | None:
    """A shape as far as it says something: the old operators' samples write -1 for any size."""
    if shape is None:
        return None
    return tuple(None if isinstance(size, int) and size < 0 else size for size in shape)


def _empty_texts(model: ModelProto) -> set[str]:
    """The constants (initializers, Constant nodes) whose strings are empty: tokens for servers that ask for none."""
    return {name for name, tensor in _constants(model) if _is_empty_text(tensor)}


def _constants(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    inputs = {value.name for value in model.graph.input}
    for graph in nested_graphs(model.graph):
        yield from ((tensor.name, tensor) for tensor in graph.initializer if tensor.name not in inputs)
        for node in graph.node:
            if node.op_type == "Constant" and not node.domain:
                yield from ((node.output[0], entry.t) for entry in node.attribute if entry.name == "value")


def _is_empty_text(tensor: TensorProto) -> bool:
    return tensor.data_type == TensorProto.STRING and not any(numpy_helper.to_array(tensor).reshape(-1).tolist())


def _drop_unread(graph: GraphProto, names: set[str]) -> None:
    """Remove those of the graph's own initializers that nothing reads any more."""
    read = {name for inner in nested_graphs(graph) for node in inner.node for name in node.input}
    read |= {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read or tensor.name not in names]
    replace(graph.initializer, kept)

"""What split and splice share: the tensors that a caller names, what is known of them, and parts of a graph."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

from onnx import ModelProto, ValueInfoProto

from onnxhybrid.compose.build.types import Declared, mismatch
from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ComposeError, ValidationError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.check import check
from onnxhybrid.model.graphs import reads
from onnxhybrid.model.messages import copied, replace


def checked_model(model: object, what: str) -> Model:
    """The argument, which has to be a Model.

    Raises:
        ComposeError: OH205, it is none.
    """
    if not isinstance(model, Model):
        raise ComposeError(
            "OH205", f"{what} is a {type(model).__name__}, and a Model is needed, as oh.load(path) gives"
        )
    return model


def named_tensors(given: object, types: Mapping[str, ValueInfoProto], what: str) -> dict[str, Declared]:
    """The tensors of the main graph that a caller names, in order, and what is known of each.

    Args:
        given: names, or TensorSpecs where nothing declares a type and none can be inferred.
        types: the tensors that there are, and what is known of each.
        what: the argument, for messages.

    Raises:
        ComposeError: OH235, it is no list of tensors, or one stands in it twice; OH236, the model has no such tensor;
            OH238, a TensorSpec contradicts what is known.
    """
    if isinstance(given, (str, bytes, TensorSpec)) or not isinstance(given, Iterable):
        raise ComposeError("OH235", f"{what} is a list of tensors, as in {what}=['features'], not {given!r}")
    chosen: dict[str, Declared] = {}
    for entry in given:
        name = entry.name if isinstance(entry, TensorSpec) else entry
        if not isinstance(name, str):
            raise ComposeError("OH235", f"{what} holds {entry!r}, and a tensor's name or a TensorSpec is needed")
        if name in chosen:
            raise ComposeError("OH235", f"{what} names the tensor {name!r} twice")
        if name not in types:
            raise _unknown(name, types, what)
        known = Declared(types[name])
        chosen[name] = _described(entry, known) if isinstance(entry, TensorSpec) else known
    return chosen


def _unknown(name: str, names: Collection[str], what: str) -> ComposeError:
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "Model.tensors() lists those that there are"
    return ComposeError("OH236", f"{what} names {name!r}, and the main graph has no such tensor; {hint}")


def _described(spec: TensorSpec, known: Declared) -> Declared:
    value = Declared(spec.to_value_info())
    if mismatch(value, known):
        raise ComposeError("OH238", f"{spec} was given, and the model has it as {known.spec.describe()}")
    return value


def defaults(model: ModelProto) -> set[str]:
    """The inputs that nobody has to feed: those with a default, and the weights of the oldest files."""
    return {tensor.name for tensor in model.graph.initializer} & {value.name for value in model.graph.input}


def extract(
    model: Model,
    name: str,
    nodes: Iterable[int],
    inputs: Mapping[str, Declared],
    outputs: Mapping[str, Declared],
    spare: Collection[str] = (),
) -> Model:
    """A part of a model as a Model: some nodes, and the weights, defaults and declarations that go with them.

    Args:
        model: the whole.
        name: the name of the part's graph.
        nodes: the positions of its nodes, in order.
        inputs, outputs: the declarations of what it takes and gives, by name.
        spare: weights and inputs with a default that it has whether a node reads them or not.
    """
    proto = copied(model.skeleton)
    proto.ClearField("training_info")
    graph = proto.graph
    graph.name = name
    kept = [model.skeleton.graph.node[position] for position in nodes]
    needed = {read for node in kept for read in reads(node)} | {*outputs, *spare}
    known = {*needed, *(written for node in kept for written in node.output)}
    optional = [value for value in graph.input if value.name in defaults(proto) & needed - set(inputs)]
    public = {*inputs, *outputs, *(value.name for value in optional)}
    declared = [v for v in (*graph.value_info, *graph.output) if v.name in known - public]
    own = needed - set(inputs)
    replace(graph.node, kept)
    replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in own])
    replace(graph.sparse_initializer, [sparse for sparse in graph.sparse_initializer if sparse.values.name in own])
    replace(graph.value_info, list({value.name: value for value in declared}.values()))
    replace(graph.quantization_annotation, [q for q in graph.quantization_annotation if q.tensor_name in known])
    replace(graph.input, [*(value.value for value in inputs.values()), *optional])
    replace(graph.output, [value.value for value in outputs.values()])
    return Model(proto, model.weights)


def require_valid(side: Model) -> None:
    """Check one side of a cut.

    Raises:
        ValidationError: it breaks a rule, as the model did.
    """
    report = Report.of(check(side.skeleton))
    if not report:
        raise ValidationError(report, context="split was given a model that is not valid")

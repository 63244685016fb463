"""A part of a graph as a Model: the piece that `split` cuts off, or what `splice` leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from onnx import ModelProto

from onnxhybrid.compose.build.types import Declared
from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ValidationError
from onnxhybrid.model import Model
from onnxhybrid.model.certificate import drop_certificate
from onnxhybrid.model.check import check
from onnxhybrid.model.graphs import reads
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.metadata import update


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
    drop_certificate(proto)
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
    update(proto)
    return Model(proto, model.weights)


def require_valid(side: Model) -> None:
    """Check one side of a cut.

    Raises:
        ValidationError: it breaks a rule, as the model did.
    """
    report = Report.of(check(side.skeleton))
    if not report:
        raise ValidationError(report, context="split was given a model that is not valid")

"""What is known of every tensor of a main graph: declared in the file, or inferred without reading a weight."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import GraphProto, ModelProto, ValueInfoProto, checker, helper, shape_inference

from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.fragile import inferred
from onnxhybrid.model.naming import GraphTree
from onnxhybrid.model.runtime_types import runtime_types
from onnxhybrid.model.tensor_spec import shape_of


def tensor_types(model: ModelProto) -> dict[str, ValueInfoProto]:
    """The type of each tensor of a skeleton's main graph, by name: inputs, weights, then what nodes write, in order.

    What can be inferred from the inputs counts for more than a declaration between them, which files carry on after
    an edit that made it wrong. A tensor of which nothing is known has no type, nor has what a node writes that says
    what its operator does not take.
    """
    declared = {value.name: value for value in _declarations(model)}
    certain, likely = certain_types(model), _inferred(model, declared=True)
    known = [certain, likely, declared]
    if any(_unknown(name, known) for name in _names(model)):
        known.append(runtime_types(model))
    types = {name: _best(name, [table[name] for table in known if name in table]) for name in _names(model)}
    _drop_made_up_sizes(types.values(), GraphTree(model.graph).size_names())
    return types


def certain_types(model: ModelProto) -> dict[str, ValueInfoProto]:
    """What follows from the inputs and weights of a main graph alone, by tensor, these included."""
    graph = model.graph
    entering = [*_weights(graph), *_sparse_weights(graph), *graph.input]
    return {value.name: value for value in entering} | _inferred(model, declared=False)


def _drop_made_up_sizes(values: Iterable[ValueInfoProto], real: set[str]) -> None:
    """A size that the file does not name has no name: onnx makes some up."""
    for value in values:
        for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            if dim.dim_param and dim.dim_param not in real:
                dim.Clear()


def _unknown(name: str, known: list[dict[str, ValueInfoProto]]) -> bool:
    return all(type_name(table[name].type) == "undefined" for table in known if name in table)


def _best(name: str, candidates: list[ValueInfoProto]) -> ValueInfoProto:
    """The first candidate with a shape, otherwise the first with an element type."""
    typed = [value for value in candidates if type_name(value.type) != "undefined"]
    shaped = [v for v in typed if shape_of(v) is not None and type_name(v.type) == type_name(typed[0].type)]
    best = ValueInfoProto(name=name)
    if typed:
        best.type.CopyFrom((shaped or typed)[0].type)
    return best


def _names(model: ModelProto) -> dict[str, None]:
    graph = model.graph
    names = dict.fromkeys(value.name for value in graph.input)
    names.update(dict.fromkeys(tensor.name for tensor in graph.initializer))
    names.update(dict.fromkeys(sparse.values.name for sparse in graph.sparse_initializer))
    names.update(dict.fromkeys(name for node in graph.node for name in node.output))
    names.pop("", None)
    return names


def _declarations(model: ModelProto) -> list[ValueInfoProto]:
    """What the file says itself, weights included."""
    graph = model.graph
    return [*_weights(graph), *_sparse_weights(graph), *graph.value_info, *graph.output, *graph.input]


def _weights(graph: GraphProto) -> list[ValueInfoProto]:
    return [helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in graph.initializer]


def _sparse_weights(graph: GraphProto) -> list[ValueInfoProto]:
    """Sparse weights as nodes see them: ONNX Runtime unpacks them, which onnx's inference does not know."""
    return [
        helper.make_tensor_value_info(sparse.values.name, sparse.values.data_type, list(sparse.dims))
        for sparse in graph.sparse_initializer
    ]


def _inferred(model: ModelProto, *, declared: bool) -> dict[str, ValueInfoProto]:
    """What onnx infers, starting from all that the file declares or from the inputs and weights alone."""
    plain = ModelProto()
    plain.CopyFrom(model)
    plain.graph.input.extend(_sparse_weights(plain.graph))
    plain.graph.ClearField("sparse_initializer")
    if not declared:
        del plain.graph.value_info[:]
        for value in plain.graph.output:
            value.ClearField("type")
    try:
        graph = inferred(plain).graph
    except (RuntimeError, ValueError, checker.ValidationError, shape_inference.InferenceError):
        return {}
    return {value.name: value for value in (*graph.value_info, *graph.output)}

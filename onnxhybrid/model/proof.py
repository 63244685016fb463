"""The sizes of a model's outputs that follow from its inputs, its weights and what its remote calls have to answer.

What else a file declares of a tensor may be stale, and ONNX Runtime alone would warn and go on with the true size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

from onnxhybrid.model.fragile import inferred
from onnxhybrid.model.graphs import attribute_graphs, nested_graphs, reads, value_infos
from onnxhybrid.model.messages import copied
from onnxhybrid.model.remote_spec import gives_results
from onnxhybrid.model.tensor_spec import Dim, Shape, shape_of

NEAR = 300
"""So many nodes before the outputs of a large model are looked at, unless their sizes have to be known."""

_SCANNED = 3000


def proven(model: ModelProto, *, most: int | None = NEAR) -> dict[str, Shape]:
    """The shapes of a model's outputs as far as they are sure: see `certain`."""
    shapes = certain(model, most=most)
    return {value.name: shapes[value.name] for value in model.graph.output if value.name in shapes}


def certain(model: ModelProto, *, most: int | None = None) -> dict[str, Shape]:
    """The shapes that onnx infers in a main graph without what is declared between inputs and outputs.

    Args:
        model: a skeleton, above IR 3.
        most: how many nodes before the outputs are looked at; None for all of them.
    """
    try:
        found = inferred(_plain(model, most)).graph
    except Exception:  # noqa: BLE001  # onnx raises many kinds; what is not proven is looked at when it runs
        return {}
    names = {dim.dim_param for value in model.graph.input for dim in value.type.tensor_type.shape.dim}
    # An output that is an input is declared there alone, and one that is a remote answer in value_info.
    shapes = {value.name: shape_of(value) for value in (*found.output, *found.value_info, *found.input)}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in found.initializer}
    return {
        name: tuple(size if isinstance(size, int) or size in names else None for size in shape)
        for name, shape in shapes.items()
        if shape is not None
    }


def first_sizes(model: ModelProto) -> Iterator[tuple[GraphProto, dict[str, Dim]]]:
    """The first sizes that are sure, graph by graph, outer before inner; of a scalar it is 1.

    Each graph is one of those nested in a copy of the model's, of which the nodes are left that the outputs need. Sizes
    of what it takes from the graphs around it are there, too.
    """
    plain = _plain(model, None)
    try:
        found = inferred(plain).graph
    except Exception:  # noqa: BLE001  # as in `certain`
        found = plain.graph
    yield from _sizes_within(found, {})


def _sizes_within(graph: GraphProto, outer: dict[str, Dim]) -> Iterator[tuple[GraphProto, dict[str, Dim]]]:
    shapes = {name: shape_of(value) for name, value in value_infos(graph).items()}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    own = {name: None if shape is None else (shape or (1,))[0] for name, shape in shapes.items()}
    written = {name: None for node in graph.node for name in node.output}
    known = {**outer, **written, **own}
    yield graph, known
    for node in graph.node:
        for inner in attribute_graphs(node):
            yield from _sizes_within(inner, known)


def _plain(model: ModelProto, most: int | None) -> ModelProto:
    """The last nodes of a model with nothing declared that a run could contradict."""
    source = model.graph
    nodes = _last(source, [value.name for value in source.output], most)
    plain = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    graph = plain.graph
    graph.name = source.name
    graph.node.extend(nodes)
    forget(list(nested_graphs(graph)), loops=True)
    needed = {name for node in nodes for name in reads(node)} | {value.name for value in source.output}
    written = {name for node in nodes for name in node.output}
    answers = answered(graph)
    graph.value_info.extend(v for v in (*source.value_info, *source.output) if v.name in answers)
    inputs = {value.name: value for value in source.input}
    graph.initializer.extend(t for t in source.initializer if t.name in needed and t.name not in inputs)
    graph.input.extend(_enforced(value) for value in source.input)
    sparse = [
        helper.make_tensor_value_info(s.values.name, s.values.data_type, list(s.dims))
        for s in source.sparse_initializer
    ]
    graph.input.extend(sparse)
    known = {*written, *inputs, *(t.name for t in graph.initializer), *(value.name for value in sparse)}
    graph.input.extend(_unknown(source, needed - known))
    graph.output.extend(ValueInfoProto(name=value.name) for value in source.output)
    return plain


def _last(graph: GraphProto, outputs: Iterable[str], most: int | None) -> list[NodeProto]:
    """The nodes that the outputs need, in order; of many the last ones."""
    needed, found = set(outputs), list[NodeProto]()
    for node in graph.node[: None if most is None else -_SCANNED - 1 : -1]:
        if not needed.isdisjoint(node.output[:]):
            found.append(node)
            needed.update(reads(node))
            if len(found) == most:
                break
    return found[::-1]


def _enforced(value: ValueInfoProto) -> ValueInfoProto:
    """An input as far as ONNX Runtime holds its caller to the declaration: it takes any shape for a scalar."""
    if shape_of(value) != ():
        return value
    return typed(value)


def _unknown(graph: GraphProto, names: set[str]) -> Iterable[ValueInfoProto]:
    """Tensors before the last nodes, of any shape. Their types decide no size, but without one onnx infers nothing."""
    declared = {value.name: typed(value) for value in graph.value_info if value.name in names} if names else {}
    for name in sorted(names):
        yield declared.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def unsized(model: ModelProto) -> ModelProto:
    """A copy of a model without the sizes that are declared behind its inputs, but for those of remote answers."""
    other = copied(model)
    forget(list(nested_graphs(other.graph)))
    forget_sizes(other.graph.output, other.graph)
    return other


def typed(value: ValueInfoProto) -> ValueInfoProto:
    """The declaration of a tensor's type alone, without its sizes."""
    other = ValueInfoProto(name=value.name)
    other.type.CopyFrom(value.type)
    _forget(other.type)
    return other


def forget(graphs: Sequence[GraphProto], *, loops: bool = False) -> None:
    """Forget the sizes that are declared between the inputs and outputs of a graph, in place.

    Those of remote answers stay: the operator holds the answer to them.

    Args:
        graphs: the graph and those nested in it.
        loops: whether to forget what the bodies of Loop and Scan take and give, too: ONNX Runtime gives an empty tensor
            of these sizes where a loop has no turn.
    """
    for graph in graphs:
        forget_sizes(graph.value_info, graph)
        for node in graph.node if len(graphs) > 1 else ():
            if loops or node.op_type == "If":
                for body in attribute_graphs(node):
                    forget_sizes((*body.input, *body.output), body)


def forget_sizes(values: Sequence[ValueInfoProto], graph: GraphProto) -> None:
    """Forget the sizes of tensors of a graph, in place, but for those of remote answers."""
    answers = answered(graph) if values else ()
    for value in values:
        if value.name not in answers:
            _forget(value.type)


def answered(graph: GraphProto) -> set[str]:
    """The tensors of a graph that are answers of remote calls."""
    return {name for node in graph.node if node.domain and gives_results(node) for name in node.output}


def _forget(kind: TypeProto) -> None:
    while (which := kind.WhichOneof("value")) in ("sequence_type", "optional_type"):
        kind = getattr(kind, which).elem_type
    if which == "tensor_type":
        kind.tensor_type.ClearField("shape")

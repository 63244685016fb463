"""Brings weights to the main graph, the one place where ONNX Runtime takes initializers that are attached."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onnx import GraphProto, NodeProto, TensorProto, helper

from onnxhybrid.model.graphs import nested_graphs
from onnxhybrid.model.naming import Taken, rename_tensors, tensor_names
from onnxhybrid.model.storage.external import nested_places

Refer = Callable[[TensorProto], bool]
"""Lets a tensor name the place of its data, if ONNX Runtime can map it from there; whether it can."""


def hoist(graph: GraphProto, refer: Refer) -> None:
    """Bring weights out of branches, loops and Constants, unless they can be mapped where they are.

    An Identity stands where they were, so that each keeps its name; ONNX Runtime takes it away again.

    Args:
        graph: the main graph, which is changed.
        refer: lets a tensor name its data's place.
    """
    graphs = list(nested_graphs(graph))
    constants = [node for inner in graphs for node in inner.node if any(_is_left(t, refer) for t in _values(node))]
    initializers = [(inner, [t for t in _own(inner) if _is_left(t, refer)]) for inner in graphs[1:]]
    if not constants and not any(tensors for _, tensors in initializers):
        return
    taken = Taken(tensor_names(graph))
    for node in constants:
        (value,) = _values(node)
        node.CopyFrom(_identity(_moved(value, graph, taken), node.output[0], node.name))
    shared = _shared_names(graphs) if initializers else set()
    for inner, tensors in reversed(initializers):  # the innermost first, since a new name goes to all inside
        # An initializer may have the name of a tensor of the graphs around it, and what a node writes may not.
        rename_tensors(inner, {tensor.name: taken.take(tensor.name) for tensor in tensors if tensor.name in shared})
        for tensor in tensors:
            inner.node.insert(0, _identity(_moved(tensor, graph, taken), tensor.name))
        names = {tensor.name for tensor in tensors}
        kept = GraphProto(initializer=[tensor for tensor in inner.initializer if tensor.name not in names])
        inner.ClearField("initializer")
        inner.MergeFrom(kept)


def _shared_names(graphs: Iterable[GraphProto]) -> set[str]:
    """The names that more than one graph gives."""
    given: set[str] = set()
    shared: set[str] = set()
    for graph in graphs:
        own = {value.name for value in (*graph.input, *graph.initializer)}
        own.update(weight.values.name for weight in graph.sparse_initializer)
        own.update(name for node in graph.node for name in node.output)
        shared |= given & own
        given |= own
    return shared


def _values(node: NodeProto) -> list[TensorProto]:
    """The tensor that a Constant holds."""
    values = list(nested_places([node])) if node.op_type == "Constant" else []
    return values if len(values) == len(node.output) == 1 else []


def _own(graph: GraphProto) -> list[TensorProto]:
    """The initializers of a nested graph that no caller gives another value."""
    given = {value.name for value in graph.input}
    return [tensor for tensor in graph.initializer if tensor.name not in given]


def _is_left(tensor: TensorProto, refer: Refer) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL and not refer(tensor)


def _moved(tensor: TensorProto, graph: GraphProto, taken: Taken) -> str:
    """Add a tensor to the initializers of the main graph; its name there."""
    added = graph.initializer.add()
    added.CopyFrom(tensor)
    name = taken.take(tensor.name or "weight")
    added.name = name
    return name


def _identity(source: str, target: str, name: str = "") -> NodeProto:
    return helper.make_node("Identity", [source], [target], name=name or None)

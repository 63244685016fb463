"""What a model-local function means, as a value to compare: its nodes, and neither their names nor its documentation.

Two functions whose meanings are equal give the same values. Two that give the same may differ here, if they are written
in another order of nodes or with other operators.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    ValueInfoProto,
)

from onnxhybrid.model.functions import Key, called
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.messages import copied
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.storage.sources import Weights
from onnxhybrid.model.storage.weights import materialize
from onnxhybrid.model.tensor_values import array_of


def meaning(function: FunctionProto, functions: Mapping[Key, Key], weights: Weights) -> Hashable:
    """What a function means.

    Args:
        function: a function of a skeleton.
        functions: what the model calls a function -> what stands for that function's meaning, for each that it calls.
        weights: where the model's weights lie; those in the function are read.

    Raises:
        ModelError: OH107, a weight cannot be read.
    """
    reader = _Reader(functions, weights)
    inputs = [reader.define(name) for name in function.input]
    body = reader.nodes(function.node, function.value_info)
    outputs = tuple(map(reader.tensor, function.output))
    imports = opsets_of(function.opset_import)
    own = {standard(node.domain) for node in nodes_of(function.node) if called(node) not in functions}
    opsets = tuple(sorted((domain, imports.get(domain)) for domain in own))
    defaults = reader.attributes(function.attribute_proto)
    return len(inputs), body, outputs, opsets, tuple(sorted(function.attribute)), defaults


class _Reader:
    """Reads nodes, with a number in the place of each tensor's name."""

    def __init__(self, functions: Mapping[Key, Key], weights: Weights) -> None:
        self._functions = functions
        self._weights = weights
        self._numbers = itertools.count()
        self._scopes: list[dict[str, int]] = [{}]

    def define(self, name: str) -> int | None:
        """The number of a tensor that is new in the innermost graph; None for an output that is left out."""
        return self._scopes[-1].setdefault(name, next(self._numbers)) if name else None

    def tensor(self, name: str) -> Hashable:
        """The number of a tensor that is there; its name where there is none, as in a function that is not valid."""
        if not name:
            return None
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), name)

    def nodes(self, nodes: Iterable[NodeProto], declared: Iterable[ValueInfoProto]) -> Hashable:
        """The nodes of a graph, in order.

        A declared type counts where a node writes it whose operator onnx does not know: the kernel may ask for it.
        """
        types = {value.name: _type(value) for value in declared}
        return tuple(self._node(node, types) for node in nodes)

    def _node(self, node: NodeProto, types: Mapping[str, bytes]) -> Hashable:
        operator = self._functions.get(called(node))
        inputs = tuple(map(self.tensor, node.input))
        attributes = self.attributes(node.attribute)
        outputs = tuple(map(self.define, node.output))
        foreign = operator is None and standard(node.domain) not in ("", "ai.onnx.ml")
        told = tuple(types.get(name) for name in node.output) if foreign else None
        return operator or called(node), operator is None, inputs, attributes, outputs, told

    def attributes(self, attributes: Iterable[AttributeProto]) -> Hashable:
        """Attributes, in the order of their names."""
        return tuple(self._attribute(entry) for entry in sorted(attributes, key=lambda entry: entry.name))

    def _attribute(self, attribute: AttributeProto) -> Hashable:
        plain = copied(attribute)
        for field in ("doc_string", "t", "tensors", "sparse_tensor", "sparse_tensors", "g", "graphs"):
            plain.ClearField(field)
        tensors = [attribute.t] if attribute.HasField("t") else []
        sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        graphs = [attribute.g] if attribute.HasField("g") else []
        return (
            plain.SerializeToString(deterministic=True),
            tuple(map(self._values, (*tensors, *attribute.tensors))),
            tuple(map(self._sparse, (*sparse, *attribute.sparse_tensors))),
            tuple(map(self._graph, (*graphs, *attribute.graphs))),
        )

    def _graph(self, graph: GraphProto) -> Hashable:
        self._scopes.append({})
        try:
            return tuple(self._parts(graph))
        finally:
            self._scopes.pop()

    def _parts(self, graph: GraphProto) -> Iterator[Hashable]:
        yield tuple((self.define(value.name), _type(value)) for value in graph.input)
        yield tuple((self.define(tensor.name), self._values(tensor)) for tensor in graph.initializer)
        yield tuple((self.define(s.values.name), self._sparse(s)) for s in graph.sparse_initializer)
        yield self.nodes(graph.node, (*graph.value_info, *graph.output))
        yield tuple((self.tensor(value.name), _type(value)) for value in graph.output)

    def _sparse(self, tensor: SparseTensorProto) -> Hashable:
        return tuple(tensor.dims), self._values(tensor.values), self._values(tensor.indices)

    def _values(self, tensor: TensorProto) -> Hashable:
        """A tensor's values, in whatever field and place they are."""
        whole = copied(tensor)
        materialize(whole, self._weights)
        array = array_of(whole)
        if array is None:
            data: bytes = whole.SerializeToString(deterministic=True)
            return data
        values = array.tolist() if array.dtype == object else array.tobytes()
        return tensor.data_type, tuple(tensor.dims), hashlib.sha256(repr(values).encode()).digest()


def _type(value: ValueInfoProto) -> bytes:
    data: bytes = value.type.SerializeToString(deterministic=True)
    return data

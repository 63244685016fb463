"""A graph in the form in which it is walked: read from protobuf once, however often its nodes are visited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
)

from onnxhybrid.model.dtypes import name_of, type_name
from onnxhybrid.model.flows.calls import Call, call_of
from onnxhybrid.model.flows.tensor import MOST_ELEMENTS, NOTHING, Flow, Names, Size, Sizes, known, shaped
from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.remote_spec import DOMAIN
from onnxhybrid.model.tensor_spec import shape_of
from onnxhybrid.model.tensor_values import array_of

_COUNTED = {TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8}
"""Element types whose values are looked at: those of shapes, axes and conditions."""

_KIND = AttributeProto
_NO_GRAPH = frozenset(_KIND.AttributeType.values()) - {_KIND.UNDEFINED, _KIND.GRAPH, _KIND.GRAPHS}
"""Kinds of attributes that hold no graph; files leave the kind out."""


@dataclass(slots=True)
class Step:
    """A node.

    Attributes:
        operator, domain: what it computes.
        inputs, outputs: the names of its tensors.
        node: the node itself.
        bodies: the graphs that it holds, by attribute.
        function: the model-local function that it calls, if any.
        call: the remote call that it makes, if any.
    """

    operator: str
    domain: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    node: NodeProto
    bodies: dict[str, Body]
    function: Key | None
    call: Call | None
    _attributes: dict[str, AttributeProto] | None = None

    def attributes(self) -> dict[str, AttributeProto]:
        """Its attributes by name."""
        if self._attributes is None:
            self._attributes = {attribute.name: attribute for attribute in self.node.attribute}
        return self._attributes


@dataclass(slots=True)
class Body:
    """A graph, or the body of a function.

    Attributes:
        inputs, outputs: the names of what it takes and gives.
        steps: its nodes.
        constants: its weights and constants.
        types: what is declared of its tensors.
        version: the standard opset that its nodes are of.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    steps: list[Step]
    constants: dict[str, Flow]
    types: dict[str, TypeProto]
    version: int
    defaults: dict[str, AttributeProto] = field(default_factory=dict)


@dataclass(slots=True)
class Prepared:
    """A model.

    Attributes:
        main: its graph.
        functions: its model-local functions.
        calls: its remote calls, in the order of `all_nodes`.
        inputs: what is known of its inputs.
        steps: how many nodes there are.
        plain: whether no function takes a graph as an attribute, which is not followed.
    """

    main: Body
    functions: dict[Key, Body]
    calls: list[Call]
    inputs: dict[str, Flow]
    steps: int
    plain: bool


def prepared(model: ModelProto) -> Prepared:
    """A model in the form in which it is walked.

    Raises:
        ValueError: a remote node is malformed.
    """
    reader = _Reader({key_of(function) for function in model.functions})
    version = opsets_of(model.opset_import).get("", 0)
    main = reader.graph(model.graph, version)
    functions = {key_of(function): reader.function(function, version) for function in model.functions}
    # Up to IR version 3 each initializer is an input as well, and none can be fed.
    fixed = {tensor.name for tensor in model.graph.initializer} if model.ir_version < 4 else set()
    fed = {value.name: input_flow(value) for value in model.graph.input if value.name not in fixed}
    for name in fed:
        main.constants.pop(name, None)  # a default, which whoever runs the model may override
    return Prepared(main, functions, reader.calls, fed, reader.count, reader.plain)


def input_flow(value: ValueInfoProto) -> Flow:
    """What is known of an input: its fixed sizes, to which ONNX Runtime holds whoever feeds it."""
    own: Names = frozenset((value.name,))
    kind, shape = type_name(value.type), shape_of(value)
    if shape is None or not value.type.HasField("tensor_type"):
        return Flow(own, own, None, None, None, kind)
    sizes = tuple(Size(size) if isinstance(size, int) else Size(None, own) for size in shape)
    return shaped(own, sizes, kind)


def constant_flow(tensor: TensorProto) -> Flow:
    """What is known of a tensor of the file."""
    dims = tuple(tensor.dims)
    count = 1
    for size in dims:
        count *= size
    elements: Sizes | None = None
    if tensor.data_type in _COUNTED and count <= MOST_ELEMENTS and tensor.data_location != TensorProto.EXTERNAL:
        array = array_of(tensor)
        elements = None if array is None else known(int(each) for each in array.reshape(-1))
    return shaped(NOTHING, known(dims), name_of(tensor.data_type), elements)


class _Reader:
    """Reads graphs, and collects their remote calls."""

    def __init__(self, functions: set[Key]) -> None:
        self._functions = functions
        self.calls: list[Call] = []
        self.count = 0
        self.plain = True

    def graph(self, graph: GraphProto, version: int) -> Body:
        """A graph."""
        constants = {tensor.name: constant_flow(tensor) for tensor in graph.initializer}
        for sparse in graph.sparse_initializer:
            constants[sparse.values.name] = Flow(dtype=name_of(sparse.values.data_type))
        declared = {value.name: value.type for value in (*graph.value_info, *graph.input, *graph.output)}
        return Body(
            [value.name for value in graph.input],
            [value.name for value in graph.output],
            self._steps(graph.node, version, declared),
            constants,
            declared,
            version,
        )

    def function(self, function: FunctionProto, version: int) -> Body:
        """The body of a function."""
        own = opsets_of(function.opset_import).get("", version)
        declared = {value.name: value.type for value in function.value_info}
        defaults = {attribute.name: attribute for attribute in function.attribute_proto}
        steps = self._steps(function.node, own, declared)
        return Body(list(function.input), list(function.output), steps, {}, declared, own, defaults)

    def _steps(self, nodes: Iterable[NodeProto], version: int, declared: Mapping[str, TypeProto]) -> list[Step]:
        return [self._step(node, version, declared) for node in nodes]

    def _step(self, node: NodeProto, version: int, declared: Mapping[str, TypeProto]) -> Step:
        self.count += 1
        domain, outputs = standard(node.domain), list(node.output)
        call = call_of(node, [declared.get(name) for name in outputs]) if domain == DOMAIN else None
        if call is not None:
            self.calls.append(call)
        bodies: dict[str, Body] = {}
        for attribute in node.attribute[:]:
            if attribute.type not in _NO_GRAPH:
                self.plain = self.plain and not attribute.ref_attr_name
                graphs = [attribute.g] if attribute.HasField("g") else attribute.graphs
                for place, graph in enumerate(graphs):
                    bodies[f"{attribute.name}/{place}" if place else attribute.name] = self.graph(graph, version)
        key = called(node) if self._functions else None
        function = key if key in self._functions else None
        return Step(node.op_type, domain, list(node.input), outputs, node, bodies, function, call)

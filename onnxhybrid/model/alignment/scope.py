"""What a step between opsets may know of the graph that its node is in, and how it makes new tensors there."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper

from onnxhybrid.model.naming import free_name
from onnxhybrid.model.tensor_values import array_of

Array = np.ndarray[Any, Any]


class Unproven(Exception):  # it is no error: a step that is not taken
    """Why a step does not provably keep what a node means."""


class Scope:
    """A graph or a function's body, inside of others.

    Attributes:
        taken: every name of a tensor in the model.
        types: the types that are certain, by tensor; of the main graph.
    """

    def __init__(self, taken: set[str], types: Mapping[str, TypeProto], outer: Scope | None = None) -> None:
        """A scope of which no constant is known yet."""
        self.taken, self.types = taken, types if outer is None else {}
        self._constants: ChainMap[str, TensorProto | None] = ChainMap({}, *(outer._constants.maps if outer else ()))

    def learn(self, nodes: Iterable[NodeProto], graph: GraphProto | None = None) -> None:
        """Take in what a graph, or the nodes of a function, hold: constants, and what hides those around it."""
        own = self._constants.maps[0]
        if graph is not None:
            own.update({tensor.name: tensor for tensor in graph.initializer})
            own.update({value.name: None for value in graph.input})  # a caller may give another value
        for node in nodes:
            own.update(dict.fromkeys(node.output))
            if node.op_type == "Constant" and node.output:
                own[node.output[0]] = _value(node)

    def constant(self, name: str) -> Array | None:
        """The value of a constant tensor that is in the skeleton; None if it is none."""
        tensor = self._constants.get(name)
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
            return None
        return array_of(tensor)

    def elem_type(self, name: str) -> int | None:
        """The element type of a tensor where that is certain."""
        kind = self.types.get(name)
        return (kind.tensor_type.elem_type or None) if kind is not None else None

    def rank(self, name: str) -> int | None:
        """The rank of a tensor where that is certain."""
        kind = self.types.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        return len(kind.tensor_type.shape.dim)

    def name(self, wanted: str) -> str:
        """A name that no tensor has."""
        name = free_name(wanted, self.taken)
        self.taken.add(name)
        return name

    def weight(self, value: Array, wanted: str) -> NodeProto:
        """A node that gives a constant."""
        name = self.name(wanted)
        return helper.make_node("Constant", [], [name], name=name, value=numpy_helper.from_array(value))


def _value(node: NodeProto) -> TensorProto | None:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            tensor: TensorProto = attribute.t
            return tensor
        if attribute.name in ("value_ints", "value_int", "value_floats", "value_float"):
            return numpy_helper.from_array(np.array(helper.get_attribute_value(attribute)))
    return None

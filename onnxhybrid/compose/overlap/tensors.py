"""What is known of a graph's tensors before it runs: their types, and which of them are constant."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator

from onnx import GraphProto, ModelProto, NodeProto, TypeProto, helper

from onnxhybrid.compose.overlap.barrier import ANY_TYPE
from onnxhybrid.model import fragile
from onnxhybrid.model.dtypes import FLOATS, INTEGERS, is_container, type_name
from onnxhybrid.model.graphs import attribute_graphs, reads

_PLAIN = frozenset({"bool", "str", *FLOATS, *INTEGERS})
_DRAWN = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)


class Tensors:
    """The tensors that the nodes of one graph can read, those of the graphs around it included."""

    def __init__(self, graph: GraphProto, typed: GraphProto, outer: Tensors | None = None) -> None:
        """Look at a graph; `typed` is the same one with the types that could be inferred."""
        self.graph, self._typed = graph, typed
        self._types: ChainMap[str, TypeProto] = ChainMap({}, *(outer._types.maps if outer else ()))
        self._outer, self._constants = outer, set[str]()
        for value in (*typed.value_info, *typed.output, *typed.input):
            self._types[value.name] = value.type
        for tensor in graph.initializer:
            self._types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        inputs = {value.name for value in graph.input}
        self._public: set[str] = inputs if outer is None else outer._public
        self._constants.update(tensor.name for tensor in graph.initializer if tensor.name not in inputs)
        for node in graph.node:
            if self.is_fixed(node):
                self._constants.update(node.output)

    def inner(self) -> Iterator[Tensors]:
        """The same for each of the graphs that the nodes hold."""
        for node, typed in zip(self.graph.node, self._typed.node, strict=True):
            for graph, inner in zip(attribute_graphs(node), attribute_graphs(typed), strict=True):
                yield Tensors(graph, inner, self)

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is the same in each run, so that ONNX Runtime may compute it before."""
        return name in self._constants or (self._outer is not None and self._outer.is_constant(name))

    def is_fixed(self, node: NodeProto) -> bool:
        """Whether ONNX Runtime may compute the node before a run."""
        own = node.domain in ("", "ai.onnx") and node.op_type not in _DRAWN and not any(attribute_graphs(node))
        return own and all(map(self.is_constant, reads(node)))

    def kind(self, name: str) -> TypeProto | None:
        """The type of a tensor, with its sizes where callers have to keep to them; None where it is not known.

        Sizes inside of a graph are promises that files do not always keep.
        """
        known = self._types.get(name)
        if known is None or type_name(known) == "undefined":
            return None
        kind = TypeProto()
        kind.CopyFrom(known)
        if name not in self._public and kind.HasField("tensor_type"):
            for dim in kind.tensor_type.shape.dim:
                dim.Clear()
        return kind

    def is_plain(self, name: str) -> bool:
        """Whether every version of ONNX Runtime can give the tensor to a node of the remote domain."""
        return name in self._types and type_name(self._types[name]) in _PLAIN

    def can_be_late(self, name: str, opset: int) -> bool:
        """Whether a barrier can hold the tensor back, in a model of this standard opset."""
        known = type_name(self._types[name]) if name in self._types else "undefined"
        if is_container(known):
            return opset >= ANY_TYPE and known.startswith(("seq(tensor", "optional("))
        return known in _PLAIN and opset >= (13 if known == "bfloat16" else 5)

    def size(self, name: str) -> float:
        """How many elements the tensor has, as far as that is known."""
        known = self._types[name].tensor_type
        if not known.HasField("shape") or not all(dim.HasField("dim_value") for dim in known.shape.dim):
            return float("inf")
        count = 1.0
        for dim in known.shape.dim:
            count *= dim.dim_value
        return count


def inferred(model: ModelProto) -> ModelProto:
    """The model with the types that onnx can infer; the model itself where it cannot."""
    try:
        typed = fragile.inferred(model)
    except Exception:  # noqa: BLE001  # types only help, and a model that onnx does not understand may run all the same
        return model
    return typed if len(typed.graph.node) == len(model.graph.node) else model

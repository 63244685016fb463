"""Hashes of what tensors are computed from: operators, attributes, weights and inputs, whatever they are called.

Two tensors of one hash have the same values for the same inputs. Names of tensors, nodes and graphs do not count, nor
do documentation and declared sizes; an input is known by its place among the inputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.storage.sources import Source, Weights
from onnxhybrid.model.storage.weights import source_of
from onnxhybrid.model.tensor_values import array_of

Digests = dict[str, bytes]

_NONE: Mapping[str, bytes] = MappingProxyType({})


def fingerprints(model: ModelProto, weights: Weights, *leaves: Mapping[str, bytes]) -> list[Digests]:
    """The hash of each tensor of a main graph.

    Args:
        model: a skeleton.
        weights: where its large weights lie; they are read, once.
        *leaves: tensors that are known by what they are called here, instead of by what they are computed from. The
            hashes are given for each of these mappings.

    Raises:
        ModelError: OH107, weights cannot be read.
    """
    read: Digests = {}
    return [_Hashing(model, weights, marks, read).main() for marks in leaves]


def _hash(*parts: bytes | str) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.digest()


class _Hashing:
    def __init__(self, model: ModelProto, weights: Weights, leaves: Mapping[str, bytes], read: Digests) -> None:
        self._model, self._weights, self._read = model, weights, read
        self._leaves = {name: _hash("leaf", mark) for name, mark in leaves.items()}
        self._functions: dict[Key, FunctionProto] = {key_of(function): function for function in model.functions}
        self._known: dict[Key, list[bytes]] = {}
        self._opsets = opsets_of(model.opset_import)

    def main(self) -> Digests:
        graph = self._model.graph
        known = self._weights_of(graph)
        for place, value in enumerate(graph.input):
            mark = "default" if value.name in known else "input"
            known[value.name] = _hash(mark, str(place), known.get(value.name, b""))
        known.update(self._leaves)
        return self._over(graph.node, known, self._opsets, self._leaves)

    def _over(
        self, nodes: Iterable[NodeProto], known: Digests, opsets: Mapping[str, int], leaves: Mapping[str, bytes] = _NONE
    ) -> Digests:
        """Add what nodes write; a leaf stays one."""
        for node in nodes:
            written = self._node(node, known, opsets)
            known.update({name: mark for name, mark in zip(node.output, written, strict=True) if name})
            known.update({name: leaves[name] for name in node.output if name in leaves})
        return known

    def _node(self, node: NodeProto, known: Digests, opsets: Mapping[str, int]) -> list[bytes]:
        attributes = b"".join(sorted(self._attribute(attribute, known, opsets) for attribute in node.attribute))
        inputs = b"".join(_hash(known.get(name, b"?")) if name else _hash(b"") for name in node.input)
        if (key := called(node)) in self._functions:
            base = [_hash("call", each) for each in self._function(key)]
            return [
                _hash("written", base[place] if place < len(base) else b"", attributes, inputs)
                for place, _ in enumerate(node.output)
            ]
        domain = standard(node.domain)
        base_of = _hash(domain, node.op_type, str(opsets.get(domain, 0)), attributes, inputs)
        return [_hash("written", base_of, str(place)) for place, _ in enumerate(node.output)]

    def _function(self, key: Key) -> list[bytes]:
        """The hashes of what a function gives, of its inputs by their places."""
        if key not in self._known:
            self._known[key] = []  # one that calls itself, which no runtime takes, ends here
            function = self._functions[key]
            known = {name: _hash("parameter", str(place)) for place, name in enumerate(function.input)}
            known = self._over(function.node, known, opsets_of(function.opset_import))
            defaults = sorted(self._attribute(each, known, {}) for each in function.attribute_proto)
            self._known[key] = [_hash(known.get(name, b"?"), *defaults) for name in function.output]
        return self._known[key]

    def _attribute(self, attribute: AttributeProto, known: Digests, opsets: Mapping[str, int]) -> bytes:
        graphs = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        tensors = [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]
        if graphs or tensors:
            inner = [self._graph(graph, known, opsets) for graph in graphs]
            return _hash(attribute.name, *inner, *(self._tensor(tensor) for tensor in tensors))
        plain = AttributeProto()
        plain.CopyFrom(attribute)
        plain.ClearField("doc_string")
        return _hash(attribute.name, plain.SerializeToString(deterministic=True))

    def _graph(self, graph: GraphProto, outer: Digests, opsets: Mapping[str, int]) -> bytes:
        known = {**outer, **self._weights_of(graph)}
        known.update({value.name: _hash("inner", str(place)) for place, value in enumerate(graph.input)})
        known = self._over(graph.node, known, opsets)
        return _hash("graph", *(known.get(value.name, b"?") for value in graph.output))

    def _weights_of(self, graph: GraphProto) -> Digests:
        found = {tensor.name: self._tensor(tensor) for tensor in graph.initializer}
        for sparse in graph.sparse_initializer:
            parts = self._tensor(sparse.values), self._tensor(sparse.indices)
            found[sparse.values.name] = _hash("sparse", str(list(sparse.dims)), *parts)
        return found

    def _tensor(self, tensor: TensorProto) -> bytes:
        content = hashlib.sha256()
        if (source := source_of(tensor, self._weights)) is not None:
            content.update(self._content(source))
        elif tensor.string_data:
            content.update(_hash(*tensor.string_data))
        elif tensor.HasField("raw_data"):
            content.update(hashlib.sha256(tensor.raw_data).digest())
        elif (array := array_of(tensor)) is not None:
            content.update(hashlib.sha256(array.tobytes()).digest())
        return _hash("tensor", str(tensor.data_type), str(list(tensor.dims)), content.digest())

    def _content(self, source: Source) -> bytes:
        """The hash of what lies elsewhere, which is read once."""
        if source.key not in self._read:
            content = hashlib.sha256()
            for chunk in source.chunks():
                content.update(chunk)
            self._read[source.key] = content.digest()
        return self._read[source.key]

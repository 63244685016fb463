"""Finds the outputs of a model that are flags of a remote call with `on_error="flag"`: ok, status and error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from onnxhybrid.model import Model
from onnxhybrid.model.graphs import attribute_graphs
from onnxhybrid.model.remote_spec import AWAIT, FLAGS, attributes_of, gives_results

OK, STATUS, ERROR = _KINDS = tuple(spec.name for spec in FLAGS)

UNASKED = {
    OK: numpy_helper.from_array(np.array(True)),
    STATUS: numpy_helper.from_array(np.array(0, np.int64)),
    ERROR: TensorProto(data_type=TensorProto.STRING, string_data=[b""]),
}
"""The values of the flags where no request was sent."""

Producers = Mapping[str, NodeProto]


def flags_of(model: Model) -> dict[str, str]:
    """The outputs that are flags of a call, whatever they are called, and what each says: `ok`, `status` or `error`."""
    graph = model.skeleton.graph
    known = _producers(graph)
    kinds = {value.name: _kind(value.name, known) for value in graph.output}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def is_flag(tensor: str, graph: GraphProto) -> bool:
    """Whether a tensor of a main graph is a flag of a call."""
    return _kind(tensor, _producers(graph)) is not None


def _producers(graph: GraphProto) -> dict[str, NodeProto]:
    return {name: node for node in graph.node for name in node.output}


def _kind(tensor: str, known: Producers, passed: frozenset[str] = frozenset()) -> str | None:
    """Which flag a tensor is; the search goes back through Identity nodes and into the branches of If nodes.

    It stops at tensors of `passed`, since an invalid file may have a cycle.
    """
    node = known.get(tensor)
    if node is None or tensor in passed:
        return None
    position = list(node.output).index(tensor)
    if node.op_type == "Identity":
        return _first(_kind(name, known, passed | {tensor}) for name in node.input)
    if node.op_type == "If":
        return _first(
            _kind(branch.output[position].name, {**known, **_producers(branch)}, passed | {tensor})
            for branch in attribute_graphs(node)
            if position < len(branch.output)
        )
    if gives_results(node) and _flagged(node, known):
        last = position - len(node.output)
        return _KINDS[last] if last >= -len(_KINDS) else None
    return None


def _first(kinds: Iterable[str | None]) -> str | None:
    return next((kind for kind in kinds if kind is not None), None)


def _flagged(node: NodeProto, known: Producers) -> bool:
    """Whether a call flags its failures; one that is awaited says so where it began."""
    begun = known.get(node.input[0]) if node.op_type == AWAIT and node.input else node
    return begun is not None and attributes_of(begun).get("on_error") == b"flag"

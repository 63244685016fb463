"""Turns the remote failures of a model into an output, `ok`, wherever the calls are: for the primary of `fallback`."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto

from onnxhybrid.compose.fallback.graph_guard import GraphGuard
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import GLUE_OPSET, align, lifted
from onnxhybrid.model.inlining import without_functions
from onnxhybrid.model.messages import copied
from onnxhybrid.model.remote_spec import gives_results, is_remote

_OPSET = 13  # the first whose If gives sequences
_OPSET_OF_OPTIONALS = 16


@dataclass(frozen=True)
class Guarded:
    """A model whose remote failures are data.

    Attributes:
        model: with one more output, `ok`; where that is false, the other outputs are placeholders.
        ok: the name of that output, a bool: whether no remote call failed.
        flags: outputs that say what `ok` says for one call: those of `on_error="flag"` that no node reads.
    """

    model: Model
    ok: str
    flags: frozenset[str]


def guarded(model: Model) -> Guarded:
    """The model with its remote failures as data; a call whose flags its own graph reads is left to that graph.

    Raises:
        ComposeError: OH214, a remote call stands where its failure cannot be guarded; OH245, guards would be nested too
            deeply.
    """
    optional = any(spec.dtype.startswith("optional(") for spec in model.outputs)
    (aligned,) = align([lifted(model)], _OPSET_OF_OPTIONALS if optional else _OPSET)
    proto = copied(aligned.skeleton)
    if "" not in aligned.opsets:
        proto.opset_import.add(domain="", version=GLUE_OPSET)
    try:  # a guard reaches across graphs, which a function's nodes cannot
        proto = without_functions(proto, _answers)
    except ValueError as problem:
        raise ComposeError("OH214", f"a function that calls out cannot be inlined: {problem}") from None
    guards = GraphGuard(proto.graph)
    try:
        ok = guards.told(proto.graph, guards.guard(proto.graph))
        ModelProto.FromString(proto.SerializePartialToString())
    except DecodeError:
        raise ComposeError(
            "OH245",
            "the primary's remote calls wait for each other inside of branches, in more levels than any program reads "
            "from a file; put a fallback around each half of them, or around those inside of the branches",
        ) from None
    flags = guards.spread.intersection(value.name for value in proto.graph.output)
    proto.graph.output.append(ok)
    return Guarded(Model(proto, aligned.weights), ok.name, frozenset(flags))


def _answers(node: NodeProto) -> bool:
    return is_remote(node) or gives_results(node)

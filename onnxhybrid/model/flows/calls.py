"""A remote call as the walk sees it: which of its node's inputs are sent, and what its answer is known to be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto, TypeProto

from onnxhybrid import library
from onnxhybrid.model.batching import BATCH, BATCH_BYTES, Named, listed, with_rows
from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.flows.tensor import NOTHING, UNDEFINED, Flow, Names, Size, everything, opaque, shaped, union
from onnxhybrid.model.remote_spec import (
    AWAIT,
    BEGIN,
    CANCEL,
    DOMAIN,
    FLAGS,
    OPTIONAL_INPUTS,
    RemoteSpec,
    attributes_of,
    blobs_of,
    is_remote,
    option_names,
)
from onnxhybrid.model.tensor_spec import Shape

CACHE = "cache"
"""The attribute of a call whose answers are kept: whether it is sent depends on what was asked before."""

_TEXTS = ("str", UNDEFINED)
"""Element types whose elements take bytes of any number."""


@dataclass(frozen=True)
class Call:
    """A remote call of a model.

    Attributes:
        node: its node.
        spec: what it is.
        values: the node's attributes.
        options: the names of the options that are inputs, behind the token.
        inputs, outputs: the tensors on the wire, each with its declared shape.
        cut: for each input whether it is cut where a batch is.
        optional: the names of the inputs that may be left out.
        types: the element types of what the node gives, or its ticket brings.
    """

    node: NodeProto
    spec: RemoteSpec
    values: dict[str, Any]
    options: tuple[str, ...]
    inputs: list[Named]
    outputs: list[Named]
    cut: list[bool]
    optional: frozenset[str]
    types: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many of the node's inputs are sent: the token, options and tensors. What is behind them is not."""
        return (self.spec.auth == "input") + len(self.options) + len(self.inputs)

    @property
    def travelling(self) -> slice:
        """Which of the node's inputs are tensors of the request."""
        return slice(self.count - len(self.inputs), self.count)

    def text(self, attribute: str) -> str:
        """An attribute that is a text; empty where there is none, or one of another kind, with which nothing runs."""
        value = self.values.get(attribute)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

    def number(self, attribute: str) -> int:
        """An attribute that is a whole number; 0 where there is none, or one of another kind."""
        value = self.values.get(attribute)
        return value if isinstance(value, int) else 0

    @property
    def begins(self) -> bool:
        """Whether the node gives a ticket."""
        return self.node.op_type == BEGIN

    def content(self, flows: Sequence[Flow | None]) -> Names:
        """The inputs of the model that can change what is sent, given what is known of the node's inputs."""
        return everything(flows[: self.count])

    def counted(self, flows: Sequence[Flow | None]) -> Names:
        """The inputs of the model that can change how many requests a call is, given the same."""
        if self.text(CACHE):
            return self.content(flows)
        tensors = flows[self.travelling]
        form = (library.protocols().get(self.spec.protocol) or {}).get("batch")
        if form is None:  # of another release
            return everything(tensors)
        found = NOTHING
        if form == "row" or (form == "request" and self._sends_no_empty_batch):
            found = union(rows_of(flow).names for flow in tensors[:1])
        if form == "request" and self.number(BATCH):
            found |= union(rows_of(flow).names for flow, cut in zip(tensors, self.cut, strict=False) if cut)
        if form == "request" and self.number(BATCH_BYTES):
            found |= union(flow.all if flow.dtype in _TEXTS else flow.shape for flow in tensors if flow is not None)
        return found

    @property
    def _sends_no_empty_batch(self) -> bool:
        return self.spec.protocol.partition(".")[0] in ("openai", "azure_openai")

    def answer(self, flows: Sequence[Flow | None]) -> list[Flow]:
        """What is known of the outputs of a call: its server may answer anything that is declared."""
        names = self.content(flows)
        types = dict(enumerate(self.types))
        sizes = self._named_sizes(flows[self.travelling])
        found = []
        for position, (_, shape) in enumerate(self.outputs):
            dtype = types.get(position, UNDEFINED)
            if shape is None or self.spec.on_error == "flag":  # a call that failed gives no elements
                found.append(opaque(names, dtype))
                continue
            known = (Size(size) if isinstance(size, int) else sizes.get(size, Size(None, names)) for size in shape)
            found.append(shaped(names, tuple(known), dtype))
        flags = FLAGS if self.spec.on_error == "flag" else ()
        return [*found, *(shaped(names, (), flag.dtype) for flag in flags)]

    def _named_sizes(self, tensors: Sequence[Flow | None]) -> dict[Any, Size]:
        """The sizes that have a name in the declared inputs: an answer of other sizes is refused."""
        named: dict[Any, Size] = {}
        for (name, shape), flow in zip(self.inputs, tensors, strict=False):
            for axis, size in enumerate(shape or ()):
                if isinstance(size, str) and flow is not None and name not in self.optional:
                    known = flow.sizes is not None and len(flow.sizes) == len(shape or ())
                    named.setdefault(size, flow.sizes[axis] if known and flow.sizes else Size(None, flow.shape))
        return named


def call_of(node: NodeProto, declared: Sequence[TypeProto | None]) -> Call | None:
    """The remote call that a node of the domain makes; None if it makes none.

    Every node that names a protocol sends, whatever this release knows of its operator.

    Args:
        node: the node.
        declared: the types of its outputs, where they are declared.

    Raises:
        ValueError: it is malformed.
    """
    if not _sends(node):
        return None
    spec, values = RemoteSpec.of(node), attributes_of(node)
    inputs, outputs = (
        [(name, _plain(shape)) for name, shape in listed(names, values.get(attribute))]
        for names, attribute in ((spec.inputs, "input_shapes"), (spec.outputs, "output_shapes"))
    )
    return Call(
        node,
        spec,
        values,
        option_names(node),
        inputs,
        outputs,
        with_rows(inputs, blobs_of(node)),
        frozenset(_texts(values, OPTIONAL_INPUTS)),
        _texts(values, "output_types") or tuple(UNDEFINED if kind is None else type_name(kind) for kind in declared),
    )


def _sends(node: NodeProto) -> bool:
    if is_remote(node):
        return True
    named = node.domain == DOMAIN and node.op_type not in (AWAIT, CANCEL)
    return named and any(attribute.name == "protocol" for attribute in node.attribute)


def _plain(shape: Shape | None) -> Shape | None:
    """A declared shape of sizes and names alone: what else stands in a stranger's file is not known."""
    return None if shape is None else tuple(size if isinstance(size, (int, str)) else None for size in shape)


def _texts(values: dict[str, Any], attribute: str) -> tuple[str, ...]:
    """The texts in an attribute that is a JSON array, if it is one."""
    try:
        texts = json.loads(values.get(attribute) or b"[]")
    except (TypeError, ValueError, RecursionError):  # a stranger's text may be deep
        return ()
    return tuple(map(str, texts)) if isinstance(texts, list) else ()


def rows_of(flow: Flow | None) -> Size:
    """The number of rows of a tensor: its first size, 1 of a scalar."""
    if flow is None:
        return Size(None)
    if flow.sizes is None:
        return Size(None, flow.shape)
    return flow.sizes[0] if flow.sizes else Size(1)

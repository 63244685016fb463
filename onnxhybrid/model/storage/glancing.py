"""What has to be known of a file before ONNX Runtime opens it by itself, at a small part of the cost of loading."""

from __future__ import annotations

import os
from dataclasses import dataclass

from onnx import ModelProto

from onnxhybrid.model.attributes import require_equations
from onnxhybrid.model.dtypes import byte_count
from onnxhybrid.model.opsets import imported
from onnxhybrid.model.storage.reading import coded, message, opened
from onnxhybrid.model.storage.weights import external_tensors
from onnxhybrid.model.storage.wire import SPAN, THRESHOLD, detach
from onnxhybrid.model.texts import file_path
from onnxhybrid.model.unfolding import require_bounded

_LOCATION = b"location"  # the key without which no tensor is external


@dataclass(frozen=True)
class Glance:
    """What a file holds.

    Attributes:
        domains: all that the model and its functions import.
        defaults: whether an input has a default.
        external: whether it may hold external data, which has to be looked at before anybody opens it.
        small: whether tensors are external that ONNX Runtime wants to know, such as shapes.
        unreadable: whether an input or output has a name that is no UTF-8, which ONNX Runtime's Python API cannot tell.
        loops: whether it may hold an operator that computes a graph again and again.
    """

    domains: frozenset[str]
    defaults: bool
    external: bool
    small: bool
    unreadable: bool
    loops: bool


def glance(path: str | os.PathLike[str]) -> Glance:
    """Look at an .onnx file.

    Raises:
        ModelError: OH100, the file cannot be read or is no model; OH130, it would
            never be opened; OH131, its functions unfold without bounds.
    """
    file = file_path(path, "OH100")
    with coded(file), opened(file) as view:
        skeleton = detach(view)
        model = message(skeleton)
        require_bounded(model)
    if b"Einsum" in skeleton:
        require_equations(model)
    external = _LOCATION in skeleton
    initializers = {tensor.name for tensor in model.graph.initializer}
    defaults = model.ir_version >= 4 and any(value.name in initializers for value in model.graph.input)
    unreadable = any(isinstance(value.name, bytes) for value in (*model.graph.input, *model.graph.output))
    small = external and _has_small(model)
    return Glance(frozenset(imported(model)), defaults, external, small, unreadable, may_loop(skeleton))


_LOOPS = ("Loop", "Scan", "SequenceMap", "BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch")
_NEEDLES = tuple(b"\x22" + bytes([len(name)]) + name.encode() for name in _LOOPS)
"""NodeProto.op_type = 4, and its length."""


def may_loop(skeleton: bytes) -> bool:
    """Whether a serialized model, its functions included, may hold an operator that computes a graph again and again.

    It looks for the bytes of such a node and opens nothing, so that other data may look like one.
    """
    return any(needle in skeleton for needle in _NEEDLES)


def _has_small(model: ModelProto) -> bool:
    return any(
        all(entry.key != SPAN for entry in tensor.external_data)
        and (byte_count(tensor.data_type, tensor.dims) or 0) < THRESHOLD
        for tensor in external_tensors(model)
    )

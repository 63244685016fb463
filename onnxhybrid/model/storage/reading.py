"""Reads the graph of an .onnx file without its weights."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import sort_nodes
from onnxhybrid.model.opsets import spell_functions
from onnxhybrid.model.storage.wire import detach


def read(file: Path) -> ModelProto:
    """The skeleton of the model in a file; its large weights are marked with their place (`wire.SPAN`).

    Raises:
        OSError, ValueError: the file cannot be read.
        ModelError: OH100, it holds no model.
    """
    with open(file, "rb") as opened:
        if not os.fstat(opened.fileno()).st_size:
            raise ModelError("OH100", "the file is empty")
        return parsed(detach(memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))))


def parsed(skeleton: bytes) -> ModelProto:
    """The model in the bytes, its nodes in an order in which each comes after what it reads.

    Raises:
        ModelError: OH100, they hold no model.
    """
    try:
        proto: ModelProto = ModelProto.FromString(skeleton)
    except DecodeError as problem:
        raise ModelError("OH100", f"the bytes are no ONNX model: {problem}") from None
    if not proto.HasField("graph"):
        raise ModelError("OH100", "the bytes hold no graph")
    sort_nodes(proto.graph)
    spell_functions(proto.functions)
    return proto

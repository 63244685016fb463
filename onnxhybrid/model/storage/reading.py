"""Reads the graph of an .onnx file without its weights."""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import sort_nodes
from onnxhybrid.model.opsets import spell_functions
from onnxhybrid.model.storage.foreign import HEAD, is_tensor, recognized
from onnxhybrid.model.storage.spelling import spell
from onnxhybrid.model.storage.wire import detach
from onnxhybrid.model.unfolding import require_bounded

_MOST_OF_A_TENSOR = 64 << 20  # bytes that are parsed once more, only to say what they are


def read(file: Path) -> ModelProto:
    """The skeleton of the model in a file; its large weights are marked with their place (`wire.SPAN`).

    Raises:
        ModelError: OH100, the file cannot be read, or holds no model.
    """
    with coded(file), opened(file) as view:
        return parsed(detach(view))


@contextlib.contextmanager
def coded(file: Path) -> Iterator[None]:
    """Makes what goes wrong with a file an error that names it.

    Raises:
        ModelError: OH100, what goes wrong.
    """
    try:
        yield
    except (OSError, ValueError) as problem:
        reason = (problem.strerror if isinstance(problem, OSError) else None) or problem
        raise ModelError("OH100", f"{file} cannot be read: {reason}") from None
    except ModelError as problem:
        raise ModelError(problem.code, f"{file}: {problem.message}") from None


@contextlib.contextmanager
def opened(file: Path) -> Iterator[memoryview]:
    """The bytes of a regular file, mapped. An OH100 over them is told as what the file is instead of a model.

    Raises:
        OSError, ValueError: the file cannot be read.
        ModelError: OH100, it is empty, or no regular file.
    """
    mode = file.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ModelError("OH100", "this is a folder; give the path of the .onnx file in it")
    if not stat.S_ISREG(mode):
        raise ModelError("OH100", "this is no regular file, and models are read from nothing else")
    with open(file, "rb") as handle:
        if not os.fstat(handle.fileno()).st_size:
            raise ModelError("OH100", "the file is empty")
        view = memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        yield view
    except ModelError as problem:
        raise (_not_a_model(view, problem) if problem.code == "OH100" else problem) from None


def _not_a_model(view: memoryview, problem: ModelError) -> ModelError:
    """The error for a file that holds no model: what it is instead, if that can be told."""
    if len(view) <= _MOST_OF_A_TENSOR and is_tensor(bytes(view)):
        return ModelError("OH100", "the file is a single tensor, as lies beside ONNX's test models, and no model")
    if told := recognized(bytes(view[:HEAD]), len(view)):
        return ModelError("OH100", told)
    return problem


def parsed(skeleton: bytes) -> ModelProto:
    """The model in the bytes, its nodes in an order in which each comes after what it reads.

    Raises:
        ModelError: OH100, they hold no model; OH131, its functions unfold without bounds.
    """
    proto = message(skeleton)
    spell(proto, skeleton)
    require_bounded(proto)
    sort_nodes(proto.graph)
    spell_functions(proto.functions)
    return proto


def message(skeleton: bytes) -> ModelProto:
    """The model in the bytes, as it is there.

    Raises:
        ModelError: OH100, they hold no model.
    """
    try:
        proto: ModelProto = ModelProto.FromString(skeleton)
    except (DecodeError, UnicodeDecodeError) as problem:  # protobuf without its compiled part looks at texts here
        raise ModelError("OH100", f"the bytes are no ONNX model: {problem}") from None
    if not proto.HasField("graph"):
        raise ModelError("OH100", "the bytes hold no graph")
    return proto

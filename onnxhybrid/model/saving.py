"""Writes a model: weights are streamed once, and a file is replaced only when the new one is whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from onnx import ModelProto, TensorProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import nested_tensors
from onnxhybrid.model.weights import Source, Weights, detached, materialize, size_of, source_of
from onnxhybrid.model.wire import RAW_DATA, prefix

ExternalData = Literal["auto"] | bool

MESSAGE_LIMIT = 2**31 - 1
"""The largest protobuf message, in bytes."""

_MARGIN = 1 << 20
"""Room for the length prefixes that a size estimate leaves out."""

_GRAPH = 7  # ModelProto.graph
_INITIALIZER = 5  # GraphProto.initializer
_PAGE = 4096


def fits_one_message(model: ModelProto, weights: Weights) -> bool:
    """Whether the model, with all of its weights inside, is one protobuf message."""
    return size_of(model, weights) + _MARGIN < MESSAGE_LIMIT


def write(model: ModelProto, weights: Weights, path: Path, external_data: ExternalData) -> None:
    """Write a skeleton and its weights to `path`.

    Args:
        model: the skeleton.
        weights: where its weights lie.
        path: the .onnx file; external data goes to `<path>.data` beside it.
        external_data: True puts the weights beside the file, False inside, "auto" inside if they fit.

    Raises:
        ModelError: OH107, weights cannot be read; OH108, the model does not fit one message; OH112, the system
            refused to write.
    """
    inside = fits_one_message(model, weights)
    if external_data is False and not inside:
        raise ModelError("OH108", f"{path.name} would be larger than 2 GiB; save it with external_data='auto'")
    whole = _own(model, weights)
    try:
        if external_data is True or not inside:
            _write_beside(whole, weights, path)
        else:
            with _replacing(path) as file:
                _stream(whole, weights, file)
    except OSError as problem:
        raise ModelError("OH112", f"{path} cannot be written: {problem.strerror or problem}") from None


def _own(model: ModelProto, weights: Weights) -> ModelProto:
    """A copy in which only the main graph's initializers still are references."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in nested_tensors(copy) if weights else ():
        materialize(tensor, weights)
    return copy


def _stream(model: ModelProto, weights: Weights, file: BinaryIO) -> None:
    """Write the model as one message, with the graph and its initializers last."""
    sources = [source_of(tensor, weights) for tensor in model.graph.initializer]
    heads = [_initializer_head(t, source) for t, source in zip(model.graph.initializer, sources, strict=True)]
    del model.graph.initializer[:]
    graph = model.graph.SerializeToString(deterministic=True)
    model.ClearField("graph")
    size = len(graph) + sum(len(head) for head in heads) + sum(source.length for source in sources if source)
    file.write(model.SerializeToString(deterministic=True))
    file.write(prefix(_GRAPH, size) + graph)
    for head, source in zip(heads, sources, strict=True):
        file.write(head)
        if source is not None:
            _copy(source, file)


def _initializer_head(tensor: TensorProto, source: Source | None) -> bytes:
    """All of an initializer's field up to the bytes of its source."""
    body: bytes = detached(tensor).SerializeToString(deterministic=True) if source else tensor.SerializeToString()
    if source is not None:
        body += prefix(RAW_DATA, source.length)
    return prefix(_INITIALIZER, len(body) + (source.length if source else 0)) + body


def _write_beside(model: ModelProto, weights: Weights, path: Path) -> None:
    """Write the weights to `<path>.data` and the graph to `path`."""
    beside = path.with_name(path.name + ".data")
    with _replacing(path) as file, _replacing(beside) as data:
        for tensor in model.graph.initializer:
            source = source_of(tensor, weights)
            if source is None:
                continue
            data.write(b"\0" * (-data.tell() % _PAGE))
            offset = data.tell()
            _copy(source, data)
            _refer(tensor, beside.name, offset, source.length)
        file.write(model.SerializeToString(deterministic=True))


def _refer(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def _copy(source: Source, file: BinaryIO) -> None:
    file.writelines(source.chunks())


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well, and leaves nothing behind when it does not."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise

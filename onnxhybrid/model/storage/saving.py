"""Writes a model: weights are streamed once, and a file is replaced only when the new one is whole."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, Literal

from onnx import ModelProto, TensorProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model import metadata
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.messages import copied
from onnxhybrid.model.storage.carrying import carried
from onnxhybrid.model.storage.discarding import discard
from onnxhybrid.model.storage.external import nested_places
from onnxhybrid.model.storage.replacing import Unfinished, data_of, destination, placed, require_replaceable, unfinished
from onnxhybrid.model.storage.sources import Source, Weights
from onnxhybrid.model.storage.weights import (
    detached,
    external_nested,
    external_tensors,
    is_repeated,
    materialize,
    materialize_nested,
    place,
    size_of,
    source_of,
)
from onnxhybrid.model.storage.wire import MESSAGE_LIMIT, RAW_DATA, THRESHOLD, prefix

ExternalData = Literal["auto"] | bool

_MARGIN = 1 << 20
"""Room for the length prefixes that a size estimate leaves out."""

_GRAPH = 7  # ModelProto.graph
_INITIALIZER = 5  # GraphProto.initializer
_PAGE = 4096
_WORD = 64


def fits_one_message(model: ModelProto, weights: Weights) -> bool:
    """Whether the model, with all of its weights inside, is one protobuf message."""
    return size_of(model, weights) + _MARGIN < MESSAGE_LIMIT


def write(model: ModelProto, weights: Weights, path: Path, external_data: ExternalData) -> None:
    """Write a skeleton and its weights to `path`.

    Args:
        model: the skeleton.
        weights: where its weights lie.
        path: the .onnx file; external data goes to `<path>.data` beside it, or where other data has that name to
            `<path>.<hash>.data`.
        external_data: True puts the weights beside the file, False inside, "auto" inside if they fit.

    Raises:
        ModelError: OH107, weights, or files that nodes name, cannot be read; OH108, the model does not fit one message;
            OH112, the system refused to write.
    """
    inside = fits_one_message(model, weights)
    if external_data is False and not inside:
        raise ModelError("OH108", f"{path.name} would be larger than 2 GiB; save it with external_data='auto'")
    require_replaceable(path)
    try:
        target = destination(path)
        before = data_of(target)
        whole = copied(model)
        metadata.update(whole, flows=True)
        with unfinished(target) as graph, carried(whole, weights, graph, path):
            if external_data is True or not inside or (external_data == "auto" and _is_repeated(whole, weights)):
                before.discard(_write_beside(whole, weights, graph, path))
            else:
                _write_inside(whole, weights, graph)
        discard(before, path)
    except OSError as problem:
        raise ModelError("OH112", f"{path} cannot be written: {problem.strerror or problem}") from None
    except UnicodeEncodeError:  # a file may have any bytes for a name, and a model refers to its data by text
        raise ModelError("OH112", f"the name of {path} is no text, and the model could not refer to its data") from None


def _is_repeated(model: ModelProto, weights: Weights) -> bool:
    return bool(weights) and is_repeated(external_tensors(model), weights)


def _write_inside(model: ModelProto, weights: Weights, graph: Unfinished) -> None:
    """Write the graph and its weights to one file."""
    materialize_nested(model, weights)
    _stream(model, weights, graph.file)
    graph.replace()


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


def _write_beside(model: ModelProto, weights: Weights, graph: Unfinished, link: Path) -> Path:
    """Write the weights beside the graph, and that; the file of the weights, the graph's own where there are none."""
    path = graph.target
    wanted = path.with_name(f"{path.name}.data")
    with unfinished(wanted, like=path) as data:
        spans = _write_data(model, weights, data.file)
        with placed(data, graph, link) if spans else nullcontext(path) as beside:
            for tensor, offset, length in spans:
                place(tensor, beside.name, offset, length)
            materialize_nested(model, weights)
            graph.file.write(_serialized(model, path))
            graph.replace()
    return beside


def _write_data(model: ModelProto, weights: Weights, file: BinaryIO) -> list[tuple[TensorProto, int, int]]:
    """Write the weights, each once and where a system can map it; the tensor, offset and length of each.

    Small ones go into their tensors: ONNX Runtime reads shapes and axes there, and refuses external data of no bytes.
    """
    spans = []
    offsets: dict[str, int] = {}
    nested = nested_places(all_nodes(model)) if weights and external_nested(model) else ()
    for tensor in (*model.graph.initializer, *nested):
        source = source_of(tensor, weights)
        if source is None:
            continue
        if source.length < THRESHOLD:
            materialize(tensor, weights)
            continue
        if source.key not in offsets:
            file.write(b"\0" * (-file.tell() % (_PAGE if source.length >= _PAGE else _WORD)))
            offsets[source.key] = file.tell()
            _copy(source, file)
        spans.append((tensor, offsets[source.key], source.length))
    return spans


def _serialized(model: ModelProto, path: Path) -> bytes:
    try:
        data: bytes = model.SerializeToString(deterministic=True)
    except ValueError:  # EncodeError: a message of 2 GiB or more
        data = b""
    if not 0 < len(data) < MESSAGE_LIMIT:
        raise ModelError(
            "OH108",
            f"{path.name} would be larger than 2 GiB even without its initializers: its nodes hold weights as "
            "attributes, which have to be initializers to lie beside the graph",
        )
    return data


def _copy(source: Source, file: BinaryIO) -> None:
    file.writelines(source.chunks())

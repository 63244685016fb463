"""External data as ONNX has it: what the tensors of a freshly read model say of their data's place.

Source: docs/ExternalData.md of ONNX, and for what it leaves open (links, lengths) what ONNX Runtime does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.dtypes import byte_count, name_of
from onnxhybrid.model.graphs import attribute_graphs, training_tensors
from onnxhybrid.model.opsets import standard
from onnxhybrid.model.storage.companions import find_companions
from onnxhybrid.model.storage.encoded import Encoded
from onnxhybrid.model.storage.files import Files
from onnxhybrid.model.storage.sources import InFile, InMemory, Source, Weights
from onnxhybrid.model.storage.weights import external_tensors, materialize, reference
from onnxhybrid.model.storage.wire import ENCODED, SPAN, THRESHOLD

_MOST_OVERLAPS = 8
_LITTLE = 1 << 20  # bytes; in a smaller file nothing comes of it


def resolve(model: ModelProto, *, itself: Path | bytes) -> Weights:
    """Turn every EXTERNAL tensor of a freshly read skeleton into a reference, and return the table.

    So it goes with the files that nodes name. Small tensors are read: they are the shapes, axes and scalars that
    inference asks for. Those of the training are read, too, since no file keeps its data elsewhere.

    Args:
        model: the skeleton; its tensors are changed in place.
        itself: the file that it was read from, beside which its external data lies, or the bytes, which have none.

    Raises:
        ModelError: OH107, external data is missing, too short, no regular file, or outside of the model's folder.
    """
    sources: dict[str, Source] = {}
    files = Files(itself) if isinstance(itself, Path) else None
    for tensor in external_tensors(model):
        source = _source(tensor, itself, files)
        reference(tensor, source)
        sources[source.key] = source
        if source.length < THRESHOLD:
            materialize(tensor, sources)
    for tensor in training_tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        source = _source(tensor, itself, files)
        reference(tensor, source)
        materialize(tensor, {source.key: source})
    _require_apart(sources.values())
    if isinstance(itself, Path):
        sources.update(find_companions(model, itself))
    return sources


def _require_apart(sources: Iterable[Source]) -> None:
    """Spans may be one and the same, or a part of another, but a file is not cut up into many times of itself."""
    taken: dict[tuple[str, int], int] = {}
    for source in sources:
        if isinstance(source, InFile):
            key = source.path, source.stamp[0]
            taken[key] = taken.get(key, 0) + source.length
            if taken[key] > _MOST_OVERLAPS * max(source.stamp[0], _LITTLE):
                text = f"its tensors take more than {_MOST_OVERLAPS} times the bytes of {source.path}"
                raise ModelError("OH107", f"{text}, in spans that overlap")


def nested_places(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """The tensors inside of nodes for which ONNX Runtime maps external data, as it does for initializers.

    They are the initializers of branches and loops, and the values of Constants. Seen with 1.23 to 1.32, in functions
    too. Of other attributes no version but the latest takes it.

    Args:
        nodes: nodes with those of their nested graphs (`graphs.nodes_of`).
    """
    for node in nodes:
        if node.op_type == "Constant" and not standard(node.domain):
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")
        for inner in attribute_graphs(node):
            yield from inner.initializer


def _source(tensor: TensorProto, itself: Path | bytes, files: Files | None) -> Source:
    try:
        # Both are bytes where they are no UTF-8, and a path may be so.
        entries = {os.fsdecode(entry.key): os.fsdecode(entry.value) for entry in tensor.external_data}
        if SPAN in entries:
            return _inside(tensor, entries, itself)
        location = entries.get("location", "")
        if files is None:
            raise ModelError(
                "OH107", f"external data {location!r} has no folder here; use oh.load(path) for such a model"
            )
        offset, length = (_number(entries.get(key, "0")) for key in ("offset", "length"))
        path, size = files.find(location), _length(tensor, length)
        source = InFile.of(path, offset, size, tensor=tensor.name)
        own = files.is_own(location, tensor.name, whole=source.is_whole)
        return source if own else replace(source, stray=True)
    except ValueError as problem:
        raise ModelError("OH107", f"the data of {tensor.name!r} has no valid place: {problem}") from None


def _inside(tensor: TensorProto, entries: dict[str, str], itself: Path | bytes) -> Source:
    offset, length = (_number(number) for number in entries[SPAN].split(","))
    span: Source = (
        InMemory.of(itself, offset, length) if isinstance(itself, bytes) else InFile.of(itself, offset, length)
    )
    return Encoded.of(span, tensor.data_type, _length(tensor, 0)) if ENCODED in entries else span


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no offset or length")
    return int(text)


def _length(tensor: TensorProto, said: int) -> int:
    """The length of a tensor's data, which files may leave out or call 0.

    Raises:
        ValueError: it says another length than its type and shape take.
    """
    needed = byte_count(tensor.data_type, tensor.dims)
    if needed is None:
        raise ValueError(f"a tensor of type {name_of(tensor.data_type)} and shape {list(tensor.dims[:8])} has none")
    if said not in (0, needed):
        raise ValueError(f"its length is {said}, and its type and shape take {needed} bytes")
    return needed

"""Weights by reference: a skeleton's large tensors name a source, and a table says where each source lies.

In a skeleton such a tensor is EXTERNAL with a single `location` entry, the key of its source. Keys are unique to what
they stand for, so the tables of several models can be united.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy.typing as npt
from onnx import ModelProto, TensorProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import nested_tensors
from onnxhybrid.model.storage.companions import named, restore
from onnxhybrid.model.storage.sources import Source, Weights
from onnxhybrid.model.storage.wire import SPAN
from onnxhybrid.model.tensor_values import array_of

_MARKS = (b"location", SPAN.encode())
"""What is in the bytes of each tensor whose data lies elsewhere: the keys that tell its place."""

_FIELDS = ("raw_data", "float_data", "double_data", "int32_data", "int64_data", "uint64_data", "string_data")


_MOST_REPEATED, _MOST_TIMES = 256 << 20, 4
"""Bytes that tensors may take in memory, and how many times those of all of their weights."""


def external_tensors(model: ModelProto) -> list[TensorProto]:
    """Every tensor whose data lies elsewhere, the main graph's initializers first."""
    return [*_external(model.graph.initializer), *external_nested(model)]


def external_nested(model: ModelProto) -> list[TensorProto]:
    """Every tensor whose data lies elsewhere but for the main graph's initializers.

    Most models have none, and of a large one its bytes tell that many times faster than a walk.
    """
    try:
        data = model.SerializePartialToString()
    except ValueError:  # EncodeError: more than one message holds
        return _external(nested_tensors(model))
    known = len(_external(model.graph.initializer))
    return _external(nested_tensors(model)) if sum(map(data.count, _MARKS)) > known else []


def _external(tensors: Iterable[TensorProto]) -> list[TensorProto]:
    return [tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL]


def reference(tensor: TensorProto, source: Source) -> None:
    """Make `tensor` name `source` as the place of its data."""
    for field in _FIELDS:
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    tensor.external_data.add(key="location", value=source.key)


def place(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    """Make a referenced tensor external data as ONNX has it.

    Args:
        tensor: the tensor.
        location: the file, relative to the model's folder.
        offset, length: the span, in bytes.
    """
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def source_of(tensor: TensorProto, weights: Weights) -> Source | None:
    """The source of a tensor's data; None when the tensor holds its data itself, or has got its `place`."""
    if tensor.data_location != TensorProto.EXTERNAL or len(tensor.external_data) != 1:
        return None
    return weights[tensor.external_data[0].value]


def materialize(tensor: TensorProto, weights: Weights) -> None:
    """Put the data of a referenced tensor into it.

    Raises:
        ModelError: OH107, the data cannot be read.
    """
    source = source_of(tensor, weights)
    if source is None:
        return
    detached(tensor)
    tensor.raw_data = b"".join(bytes(chunk) for chunk in source.chunks())


def make_whole(model: ModelProto, weights: Weights) -> None:
    """Put all data into a model, and give the files that its nodes name their own names back, in place.

    Raises:
        ModelError: OH107, the data cannot be read.
    """
    tensors = external_tensors(model) if weights else []
    require_unrepeated(tensors, weights)
    for tensor in tensors:
        materialize(tensor, weights)
    restore(model, weights)


def materialize_nested(model: ModelProto, weights: Weights) -> None:
    """Put the data of referenced tensors into all that are no initializers of the main graph.

    Raises:
        ModelError: OH107, the data cannot be read; OH108, there is too much of it.
    """
    tensors = external_nested(model) if weights else []
    require_unrepeated(tensors, weights)
    for tensor in tensors:
        materialize(tensor, weights)


def same_values(one: TensorProto, other: TensorProto, weights: Weights) -> bool:
    """Whether two tensors hold the same, bit by bit, in whatever form and place. They are read if these differ.

    Args:
        one, other: tensors of skeletons.
        weights: a table with the sources of both.

    Raises:
        ModelError: OH107, the data cannot be read.
    """
    if one == other:
        return True
    if (one.data_type, list(one.dims)) != (other.data_type, list(other.dims)):
        return False
    first, second = (_values(tensor, weights) for tensor in (one, other))
    if first is None or second is None:
        return False
    return bool(first.tolist() == second.tolist() if first.dtype == object else first.tobytes() == second.tobytes())


def _values(tensor: TensorProto, weights: Weights) -> npt.NDArray[Any] | None:
    whole = TensorProto()
    whole.CopyFrom(tensor)
    materialize(whole, weights)
    return array_of(whole)


def detached(tensor: TensorProto) -> TensorProto:
    """The tensor without its reference: name, type, shape and metadata stay."""
    tensor.ClearField("data_location")
    tensor.ClearField("external_data")
    return tensor


def is_repeated(tensors: Iterable[TensorProto], weights: Weights) -> bool:
    """Whether tensors, brought into memory, would hold the same bytes again and again, and fill it."""
    sources = [source for tensor in tensors if (source := source_of(tensor, weights)) is not None]
    distinct = {source.key: source.length for source in sources}
    return sum(source.length for source in sources) > max(_MOST_REPEATED, _MOST_TIMES * sum(distinct.values()))


def require_unrepeated(tensors: Iterable[TensorProto], weights: Weights) -> None:
    """Check that tensors can be brought into memory.

    Raises:
        ModelError: OH108, they name the same weights so often that a small file would fill it.
    """
    if weights and is_repeated(tensors, weights):
        raise ModelError(
            "OH108", "its tensors name the same weights again and again, and would be many times as large in memory"
        )


def size_of(model: ModelProto, weights: Weights) -> int:
    """The number of bytes that the model has with all of its weights inside."""
    size: int = model.ByteSize()
    if not weights:
        return size
    return size + sum(source.length for tensor in external_tensors(model) if (source := source_of(tensor, weights)))


def used(model: ModelProto, weights: Weights) -> Weights:
    """The part of the table that the model refers to."""
    if not weights:
        return {}
    keys = {entry.value for tensor in external_tensors(model) for entry in tensor.external_data}
    keys.update(named(model, weights))
    return {key: weights[key] for key in sorted(keys)}

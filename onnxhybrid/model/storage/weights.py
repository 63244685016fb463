"""Weights by reference: a skeleton's large tensors name a source, and a table says where each source lies.

In a skeleton such a tensor is EXTERNAL with a single `location` entry, the key of its source. Keys are unique to what
they stand for, so the tables of several models can be united.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, numpy_helper

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import all_tensors
from onnxhybrid.model.storage.wire import SPAN

_CHUNK = 4 << 20


class Source(Protocol):
    """Where the bytes of a tensor are."""

    @property
    def key(self) -> str:
        """A name that no other source has."""

    @property
    def length(self) -> int:
        """The number of bytes."""

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes, piece by piece.

        Raises:
            ModelError: OH107, they cannot be read.
        """

    def mapped(self) -> npt.NDArray[np.uint8]:
        """The bytes as an array, without reading them where the system can map them.

        Raises:
            ModelError: OH107, they cannot be read.
        """


Weights = Mapping[str, Source]


@dataclass(frozen=True)
class InMemory:
    """A span of a bytes object that somebody gave us."""

    buffer: bytes
    offset: int
    length: int

    @classmethod
    def of(cls, buffer: bytes, offset: int, length: int) -> InMemory:
        """The span of `buffer`.

        Raises:
            ValueError: it does not lie inside the buffer.
        """
        if offset < 0 or length < 0 or offset + length > len(buffer):
            raise ValueError("the span lies outside of the buffer")
        return cls(buffer, offset, length)

    @property
    def key(self) -> str:
        """The identity of the buffer, which this source keeps alive, and the span."""
        return f"memory:{id(self.buffer)}:{self.offset}:{self.length}"

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The span, in one piece."""
        yield memoryview(self.buffer)[self.offset : self.offset + self.length]

    def mapped(self) -> npt.NDArray[np.uint8]:
        """A view of the span."""
        return np.frombuffer(self.buffer, np.uint8, self.length, self.offset)


@dataclass(frozen=True)
class InFile:
    """A span of a file, as the file was when the model was loaded."""

    path: str
    offset: int
    length: int
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path, offset: int, length: int | None) -> InFile:
        """The span of the file at `path`; a length of None means up to the file's end.

        Raises:
            ModelError: OH107, the file is missing or too short.
        """
        stamp = _stamp(path)
        if length is None:
            length = stamp[0] - offset
        if offset < 0 or length < 0 or offset + length > stamp[0]:
            raise ModelError("OH107", f"{path} has {stamp[0]} bytes; weights are said to lie at {offset}+{length}")
        return cls(str(path), offset, length, stamp)

    @property
    def key(self) -> str:
        """The file, its state and the span."""
        return f"file:{self.stamp[1]}:{self.offset}:{self.length}:{self.path}"

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The span, in pieces of a few MiB."""
        with self._opened() as file:
            file.seek(self.offset)
            left = self.length
            while left:
                piece = file.read(min(left, _CHUNK))
                if not piece:
                    raise ModelError("OH107", f"{self.path} became shorter while it was read")
                left -= len(piece)
                yield piece
            self._check(file)

    def mapped(self) -> npt.NDArray[np.uint8]:
        """A read-only map of the span."""
        with self._opened() as file:
            if not self.length:
                return np.empty(0, np.uint8)
            return np.memmap(file, np.uint8, "r", self.offset, (self.length,))

    def require_unchanged(self) -> None:
        """Check that the file is as it was.

        Raises:
            ModelError: OH107, it is not.
        """
        with self._opened():
            pass

    def _opened(self) -> BinaryIO:
        try:
            file = open(self.path, "rb")  # noqa: SIM115  # the caller closes it
        except OSError as problem:
            raise ModelError("OH107", f"{self.path} cannot be read: {problem.strerror}") from None
        try:
            self._check(file)
        except ModelError:
            file.close()
            raise
        return file

    def _check(self, file: BinaryIO) -> None:
        if _stamp_of(os.fstat(file.fileno())) != self.stamp:
            raise ModelError("OH107", f"{self.path} was changed after the model was loaded; load it again")


def _stamp(path: Path) -> tuple[int, int]:
    try:
        return _stamp_of(path.stat())
    except OSError as problem:
        raise ModelError("OH107", f"weights file {path} cannot be read: {problem.strerror}") from None


def _stamp_of(status: os.stat_result) -> tuple[int, int]:
    """What tells a changed file: its size in bytes and its time of modification in ns."""
    return status.st_size, status.st_mtime_ns


def reference(tensor: TensorProto, source: Source) -> None:
    """Make `tensor` name `source` as the place of its data."""
    tensor.ClearField("raw_data")
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
    """The source of a tensor's data; None when the tensor holds its data itself."""
    if tensor.data_location != TensorProto.EXTERNAL:
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
    return bool(first.tolist() == second.tolist() if first.dtype == object else first.tobytes() == second.tobytes())


def _values(tensor: TensorProto, weights: Weights) -> npt.NDArray[Any]:
    whole = TensorProto()
    whole.CopyFrom(tensor)
    materialize(whole, weights)
    return numpy_helper.to_array(whole)


def detached(tensor: TensorProto) -> TensorProto:
    """The tensor without its reference: name, type, shape and metadata stay."""
    tensor.ClearField("data_location")
    tensor.ClearField("external_data")
    return tensor


def size_of(model: ModelProto, weights: Weights) -> int:
    """The number of bytes that the model has with all of its weights inside."""
    size: int = model.ByteSize()
    if not weights:
        return size
    return size + sum(source.length for tensor in all_tensors(model) if (source := source_of(tensor, weights)))


def used(model: ModelProto, weights: Weights) -> Weights:
    """The part of the table that the model refers to."""
    if not weights:
        return {}
    keys = {t.external_data[0].value for t in all_tensors(model) if t.data_location == TensorProto.EXTERNAL}
    return {key: weights[key] for key in sorted(keys)}


def resolve(model: ModelProto, *, itself: Path | bytes, folder: Path | None) -> Weights:
    """Turn every EXTERNAL tensor of a freshly read skeleton into a reference, and return the table.

    Args:
        model: the skeleton; its tensors are changed in place.
        itself: the file or bytes that it was read from, for spans of its own.
        folder: where its external data lies; None when it has no folder.

    Raises:
        ModelError: OH107, external data is missing, too short, or outside of the folder.
    """
    sources: dict[str, Source] = {}
    for tensor in all_tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            source = _source(tensor, itself, folder)
            sources[source.key] = source
            reference(tensor, source)
    return sources


def _source(tensor: TensorProto, itself: Path | bytes, folder: Path | None) -> Source:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        if SPAN in entries:
            offset, length = (int(number) for number in entries[SPAN].split(","))
            if isinstance(itself, bytes):
                return InMemory.of(itself, offset, length)
            return InFile.of(itself, offset, length)
        size = int(entries["length"]) if "length" in entries else None
        return InFile.of(_external_file(entries.get("location", ""), folder), int(entries.get("offset", "0")), size)
    except ValueError:
        raise ModelError("OH107", f"the external data of {tensor.name!r} has no valid offset or length") from None


def _external_file(location: str, folder: Path | None) -> Path:
    """The file of external data; it has to lie in the model's folder, as ONNX Runtime demands too."""
    if folder is None:
        raise ModelError("OH107", f"external data {location!r} has no folder here; use oh.load(path) for such a model")
    path = Path(os.path.normpath(folder / location))
    if not location or Path(location).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError("OH107", f"external data at {location!r} lies outside of the model's folder {folder}")
    return path

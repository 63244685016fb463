"""Where the bytes of weights lie: in memory, in a file, or in a field that has to be decoded."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import ModelError

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
    """A span of a file, as the file was when the model was loaded.

    Attributes:
        path: the file.
        offset, length: the span, in bytes.
        stamp: what tells a changed file.
        tensor: the tensor whose data it is, where the file is another than the model itself; otherwise None.
        stray: whether that is named after neither the model nor the tensor whose data it is, the whole of it.
    """

    path: str
    offset: int
    length: int
    stamp: tuple[int, int]
    tensor: str | None = field(default=None, compare=False)
    stray: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, path: Path, offset: int, length: int, *, tensor: str | None = None) -> InFile:
        """The span of the file at `path`.

        Raises:
            ModelError: OH107, the file is missing or too short.
        """
        stamp = _stamp(path)
        if offset < 0 or length < 0 or offset + length > stamp[0]:
            raise ModelError("OH107", f"{path} has {stamp[0]} bytes; weights are said to lie at {offset}+{length}")
        return cls(str(path), offset, length, stamp, tensor)

    @property
    def is_whole(self) -> bool:
        """Whether the span is the whole file."""
        return (self.offset, self.length) == (0, self.stamp[0])

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
        status = path.stat()
    except (OSError, ValueError) as problem:
        reason = (problem.strerror if isinstance(problem, OSError) else None) or problem
        raise ModelError("OH107", f"{path} cannot be read: {reason}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelError("OH107", f"{path} is no regular file, and weights are read from nothing else")
    return _stamp_of(status)


def _stamp_of(status: os.stat_result) -> tuple[int, int]:
    """What tells a changed file: its size in bytes and its time of modification in ns."""
    return status.st_size, status.st_mtime_ns

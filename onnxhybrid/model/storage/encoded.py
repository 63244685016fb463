"""Weights in the fields that protobuf encodes number by number (int32_data, int64_data, uint64_data).

Source: https://protobuf.dev/programming-guides/encoding/ and the comments on these fields in onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import ModelError
from onnxhybrid.model.dtypes import byte_count
from onnxhybrid.model.storage.sources import Source

_PIECE = 1 << 18  # bytes decoded at once: what numpy needs meanwhile is 40 times as much
_LONGEST = 10  # bytes of one number


@dataclass(frozen=True)
class Encoded:
    """What the numbers of a span are as raw_data: each in as many bytes as the element type takes.

    Attributes:
        span: the encoded numbers.
        width: the bytes of one of them, decoded: 1, 2, 4 or 8.
        length: the bytes of all.
    """

    span: Source
    width: int
    length: int

    @classmethod
    def of(cls, span: Source, data_type: int, length: int) -> Encoded:
        """The numbers of a tensor of this element type, which takes `length` bytes.

        Raises:
            ValueError: the span is too short to hold so many.
        """
        width = byte_count(data_type, [1]) or 1
        if length // width > span.length:
            raise ValueError("it holds fewer numbers than its shape has")
        return cls(span, width, length)

    @property
    def key(self) -> str:
        """The span and how it is read."""
        return f"numbers:{self.width}:{self.length}:{self.span.key}"

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The numbers as raw_data holds them, piece by piece.

        Raises:
            ModelError: OH107, they cannot be read, or are not as many as the shape has.
        """
        rest, left = b"", self.length
        for chunk in self.span.chunks():
            for start in range(0, len(chunk), _PIECE):
                piece = np.frombuffer(rest + bytes(chunk[start : start + _PIECE]), np.uint8)
                numbers, read = _decoded(piece)
                rest = piece[read:].tobytes()
                data = numbers.astype(f"<u{self.width}").tobytes()
                left -= len(data)
                if left < 0 or len(rest) >= _LONGEST:
                    raise _damaged()
                yield data
        if left or rest:
            raise _damaged()

    def mapped(self) -> npt.NDArray[np.uint8]:
        """The numbers as raw_data holds them.

        Raises:
            ModelError: OH107, they cannot be read, or are not as many as the shape has.
        """
        return np.frombuffer(b"".join(self.chunks()), np.uint8)


def _decoded(data: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint64], int]:
    """The numbers that end inside of the bytes, and how many bytes they take."""
    ends = np.flatnonzero(data < 0x80)
    if not len(ends):
        return np.empty(0, np.uint64), 0
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    numbers = np.zeros(len(ends), np.uint64)
    longest = int(lengths.max())
    if longest > _LONGEST:
        raise _damaged()
    for place in range(longest):
        longer = np.flatnonzero(lengths > place)
        bits = (data[starts[longer] + place] & 0x7F).astype(np.uint64)
        numbers[longer] |= bits << np.uint64(7 * place)
    return numbers, int(ends[-1]) + 1


def _damaged() -> ModelError:
    return ModelError("OH107", "a tensor's numbers are damaged, or not as many as its shape has")

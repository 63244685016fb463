"""Whether the batch of a remote call can be cut into slices, each a request of its own.

The library has the same rules (`native/src/protocol/cutting.rs`), which decide when a session opens.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from onnxhybrid.library import protocols
from onnxhybrid.model.tensor_spec import Shape

Named = tuple[str, Shape | None]
"""A tensor's name on the wire, and its declared shape; None where its rank is unknown."""


@dataclass(frozen=True)
class Slices:
    """What one request of a batch holds at most, as a node's attributes say it.

    Attributes:
        rows: the rows; 0 for any number.
        bytes: the bytes of its tensors, as long as it has more than one row; 0 for any number.
    """

    rows: int
    bytes: int

    def attributes(self) -> dict[str, int]:
        """These as attributes of a node."""
        return {BATCH: self.rows, BATCH_BYTES: self.bytes}


BATCH = "batch"
"""The attribute that bounds the rows of a request."""

BATCH_BYTES = "batch_bytes"
"""The attribute that bounds the bytes of a request's tensors."""

INDEPENDENT = Slices(1024, 4_000_000)
"""Where rows are known to be independent. Many gRPC servers refuse messages above 4 MiB, tensors and what is beside."""


def cut_problem(
    protocol: str, slices: Slices, inputs: Sequence[Named], outputs: Iterable[Named], whole: Collection[str] = ()
) -> str | None:
    """Why a batch cannot be cut into slices; None where it can, and where these bound nothing.

    Tensors that are `whole` have no rows, whatever their shape.
    """
    form = protocols()[protocol]["batch"]
    if slices == Slices(0, 0) or form == "row":
        return None
    told = f"batch is {slices.rows}" if slices.rows else f"batch_bytes is {slices.bytes}"
    if form == "whole":
        return f"{told}, and what {protocol} sends has no rows: leave it out"
    leading = _rows(inputs, whole)
    if leading == ():
        return f"{told}, and no input has a first size that is left open, as in ('n', 64)"
    other = next((name for name, shape in outputs if name in whole or not _shares_rows(shape, leading)), None)
    if other is not None:
        return f"{told}, and by its declared first size the rows of output {other!r} are not those of the inputs"
    return None


def with_rows(inputs: Sequence[Named], whole: Collection[str] = ()) -> list[bool]:
    """Which inputs are cut where a batch is."""
    leading = _rows(inputs, whole)
    return [leading != () and name not in whole and _shares_rows(shape, leading) for name, shape in inputs]


def _rows(inputs: Sequence[Named], whole: Collection[str]) -> Shape | None:
    """The shape of the first input with rows; that of a scalar where there is none."""
    return next((shape for name, shape in inputs if name not in whole and _shares_rows(shape, shape)), ())


def listed(names: Sequence[str], shapes: object) -> list[Named]:
    """The tensors of a node: its names, with what its attribute `input_shapes` or `output_shapes` holds, JSON text."""
    try:
        read = json.loads(shapes) if isinstance(shapes, bytes) and shapes else None
    except (ValueError, RecursionError):  # a stranger's text may be deep
        read = None
    given = read if isinstance(read, list) and len(read) == len(names) else [None] * len(names)
    return [(name, tuple(shape) if isinstance(shape, list) else None) for name, shape in zip(names, given, strict=True)]


def is_fixed(shape: Shape | None) -> bool:
    """Whether the first size of a declared shape is a number."""
    return isinstance(_leading(shape), int)


def _shares_rows(shape: Shape | None, other: Shape | None) -> bool:
    """Whether the first sizes of two shapes may count the same rows: neither is fixed, and two names are the same."""
    first, second = _leading(shape), _leading(other)
    if isinstance(first, int) or isinstance(second, int):
        return False
    return first is None or second is None or first == second


def _leading(shape: Shape | None) -> int | str | None:
    """The first size; that of a scalar is fixed, as it were."""
    if shape is None:
        return None
    return shape[0] if shape else 1

"""Whether the batch of a remote call can be cut into slices, each a request of its own.

The library has the same rules (`native/src/protocol/cutting.rs`), which decide when a session opens.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

from onnxhybrid.library import protocols
from onnxhybrid.model.tensor_spec import Shape

Named = tuple[str, Shape | None]
"""A tensor's name on the wire, and its declared shape; None where its rank is unknown."""


def cut_problem(
    protocol: str, batch: int, inputs: Sequence[Named], outputs: Iterable[Named], whole: Collection[str] = ()
) -> str | None:
    """Why a batch cannot be cut into slices of `batch` rows; None where it can, and where 0 says that it is not.

    Tensors that are `whole` have no rows, whatever their shape.
    """
    form = protocols()[protocol]["batch"]
    if not batch or form == "row":
        return None
    if form == "whole":
        return f"batch is {batch}, and what {protocol} sends has no rows"
    leading = next((shape for name, shape in inputs if name not in whole and _shares_rows(shape, shape)), ())
    if leading == ():
        return f"batch is {batch}, and no input has a first size that is left open, as in ('n', 64)"
    other = next((name for name, shape in outputs if name in whole or not _shares_rows(shape, leading)), None)
    if other is not None:
        return (
            f"batch is {batch}, and by its declared first size the rows of output {other!r} are not those of the inputs"
        )
    return None


def listed(names: Sequence[str], shapes: object) -> list[Named]:
    """The tensors of a node: its names, with what its attribute `input_shapes` or `output_shapes` holds, JSON text."""
    try:
        read = json.loads(shapes) if isinstance(shapes, bytes) and shapes else None
    except (ValueError, RecursionError):  # a stranger's text may be deep
        read = None
    given = read if isinstance(read, list) and len(read) == len(names) else [None] * len(names)
    return [(name, tuple(shape) if isinstance(shape, list) else None) for name, shape in zip(names, given, strict=True)]


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

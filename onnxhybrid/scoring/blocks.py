"""Rows that were read together, as the arrays that calls are fed, and the columns that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from onnxhybrid.scoring.columns import Place, values_of
from onnxhybrid.scoring.plan import Plan

Array = npt.NDArray[Any]
Feeds = dict[str, Array]


@dataclass(frozen=True)
class Block:
    """Some rows of a piece.

    Attributes:
        places: the place of each row in its piece.
        kept: the key and the columns that are kept.
        inputs: input -> its values: an array with a row along axis 0, or an array for each row.
        constants: inputs that are the same for all rows.
        size: about how many bytes it has.
    """

    places: npt.NDArray[np.int64]
    kept: pa.RecordBatch
    inputs: Mapping[str, Array | list[Array]]
    constants: Mapping[str, Array]
    size: int = 0

    def feeds(self, start: int, stop: int) -> Feeds:
        """What the call of these rows is fed."""
        found = {
            name: values[start] if isinstance(values, list) else values[start:stop]
            for name, values in self.inputs.items()
        }
        return {**self.constants, **found}


def block_of(plan: Plan, batch: pa.RecordBatch, place: Place, start: int) -> Block:
    """The block of rows as they were read.

    Args:
        plan: what is scored.
        batch: its rows, with the columns of the plan's schema.
        place: where they come from, for messages.
        start: the place of the first one in its piece.

    Raises:
        Error: OH642, a value does not fit its input.
    """
    inputs = {feed.spec.name: values_of(batch.column(feed.column), feed, place) for feed in plan.feeds}
    names = [*([plan.key] if plan.key else []), *plan.keep]
    return Block(
        np.arange(start, start + batch.num_rows), batch.select(names), inputs, plan.constants, _size(batch, inputs)
    )


def _size(batch: pa.RecordBatch, inputs: Mapping[str, Array | list[Array]]) -> int:
    arrays = [array for values in inputs.values() for array in (values if isinstance(values, list) else [values])]
    return max(int(batch.nbytes), sum(array.nbytes for array in arrays))


def some(block: Block, chosen: Sequence[int] | npt.NDArray[np.int64]) -> Block:
    """The block of some of its rows."""
    inputs = {
        name: [values[at] for at in chosen] if isinstance(values, list) else values[np.asarray(chosen)]
        for name, values in block.inputs.items()
    }
    kept = block.kept.take(pa.array(chosen, pa.int64())) if block.kept.num_columns else block.kept
    return Block(block.places[np.asarray(chosen)], kept, inputs, block.constants)


def cut(block: Block, rows: int) -> Iterator[Block]:
    """The slices of a block, of so many rows each."""
    for start in range(0, len(block.places), rows):
        part = slice(start, start + rows)
        inputs = {name: values[part] for name, values in block.inputs.items()}
        kept = block.kept.slice(start, rows) if block.kept.num_columns else block.kept
        yield Block(block.places[part], kept, inputs, block.constants)

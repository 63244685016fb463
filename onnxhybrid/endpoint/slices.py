"""Large batches run in slices, one after the other, where each row of an answer is of one row of the request alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.tensors import Array
from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.batching import INDEPENDENT, Slices, cut_problem, with_rows
from onnxhybrid.model.row_wise import is_row_wise

_PROTOCOL = "triton.http"
"""One of which each request can be cut: what the others serve has its form."""

Batch = int | Mapping[str, int] | None
"""Rows of one run: of all models, or by their names; 0 for any number, None where nobody says."""

Feeds = Mapping[str, Array]
Run = Callable[[dict[str, Array]], dict[str, Array]]


@dataclass(frozen=True)
class Cutting:
    """How a model's requests are cut.

    Attributes:
        rows: the inputs that have rows.
        slices: what one run is given at most.
    """

    rows: tuple[str, ...]
    slices: Slices

    @classmethod
    def of(cls, name: str, model: Model, batch: int | None, *, meant: bool) -> Cutting | None:
        """How the requests for a model are cut; None where they are not.

        Args:
            name: what it is called.
            model: the model.
            batch: rows of one run; 0 for all. None cuts a model whose operators are known to look at one row at a time.
            meant: whether `batch` was given for this very model.

        Raises:
            Error: OH552, it was, and the model has no rows.
        """
        if batch == 0:
            return None
        slices = INDEPENDENT if batch is None else Slices(batch, 0)
        inputs, outputs = ([(spec.name, spec.shape) for spec in side] for side in (model.inputs, model.outputs))
        if problem := cut_problem(_PROTOCOL, slices, inputs, outputs):
            if meant:
                raise Error("OH552", f"model {name!r} cannot be run in slices: {problem}")
            return None
        rows = tuple(spec for (spec, _), has_rows in zip(inputs, with_rows(inputs), strict=True) if has_rows)
        known = batch is not None or is_row_wise(model.skeleton, rows)
        return cls(rows, slices) if known else None

    def each(self, feeds: Feeds) -> int | None:
        """Rows of one run of these inputs; None where they are run as they came."""
        counts = {feeds[name].shape[0] if name in feeds else None for name in self.rows}
        count = next(iter(counts))
        if len(counts) > 1 or count is None or count < 2:
            return None
        fitting = self.slices.rows or count
        if self.slices.bytes and (taken := sum(_size(feeds[name]) for name in self.rows)):
            fitting = min(fitting, max(1, self.slices.bytes * count // taken))
        return fitting if fitting < count else None

    def run(self, run: Run, feeds: Feeds, each: int) -> dict[str, Array]:
        """What runs of `each` rows give together.

        Raises:
            RequestError: status 500, one of them gave other rows than it was given; or as `run` does.
        """
        count, outputs = feeds[self.rows[0]].shape[0], dict[str, Array]()
        for first in range(0, count, each):
            rows = slice(first, min(first + each, count))
            given = {name: array[rows] if name in self.rows else array for name, array in feeds.items()}
            for name, part in run(given).items():
                if first == 0:
                    outputs[name] = np.empty((count, *part.shape[1:]), part.dtype)
                if part.shape != (rows.stop - rows.start, *outputs[name].shape[1:]):
                    raise RequestError(
                        f"the endpoint runs the model in slices of {each} rows, and its output {name!r} has the shape "
                        f"{list(part.shape)} for {rows.stop - rows.start} of them: it needs batch=0 there",
                        500,
                    )
                outputs[name][rows] = part
        return outputs


def batch_of(batch: Batch, name: str) -> tuple[int | None, bool]:
    """What `batch` says of a model, and whether it names it."""
    if isinstance(batch, Mapping):
        return batch.get(name), name in batch
    return batch, False


def _size(array: Array) -> int:
    """About the bytes of an input; those of texts as their characters."""
    return array.nbytes if array.dtype != object else array.nbytes + sum(map(len, array.ravel()))

"""Tables that are scored, and what comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

import onnxhybrid as oh
from tests import cascades

Array = npt.NDArray[Any]


def lists(array: Array) -> pa.Array:
    """An array as a column of fixed-size lists, one for each further axis."""
    column = pa.array(array.reshape(-1))
    for size in reversed(array.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    return column


def rows(count: int, seed: int = 0) -> Array:
    """The rows of the cascade of tests/cascades.py, all different; half of them are sent."""
    random = np.random.default_rng(seed)
    return cascades.table(np.arange(count), random.random(count), np.arange(count) + 1000)


def table(x: Array) -> pa.Table:
    """Rows with a key."""
    return pa.table({"id": np.arange(len(x)), "x": lists(x)})


def written(folder: Path, x: Array, *, group: int = 100_000) -> Path:
    """A file of Parquet with such rows."""
    folder.mkdir(exist_ok=True)
    pq.write_table(table(x), folder / "rows.parquet", row_group_size=group)
    return folder / "rows.parquet"


def labels(x: Array, threshold: float = 0.5) -> list[int]:
    """What the cascade answers."""
    return [int(label) for label in np.where(x[:, 1] >= np.float32(threshold), x[:, 0], x[:, 2])]


def sent(x: Array, threshold: float = 0.5) -> int:
    """How many rows the cascade sends."""
    return int((x[:, 1] < np.float32(threshold)).sum())


def score(model: oh.Model | str | Path, source: Any, target: Path, **options: Any) -> Any:
    """Score in silence."""
    return oh.score(model, source, target, **{"progress": False, "key": "id", "batch": 16, "patience": 0, **options})


def results(target: Path) -> pa.Table:
    """What a target holds, as others read it."""
    return pq.read_table(target)


def failed(target: Path) -> list[dict[str, Any]]:
    """The rows that failed."""
    folder = target / "_failed"
    found: list[dict[str, Any]] = pq.read_table(folder).to_pylist() if any(folder.glob("*.parquet")) else []
    return found

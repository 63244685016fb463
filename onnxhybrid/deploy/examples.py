"""Example values for a model's inputs, for requests that a reader can try."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import numpy_dtype

_MOST_SIZES, _MOST_VALUES = 32, 1 << 20


def example(spec: TensorSpec) -> Any:
    """Nested lists that fit a description: ones and true, texts that say so; sizes that vary are 1.

    What would be very large is an empty list.
    """
    declared = (None,) if spec.shape is None else spec.shape
    shape = tuple(size if isinstance(size, int) and size >= 0 else 1 for size in declared)
    if len(shape) > _MOST_SIZES or math.prod(shape) > _MOST_VALUES:
        return []  # nobody reads so much, and no numbers of a file say how much memory is taken
    if spec.dtype == "str":
        return np.full(shape, "text", object).tolist()
    return np.ones(shape).astype(numpy_dtype(spec.dtype)).astype(_plain(spec.dtype)).tolist()


def _plain(dtype: str) -> type:
    """The Python type of the values in JSON."""
    if dtype == "bool":
        return bool
    return int if "int" in dtype else float

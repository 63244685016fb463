"""Random values for an input, to try a model without data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.feeds.fitting import fits
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import is_container, numpy_dtype

_MOST = 1 << 31


def drawn(spec: TensorSpec, sizes: Sequence[int] | None, generator: np.random.Generator) -> npt.NDArray[Any]:
    """Random values for an input: floats from 0 to 1, whole numbers and bools 0 or 1, texts of eight letters.

    Args:
        spec: the input.
        sizes: all of its sizes; None where it leaves none open.
        generator: where they come from.

    Raises:
        Error: OH702, a size is open or another, the values would take more than 2 GiB, or the type has none.
    """
    if sizes is None:
        if spec.shape is None or not all(isinstance(size, int) for size in spec.shape):
            raise Error("OH702", f"{spec} leaves sizes open: write them, as in {spec.name}={_like(spec)}")
        sizes = [int(size) for size in spec.shape]  # type: ignore[arg-type]
    if spec.shape is not None and not fits(sizes, spec.shape):
        raise Error("OH702", f"sizes {','.join(map(str, sizes))} are given for {spec}")
    if is_container(spec.dtype):
        raise Error("OH702", f"{spec} is no tensor, and has no random values")
    if (count := math.prod(sizes)) > _MOST:
        raise Error("OH702", f"sizes {','.join(map(str, sizes))} are {count} values, more than memory is for")
    if spec.dtype == "str":
        letters = generator.integers(97, 123, (count, 8), np.uint8)
        return np.array([bytes(row).decode() for row in letters], object).reshape(sizes)
    if "int" in spec.dtype or spec.dtype == "bool":
        return generator.integers(0, 2, sizes).astype(numpy_dtype(spec.dtype))
    if "complex" in spec.dtype:
        raise Error("OH702", f"there are no random values for {spec}")
    return generator.random(sizes, np.float32).astype(numpy_dtype(spec.dtype))


def _like(spec: TensorSpec) -> str:
    return "1,64" if spec.shape is None else ",".join(str(s) if isinstance(s, int) else "1" for s in spec.shape)

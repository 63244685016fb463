"""Brings an array into the element type and sizes of an input, where nothing of it is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import is_container, numpy_dtype

Array = npt.NDArray[Any]


def fitted(array: Array, spec: TensorSpec, source: str) -> Array:
    """The array with the input's element type; a single number where the input takes one in an axis.

    Args:
        array: what is to be fed.
        spec: the input.
        source: where it comes from, for messages.

    Raises:
        Error: OH702, the element type cannot hold its values, or the sizes differ.
    """
    if is_container(spec.dtype):
        raise Error("OH702", f"{spec} is no tensor, and cannot be fed from a file")
    shape = spec.shape
    if array.ndim == 0 and shape is not None and all(size in (1, None) or isinstance(size, str) for size in shape):
        array = array.reshape((1,) * len(shape))
    held = _texts(array, spec, source) if spec.dtype == "str" else _numbers(array, spec, source)
    if shape is not None and not fits(held.shape, shape):
        sizes = ", ".join(map(str, held.shape))
        raise Error("OH702", f"{source} has the sizes [{sizes}], and the input is {spec}")
    return held


def fits(sizes: Sequence[int], shape: Sequence[Any]) -> bool:
    """Whether sizes are those of a shape, whose names and None stand for any."""
    return len(sizes) == len(shape) and all(
        not isinstance(wanted, int) or wanted == size for size, wanted in zip(sizes, shape, strict=True)
    )


def _texts(array: Array, spec: TensorSpec, source: str) -> Array:
    if array.dtype.kind not in "OUT":
        raise Error("OH702", f"{source} holds {array.dtype.name}, and the input is {spec}")
    return array.astype(object)


def _numbers(array: Array, spec: TensorSpec, source: str) -> Array:
    wanted = numpy_dtype(spec.dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in "biufcV" or (array.dtype.kind == "b") != (wanted.kind == "b"):
        raise Error("OH702", f"{source} holds {_named(array)}, and the input is {spec}")
    with np.errstate(all="ignore"):
        held = array.astype(wanted)
        if wanted.kind in "iu":
            lost = held.astype(array.dtype) != array
        else:
            lost = np.isfinite(array.astype(np.float64)) & ~np.isfinite(held.astype(np.float64))
    if np.any(lost):
        example = array[lost].ravel()[0]
        raise Error("OH702", f"{source} holds {example}, which {spec.dtype} cannot hold; the input is {spec}")
    return held


def _named(array: Array) -> str:
    return "texts" if array.dtype.kind in "OUST" else str(array.dtype.name)

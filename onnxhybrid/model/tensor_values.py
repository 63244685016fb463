"""The values of a tensor as an array, as far as it has any."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from onnx import TensorProto, numpy_helper


def array_of(tensor: TensorProto) -> npt.NDArray[Any] | None:
    """The values of a tensor that holds its data; None where they do not fit its type and shape."""
    try:
        return numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError, MemoryError):
        return None

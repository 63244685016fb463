"""Runs sessions with tensors that numpy has no dtype for (bfloat16, float8), which have to pass as OrtValues."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from onnxhybrid.errors import Error
from onnxhybrid.model.dtypes import elem_type, name_of, numpy_dtype

_PLAINLY = onnxruntime.InferenceSession
"""Whose methods are called, since a subclass may run through this module."""

_PLAIN = frozenset("?bBhHiIlLqQefdgFDGOSU")


def needs_values(arguments: Sequence[Any]) -> bool:
    """Whether any of a session's inputs or outputs (NodeArg) has a type that numpy itself lacks."""
    return any(argument.type.startswith(("tensor(bfloat16", "tensor(float8")) for argument in arguments)


def run(
    session: onnxruntime.InferenceSession,
    output_names: Sequence[str] | None,
    feeds: Mapping[str, Any],
    run_options: onnxruntime.RunOptions | None,
) -> list[Any]:
    """`InferenceSession.run`, with arrays of ml_dtypes' dtypes for the types that numpy lacks.

    Raises:
        Error: OH540, what is fed or asked for together cannot pass ONNX Runtime's Python API in one run.
    """
    names = output_names or [output.name for output in session.get_outputs()]
    wanted = [output for output in session.get_outputs() if output.name in names]
    if not needs_values(wanted):
        carried = {name: _carried(feed) for name, feed in feeds.items()}
        found: list[Any] = _PLAINLY.run(session, names, carried, run_options)
        return found
    for output in wanted:
        if not output.type.startswith("tensor("):
            raise Error(
                "OH540",
                f"ONNX Runtime's Python API cannot give {output.name!r}, {output.type}, together with bfloat16 or "
                f"float8 tensors; ask for it in a run of its own, as in run([{output.name!r}], feeds)",
            )
    values = {name: _value(feed) for name, feed in feeds.items()}
    return [_array(value) for value in _PLAINLY.run_with_ort_values(session, names, values, run_options)]


def to_value(array: npt.NDArray[Any]) -> onnxruntime.OrtValue:
    """An OrtValue on the memory of an array, which has to outlive it."""
    if _is_plain(array.dtype):
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    carrier = array.view(np.dtype(f"u{array.dtype.itemsize}"))
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(carrier, elem_type(array.dtype.name))


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether numpy itself has the dtype; those of ml_dtypes share some of its characters and kinds."""
    return dtype.char in _PLAIN and dtype.kind != "V"


def _carried(feed: Any) -> Any:
    """A feed as `InferenceSession.run` takes it."""
    return to_value(np.ascontiguousarray(feed)) if isinstance(feed, np.ndarray) and not _is_plain(feed.dtype) else feed


def _value(feed: Any) -> onnxruntime.OrtValue:
    if isinstance(feed, onnxruntime.OrtValue):
        return feed
    array = np.asarray(feed, order="C")
    if array.dtype.kind in "OUST":
        raise Error(
            "OH540",
            "ONNX Runtime's Python API cannot be fed strings together with bfloat16 or float8 tensors; cast those in "
            "the graph, and give a token as a credential in place of an input",
        )
    return to_value(array.astype(array.dtype.newbyteorder("="), copy=False))


def _array(value: onnxruntime.OrtValue) -> Any:
    dtype = numpy_dtype(name_of(value.element_type()))
    if _is_plain(dtype):
        return value.numpy()
    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(bytearray(raw), dtype).reshape(value.shape())

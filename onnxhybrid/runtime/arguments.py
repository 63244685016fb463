"""What a run is given: checked for what ONNX Runtime's own errors would not explain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi._pybind_state import OrtValueVector

from onnxhybrid.errors import Error

_OTHERS = {"float": "float32", "double": "float64", "string": "str"}
"""What ONNX Runtime calls otherwise than a TensorSpec."""


def check_arguments(output_names: object, feeds: object, run_options: object) -> None:
    """Check the kinds of a run's arguments.

    Raises:
        Error: OH540, one of them is of another kind.
    """
    if type(feeds) is not dict and not isinstance(feeds, Mapping):  # the check of an ABC takes longer than all others
        raise Error("OH540", f"feeds map inputs to arrays; they are a {type(feeds).__name__}")
    if output_names is not None and not isinstance(output_names, (list, tuple)):
        raise Error("OH540", f"output_names is a list of names, or None for all outputs; it is {output_names!r}")
    _check_options(run_options)


def check_binding(binding: object, run_options: object) -> None:
    """Check the kinds of the arguments of a run on what is bound.

    Raises:
        Error: OH540, one of them is of another kind.
    """
    if not isinstance(binding, onnxruntime.IOBinding):
        kind = type(binding).__name__
        raise Error("OH540", f"iobinding is what the session's io_binding() gives, not a {kind}")
    _check_options(run_options)


def check_vectors(run_options: object, feeds: object, fetches: object) -> None:
    """Check the kinds of the arguments of a run on vectors of OrtValues.

    Raises:
        Error: OH540, one of them is of another kind.
    """
    for name, vector in (("feeds", feeds), ("fetches", fetches)):
        if not isinstance(vector, OrtValueVector):
            kind = type(vector).__name__
            raise Error("OH540", f"{name} are an onnxruntime.capi._pybind_state.OrtValueVector, not a {kind}")
    _check_options(run_options)


def check_opening(sess_options: object, providers: object) -> None:
    """Check what a session is opened with.

    Raises:
        Error: OH540, an argument is of another kind. ONNX Runtime takes a text for a list of its letters.
    """
    if not isinstance(sess_options, onnxruntime.SessionOptions):
        raise Error("OH540", f"sess_options are onnxruntime.SessionOptions, not {type(sess_options).__name__}")
    if isinstance(providers, str):
        raise Error("OH540", f"providers is a list, such as [{providers!r}]")


def _check_options(run_options: object) -> None:
    if run_options is not None and not isinstance(run_options, onnxruntime.RunOptions):
        raise Error("OH540", f"run_options are onnxruntime.RunOptions, not {type(run_options).__name__}")


def odd_value(values: Mapping[str, object]) -> str | None:
    """What is wrong with the first value that is no OrtValue; None where there is none."""
    for name, value in values.items():
        if not isinstance(value, onnxruntime.OrtValue):
            kind = type(value).__name__
            return f"the feed of {name!r} is a {kind}; give onnxruntime.OrtValue.ortvalue_from_numpy(array)"
    return None


def odd_feed(feeds: Mapping[str, Any]) -> str | None:
    """What is wrong with the first feed that is no array and nothing like one; None where there is none.

    ONNX Runtime makes arrays of lists, and takes None for an optional input, so that this is asked after it refused.
    """
    for name, value in feeds.items():
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, bytearray, np.generic)):
            return _no_array(name, value)
    return None


def _no_array(name: str, value: object) -> str:
    held = isinstance(value, (bytes, bytearray))
    array = f"{_HELD}, or numpy.array([text]) for an input of texts" if held else "numpy.array([value], dtype)"
    return f"the feed of {name!r} is a {type(value).__name__}; give an array, such as {array}"


def absent(session: onnxruntime.InferenceSession, feeds: Mapping[str, Any]) -> str | None:
    """Which input that takes a tensor is fed None; None where there is none.

    ONNX Runtime takes None for any input, and a node then finds no tensor there.
    """
    for spec in session.get_inputs():
        if spec.type.startswith("tensor(") and feeds.get(spec.name, "") is None:
            return _no_array(spec.name, None)
    return None


def misfit(
    session: onnxruntime.InferenceSession, output_names: Sequence[str] | None, feeds: Mapping[str, Any]
) -> str | None:
    """Which name the model does not have, or which array is of another dtype than its input; None where all fit.

    ONNX Runtime's own errors name neither the input of a wrong dtype nor the names that there are.
    """
    inputs = {spec.name: spec.type for spec in (*session.get_inputs(), *session.get_overridable_initializers())}
    outputs = [spec.name for spec in session.get_outputs()]
    for name, value in feeds.items():
        if name not in inputs:
            return f"the model has no input {name!r}; it takes {_listed(inputs)}"
        given = _dtype(value.dtype) if isinstance(value, np.ndarray) else None
        wanted = _called(inputs[name])
        if given is not None and inputs[name].startswith("tensor(") and given != wanted:
            way = f"; of bytes it is {_HELD}" if (given, wanted) == ("str", "uint8") else ""
            if "str" not in (given, wanted) and hasattr(np, wanted):
                way = f"; give array.astype({wanted!r})"
            return f"the input {name!r} takes {wanted}, and the array holds {given}{way}"
    unknown = [name for name in output_names or () if name not in outputs]
    return f"the model has no output {unknown[0]!r}; it gives {_listed(outputs)}" if unknown else None


def _called(kind: str) -> str:
    """ONNX Runtime's type of a tensor, such as tensor(float), as a TensorSpec calls it."""
    called = kind.removeprefix("tensor(").removesuffix(")")
    return _OTHERS.get(called, called)


_HELD = "numpy.frombuffer(data, numpy.uint8)"
"""How bytes become a tensor."""


def _dtype(dtype: np.dtype[Any]) -> str | None:
    """A dtype of numpy's own as a TensorSpec calls it; None for others."""
    if dtype.kind in "OUS":
        return "str"
    return dtype.name if dtype.isbuiltin == 1 else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"

"""What a run is given: checked for what ONNX Runtime's own errors would not explain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from onnxhybrid.errors import Error


def check_arguments(output_names: object, feeds: object, run_options: object) -> None:
    """Check the kinds of a run's arguments.

    Raises:
        Error: OH540, one of them is of another kind.
    """
    if not isinstance(feeds, Mapping):
        raise Error("OH540", f"feeds map inputs to arrays; they are a {type(feeds).__name__}")
    if isinstance(output_names, str) or not isinstance(output_names, (list, tuple, type(None))):
        raise Error("OH540", f"output_names is a list of names, or None for all outputs; it is {output_names!r}")
    if run_options is not None and not isinstance(run_options, onnxruntime.RunOptions):
        raise Error("OH540", f"run_options are onnxruntime.RunOptions, not {type(run_options).__name__}")


def odd_feed(feeds: Mapping[str, Any]) -> str | None:
    """What is wrong with the first feed that is no array and nothing like one; None where there is none.

    ONNX Runtime makes arrays of lists, and takes None for an optional input, so that this is asked after it refused.
    """
    for name, value in feeds.items():
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
            array = "numpy.array([value], dtype)"
            return f"the feed of {name!r} is a {type(value).__name__}; give an array, such as {array}"
    return None

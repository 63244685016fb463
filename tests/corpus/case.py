"""A model of the corpus with inputs for it, run as ONNX Runtime alone would run it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, ValueInfoProto

from onnxhybrid.model.dtypes import type_name
from onnxhybrid.runtime.values import needs_values
from onnxhybrid.runtime.values import run as run_with_values

Values = dict[str, Any]
"""Tensors, sequences, maps and None by name"""


@dataclass(frozen=True)
class Case:
    """A model, and a value for each of its inputs."""

    name: str
    proto: ModelProto
    feeds: Values

    def expected(self) -> Values | None:
        """What the model gives; None if ONNX Runtime does not run it, or it gives something else each time."""
        try:
            once, twice = (run(self.proto, self.feeds) for _ in range(2))
        except Exception:  # noqa: BLE001  # the classes of onnxruntime's errors have no base of their own
            return None
        return once if same(once, twice) else None


def run(proto: ModelProto, feeds: Mapping[str, Any]) -> Values:
    """The outputs by name, from a session of onnxruntime on the CPU."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    known = {argument.name for argument in (*session.get_inputs(), *session.get_overridable_initializers())}
    # onnxruntime may compute in the memory of what it is fed
    given = {name: copy.deepcopy(feed) for name, feed in feeds.items() if name in known}
    exotic = needs_values([*session.get_inputs(), *session.get_outputs()])
    values = run_with_values(session, None, given, None) if exotic else session.run(None, given)
    return dict(zip([output.name for output in session.get_outputs()], values, strict=True))


def feedable_together(one: Case, other: Case) -> bool:
    """Whether onnxruntime's Python API takes both feeds in one run: types that numpy lacks go with tensors only."""
    feeds = [*one.feeds.values(), *other.feeds.values()]
    values = [value for case in (one, other) for value in (*case.proto.graph.input, *case.proto.graph.output)]
    exotic = any(map(_exotic, values))
    plain = all(isinstance(feed, np.ndarray) and feed.dtype.kind not in "OUS" for feed in feeds)
    return not exotic or (plain and all(value.type.HasField("tensor_type") for value in values))


def _exotic(value: ValueInfoProto) -> bool:
    return type_name(value.type).startswith(("bfloat16", "float8"))


def same(ours: object, theirs: object) -> bool:
    """Whether two values are the same: NaN equals NaN, and floats may differ by rounding."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, Sequence) and isinstance(theirs, Sequence) and not isinstance(ours, str):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            return False
        if ours.dtype.kind in "fc":
            return bool(
                np.allclose(ours, theirs, rtol=1e-4 if ours.dtype.itemsize > 2 else 1e-2, atol=1e-5, equal_nan=True)
            )
        return bool(np.array_equal(ours, theirs))
    return bool(ours == theirs) or (ours != ours and theirs != theirs)

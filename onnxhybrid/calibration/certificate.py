"""The certificate of a calibration, as the file carries it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from onnx import numpy_helper

from onnxhybrid.model import Model
from onnxhybrid.model.audits import agree
from onnxhybrid.model.certificate import CERTIFICATE
from onnxhybrid.model.editing import free_initializers, set_metadata
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.metadata import update


@dataclass(frozen=True)
class Certificate:
    """What was proven of a file's default threshold, on which rows, and of which parts.

    Attributes:
        loss: the promise: the expected share of rows that are kept, wrong, and right in the remote's answer is at most
            this much.
        confidence: with which probability, over the rows that were drawn to calibrate on.
        rows: how many these were.
        loss_high: the upper bound of that share which the rows give, over all rows.
        differ_high: the upper bound of the share of kept rows that the remote answers otherwise; 0 where none is kept.
        threshold: the default threshold.
        output: the output that was compared.
        data: a hash of the rows and labels, in their order.
        parts: a hash of each of `local`, `judge`, `remote` and `output`, which names do not enter.
    """

    loss: float
    confidence: float
    rows: int
    loss_high: float
    differ_high: float
    threshold: float
    output: str
    data: str
    parts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> str:
        """The metadata entry; a threshold that is no finite number is a text."""
        told = {**self.__dict__, "threshold": json_number(self.threshold), "parts": dict(self.parts)}
        return json.dumps(told)


def json_number(value: float | None) -> float | str | None:
    """A number as JSON has it; what JSON has no number for as the text that `float` reads."""
    return value if value is None or math.isfinite(value) else str(value)


def certified(hybrid: Model, threshold: str, value: np.generic, certificate: Certificate | None) -> Model:
    """The hybrid with this default of its threshold, and with the certificate in its metadata."""
    proto = copied(hybrid.skeleton)
    free_initializers(proto)
    shape = next(spec.shape for spec in hybrid.inputs if spec.name == threshold)
    array: Any = np.full(() if shape == () else (1,), value, value.dtype)
    kept = [tensor for tensor in proto.graph.initializer if tensor.name != threshold]
    replace(proto.graph.initializer, [*kept, numpy_helper.from_array(array, threshold)])
    replace(proto.metadata_props, [entry for entry in proto.metadata_props if entry.key != CERTIFICATE])
    if certificate is not None:
        set_metadata(proto, {CERTIFICATE: certificate.to_json()})
    update(proto)
    agree(proto)
    return Model(proto, hybrid.weights)

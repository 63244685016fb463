"""The metadata entry of a calibration's certificate: what keeps it, and what drops it.

A certificate speaks of one graph with one default threshold. Other names leave it true, and it follows them; all else
that changes a model drops it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from onnx import ModelProto

from onnxhybrid.model.json_object import json_object
from onnxhybrid.model.messages import replace

CERTIFICATE = "onnxhybrid.certificate"
"""The metadata entry: JSON, of which docs/calibration.md tells the keys."""


def drop_certificate(model: ModelProto) -> None:
    """Take the entry out, in place: the model is another than that of which it speaks."""
    if any(entry.key == CERTIFICATE for entry in model.metadata_props):
        replace(model.metadata_props, [entry for entry in model.metadata_props if entry.key != CERTIFICATE])


def rename_in_certificate(model: ModelProto, names: Mapping[str, str]) -> None:
    """Let the entry call the compared output as it is called now, in place."""
    for entry in model.metadata_props:
        told = parsed(entry.value) if entry.key == CERTIFICATE else None
        if told and told.get("output") in names:
            entry.value = json.dumps({**told, "output": names[told["output"]]})


def parsed(entry: str) -> dict[str, Any] | None:
    """What an entry holds; None where it is no JSON object, or its output no text."""
    told = json_object(entry)
    return told if told and isinstance(told.get("output"), str) else None

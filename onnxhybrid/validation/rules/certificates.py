"""The rule about the certificate of a calibration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxhybrid.compose.cascade.anatomy import anatomy
from onnxhybrid.compose.cascade.identity import identity
from onnxhybrid.diagnostics import Finding
from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.certificate import CERTIFICATE, parsed
from onnxhybrid.model.tensor_values import array_of
from onnxhybrid.validation.subject import Subject


def certified_truly(subject: Subject) -> Iterator[Finding]:
    """OH614: what a certificate speaks of is what the file holds."""
    if (entry := subject.model.metadata.get(CERTIFICATE)) is not None:
        told = parsed(entry)
        problems = _problems(subject.model, told) if told else ["it is no JSON object that names an output"]
        for problem in problems:
            yield Finding("OH614", problem, f"the metadata entry {CERTIFICATE!r}")


def _problems(model: Model, told: dict[str, Any]) -> Iterator[str]:
    try:
        cascade = anatomy(model, told["output"])
        parts = identity(model, told["output"], cascade)
    except Error as problem:
        yield f"it speaks of a calibrated cascade that answers {told['output']!r}: {problem.message}"
        return
    claimed = told.get("parts")
    claimed = claimed if isinstance(claimed, dict) else {}
    if others := [name for name, found in parts.items() if claimed.get(name) != found]:
        yield f"it speaks of another {others[0]} than the file has" + (f" (and {others[1:]})" if others[1:] else "")
    default = _default(model, cascade.threshold.name)
    if not _same(default, told.get("threshold")):
        shown = "none" if default is None else f"{default:.9g}"
        yield f"it proves the threshold {told.get('threshold')!r}, and the file's default is {shown}"


def _default(model: Model, name: str) -> float | None:
    tensor = next((each for each in model.skeleton.graph.initializer if each.name == name), None)
    array = None if tensor is None else array_of(tensor)
    return float(array.ravel()[0]) if array is not None and array.size == 1 else None


def _same(default: float | None, told: object) -> bool:
    try:
        value = float(told)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return default is not None and (default == value or bool(np.isnan(default) and np.isnan(value)))

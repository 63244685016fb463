"""The rule about the certificate of a calibration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxhybrid.compose.cascade.anatomy import anatomy
from onnxhybrid.compose.cascade.identity import identity
from onnxhybrid.diagnostics import Finding
from onnxhybrid.errors import Error
from onnxhybrid.model import Model, audits
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
    for node in audits.disagreeing(subject.model.skeleton):
        yield Finding(
            "OH614", "the audit watches for another promise than the certificate's", f"the node {node.name!r}"
        )


def _problems(model: Model, told: dict[str, Any]) -> Iterator[str]:
    if wrong := [f"{name!r} is {told.get(name)!r}" for name, fits in _FIT.items() if not fits(told.get(name))]:
        yield f"it says what no calibration does: {', '.join(wrong)}"
    elif told["loss_high"] > told["loss"] * (1 + 1e-6):  # both are rounded
        yield f"it promises a loss of {told['loss']!r}, and its rows prove {told['loss_high']!r}"
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


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_FIT = {"rows": _is_count} | dict.fromkeys(("loss", "confidence", "loss_high", "differ_high"), _is_share)
"""What the numbers of a certificate have to be."""


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

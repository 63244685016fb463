"""All that a page tells of, found by the functions that find it for everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxhybrid.calibration import Calibration
from onnxhybrid.diagnostics import Report
from onnxhybrid.disclosure import Egress, egress
from onnxhybrid.errors import Error
from onnxhybrid.inspection import Description, describe
from onnxhybrid.model import Model
from onnxhybrid.model.certificate import CERTIFICATE
from onnxhybrid.model.json_object import json_object
from onnxhybrid.reporting.pieces import Piece, pieces_of
from onnxhybrid.runtime import NodeStats
from onnxhybrid.runtime.statistics import Spending, Statistics
from onnxhybrid.validation import validate


@dataclass(frozen=True)
class Subject:
    """What a page is about.

    Attributes:
        model: the model.
        description: what it is made of.
        map: the tree of its parts.
        egress: what leaves the device.
        findings: of `validate`.
        certificate: the entry of its metadata; None where there is none.
        calibration: what was found on a user's rows; None where none is given.
        stats: of a run by node; None where none are given.
        spending: what that run spent; None where nothing is known of it.
    """

    model: Model
    description: Description
    map: Piece
    egress: Egress
    findings: Report
    certificate: dict[str, Any] | None
    calibration: Calibration | None
    stats: Mapping[str, NodeStats] | None
    spending: Spending | None


def subject_of(model: Model, calibration: Calibration | None, stats: Mapping[str, NodeStats] | None) -> Subject:
    """Look at a model from all sides. Nothing is sent, and no weight is read.

    Raises:
        Error: OH691, the calibration is none; OH692, the statistics are none, or of another model.
    """
    if calibration is not None and not isinstance(calibration, Calibration):
        raise Error("OH691", f"calibration= takes what oh.calibrate gives, not {type(calibration).__name__}")
    if stats is not None:
        _require_stats(model, stats)
    description = describe(model)
    return Subject(
        model=model,
        description=description,
        map=pieces_of(description),
        egress=egress(model),
        findings=validate(model),
        certificate=json_object(model.metadata.get(CERTIFICATE, "")),
        calibration=calibration,
        stats=stats,
        spending=stats.budget if isinstance(stats, Statistics) else None,
    )


def _require_stats(model: Model, stats: object) -> None:
    if not isinstance(stats, Mapping) or not all(isinstance(row, NodeStats) for row in stats.values()):
        raise Error("OH692", f"stats= takes what session.stats() gives, not {type(stats).__name__}")
    nodes = {call.node for call in model.remotes}
    if strange := sorted(str(name) for name in stats if name not in nodes):
        known = ", ".join(sorted(nodes)) or "no remote node"
        raise Error("OH692", f"stats= tells of {', '.join(map(repr, strange))}, and this model has {known}")

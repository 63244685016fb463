"""One ONNX file, part of it in the cloud: compose local ONNX models with remote ones into one ordinary .onnx file.

>>> import onnxhybrid as oh
>>> local = oh.load("small.onnx")
>>> remote = oh.remote.triton("http://127.0.0.1:8000", "digits")  # asks the server what the model takes and gives
>>> hybrid = oh.cascade(local, remote, accept=oh.judge.max_probability("probabilities") >= 0.8)
>>> hybrid.save("hybrid.onnx")
>>> oh.Session("hybrid.onnx").run(None, {"image": image})
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from onnxhybrid import model_operators

__version__ = "0.1.0"

if TYPE_CHECKING:
    from onnxhybrid import deploy as deploy
    from onnxhybrid import endpoint as endpoint
    from onnxhybrid import legacy as legacy
    from onnxhybrid import remote as remote
    from onnxhybrid import scoring as scoring
    from onnxhybrid.calibration.calibrate import calibrate
    from onnxhybrid.calibration.certificate import Certificate
    from onnxhybrid.calibration.fitting.fit import fit_judge
    from onnxhybrid.calibration.result import Calibration
    from onnxhybrid.compose import judge
    from onnxhybrid.compose.cascade.cascade import cascade
    from onnxhybrid.compose.chain import chain
    from onnxhybrid.compose.cut.offload import offload
    from onnxhybrid.compose.cut.splice import splice
    from onnxhybrid.compose.cut.split import split
    from onnxhybrid.compose.ensemble.ensemble import ensemble
    from onnxhybrid.compose.fallback.fallback import fallback
    from onnxhybrid.compose.overlap.overlap import overlap
    from onnxhybrid.compose.parallel import parallel
    from onnxhybrid.compose.route import route
    from onnxhybrid.compose.switch import switch
    from onnxhybrid.diagnostics import Report, explain
    from onnxhybrid.disclosure import egress
    from onnxhybrid.errors import (
        ComposeError,
        CredentialError,
        Error,
        ModelError,
        PolicyDenied,
        ProtocolError,
        RemoteError,
        RemoteRefused,
        RemoteStatusError,
        RemoteTimeout,
        ValidationError,
    )
    from onnxhybrid.library import library_path
    from onnxhybrid.model import Input, Model, RemoteSpec, TensorSpec, load
    from onnxhybrid.remote import Cache, Credential, Endpoint, Hedge
    from onnxhybrid.reporting.report import report
    from onnxhybrid.runtime import AuditStats, NodeStats, Policy, Secret, Session, register
    from onnxhybrid.scoring.score import score
    from onnxhybrid.validation import validate

__all__ = [
    "AuditStats",
    "Cache",
    "Calibration",
    "Certificate",
    "ComposeError",
    "Credential",
    "CredentialError",
    "Endpoint",
    "Error",
    "Hedge",
    "Input",
    "Model",
    "ModelError",
    "NodeStats",
    "Policy",
    "PolicyDenied",
    "ProtocolError",
    "RemoteError",
    "RemoteRefused",
    "RemoteSpec",
    "RemoteStatusError",
    "RemoteTimeout",
    "Report",
    "Secret",
    "Session",
    "TensorSpec",
    "ValidationError",
    "calibrate",
    "cascade",
    "chain",
    "deploy",
    "egress",
    "endpoint",
    "ensemble",
    "explain",
    "fallback",
    "fit_judge",
    "judge",
    "legacy",
    "library_path",
    "load",
    "offload",
    "overlap",
    "parallel",
    "register",
    "remote",
    "report",
    "route",
    "score",
    "scoring",
    "splice",
    "split",
    "switch",
    "validate",
]

_PACKAGES = ("deploy", "endpoint", "legacy", "remote", "scoring")
_HOMES = {
    "calibration": ("Calibration", "Certificate", "calibrate", "fit_judge"),
    "compose": (
        "cascade",
        "chain",
        "ensemble",
        "fallback",
        "judge",
        "offload",
        "overlap",
        "parallel",
        "route",
        "splice",
        "split",
        "switch",
    ),
    "diagnostics": ("Report", "explain"),
    "disclosure": ("egress",),
    "library": ("library_path",),
    "model": ("Input", "Model", "RemoteSpec", "TensorSpec", "load"),
    "remote": ("Cache", "Credential", "Endpoint", "Hedge"),
    "reporting": ("report",),
    "runtime": ("AuditStats", "NodeStats", "Policy", "Secret", "Session", "register"),
    "scoring": ("score",),
    "validation": ("validate",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import onnxhybrid` stays light."""
    if name in _PACKAGES:
        return importlib.import_module(f"onnxhybrid.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'onnxhybrid' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"onnxhybrid.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def _logic() -> Any:
    return importlib.import_module("onnxhybrid.compose.judge.logic")


model_operators.found_by(_logic)


def __dir__() -> list[str]:
    return [*globals(), *__all__]

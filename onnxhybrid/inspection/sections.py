"""Further sections of a description, one row each: the key in JSON, the title, and what is told of a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onnxhybrid.disclosure import egress
from onnxhybrid.model import Model
from onnxhybrid.model.certificate import CERTIFICATE
from onnxhybrid.model.json_object import json_object


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        name: its key in JSON.
        title: its title for people.
        document: what it tells of a model, as JSON has it; None for nothing.
        lines: what it tells people; no line for nothing.
    """

    name: str
    title: str
    document: Callable[[Model], Any]
    lines: Callable[[Model], list[str]]


def _certificate(model: Model) -> dict[str, Any] | None:
    return json_object(model.metadata.get(CERTIFICATE, ""))


def _certificate_lines(model: Model) -> list[str]:
    told = _certificate(model) or {}
    return [f"{key}: {value}" for key, value in told.items() if isinstance(value, (str, int, float))]


def _egress(model: Model) -> Any:
    """As `Egress.to_json` has it, without the values of a URL's query, in which a key may stand."""
    if not model.remotes:
        return None
    found = egress(model)
    told = json.loads(found.to_json())["outflows"]
    return [entry | {"endpoint": call.shown} for entry, call in zip(told, found, strict=True)]


def _egress_lines(model: Model) -> list[str]:
    return str(egress(model)).splitlines() if model.remotes else []


SECTIONS = (
    Section("certificate", "certificate", _certificate, _certificate_lines),
    Section("egress", "what decides on it", _egress, _egress_lines),
)

"""What the replicas of a deployment are told: data that can be sent to them, and holds no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxhybrid.scoring.plan import Portable


@dataclass(frozen=True)
class Settings:
    """See `deployment`.

    Attributes:
        model: what is served.
        name: under which name.
        batch: rows of one run, by which somebody says that rows are answered by themselves; None where nobody does.
        rows: rows of one run where that is known of the operators.
        wait: seconds that a request waits for others.
        replicas: how many replicas there are at most.
        broker: the name of the broker of limits; None where there are none to share.
        session: further arguments of `oh.Session`.
    """

    model: Portable
    name: str
    batch: int | None
    rows: int
    wait: float
    replicas: int
    broker: str | None
    session: Mapping[str, Any] = field(default_factory=dict)

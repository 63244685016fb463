"""`NodeStats`: what a remote node did in a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class NodeStats:
    """The calls of one remote node since the session began.

    Attributes:
        calls: how often the node ran.
        retries: how many requests were repeated.
        errors: how many calls failed, by code.
        bytes_out, bytes_in: the bytes of request and response bodies.
        p50, p90, p99: quantiles of a call's time in seconds; None before the first call.
        connections: how many connections this session opened to the node's origin; of several servers to all of them.
        cache_hits: how many rows, or calls without rows, were answered without being asked for (`oh.Cache`).
        endpoints: how many requests went to each URL, where an endpoint by name has several.
    """

    calls: int = 0
    retries: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    bytes_out: int = 0
    bytes_in: int = 0
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    connections: int = 0
    cache_hits: int = 0
    endpoints: Mapping[str, int] = field(default_factory=dict)


def parsed(table: Mapping[str, Mapping[str, Any]]) -> dict[str, NodeStats]:
    """The statistics of all nodes, as the operator library gives them."""
    return {node: NodeStats(**row) for node, row in table.items()}

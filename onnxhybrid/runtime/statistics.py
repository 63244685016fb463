"""`NodeStats`: what a remote node did in a session, and what all together spent."""

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
        hedges: how many requests were sent second, beside one that took long.
        errors: how many calls failed, by code.
        bytes_out, bytes_in: the bytes of request and response bodies.
        p50, p90, p99: quantiles of a call's time in seconds; None before the first call.
        connections: how many connections this session opened to the node's origin; of several servers to all of them.
        cache_hits: how many rows, or calls without rows, were answered without being asked for (`oh.Cache`).
        endpoints: how many requests went to each URL, where an endpoint by name has several.
        spent: what they cost by the prices of the policy's budget, in its unit of money.
        input_tokens, output_tokens: the tokens that services say they used, where the budget has a price for them; of
            an answer that says nothing of tokens, the bytes of the request and of the answer.
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
    hedges: int = 0
    spent: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class Spending:
    """What was spent of a policy's budget: by the session, or with a ledger by all who share it.

    Attributes:
        calls, bytes: requests, and the bytes of request and response bodies.
        cost: money by the budget's prices.
        left: what is left of each limit that there is: "calls", "bytes", "cost".
    """

    calls: int
    bytes: int
    cost: float
    left: Mapping[str, float]


class Statistics(dict[str, NodeStats]):
    """The remote nodes of a session by name.

    Attributes:
        budget: what was spent; None where the policy has no budget, or the model no remote node.
    """

    budget: Spending | None = None


def parsed(table: Mapping[str, Mapping[str, Any]]) -> Statistics:
    """The statistics of all nodes, as the operator library gives them: each beside what all of them spent."""
    statistics = Statistics()
    for node, row in table.items():
        own = dict(row)
        if spent := own.pop("budget", None):
            statistics.budget = Spending(**spent)
        statistics[node] = NodeStats(**own)
    return statistics

"""`NodeStats` and `AuditStats`: what a remote node did in a session, what all together spent, what an audit found."""

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
        audited, differed: of a node that audits, rows that were compared, and those that differed.
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
    audited: int = 0
    differed: int = 0


@dataclass(frozen=True)
class AuditStats:
    """What one node that audits a cascade found since the session began.

    Attributes:
        audited: rows that were accepted, asked for all the same, and compared (without rows=True: runs).
        differed: those of them for which the remote answered otherwise.
        low: with a probability of 95 % more than this share of the accepted rows differs, whenever it is looked at
            (anytime-valid; betting, Waudby-Smith and Ramdas 2023). It never falls.
        alarm: whether `low` is above what the model's certificate promises, `promised`. It stays.
        promised: the certificate's `differ_high`; None where there is no certificate, or it speaks of other outputs.
        failed: rows of which the call failed, so that they say nothing.
        dropped: rows that were drawn and not asked for, since too many calls were under way.
    """

    audited: int = 0
    differed: int = 0
    low: float = 0.0
    alarm: bool = False
    promised: float | None = None
    failed: int = 0
    dropped: int = 0


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
        own = {name: value for name, value in row.items() if name != "audit"}
        own.update({name: row["audit"][name] for name in ("audited", "differed") if name in row.get("audit", {})})
        if spent := own.pop("budget", None):
            statistics.budget = Spending(**spent)
        statistics[node] = NodeStats(**own)
    return statistics


def audits(table: Mapping[str, Mapping[str, Any]]) -> dict[str, AuditStats]:
    """What the audits found, as the operator library gives it."""
    return {node: AuditStats(**row["audit"]) for node, row in table.items() if "audit" in row}

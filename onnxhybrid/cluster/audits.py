"""What the audits of many sessions say together.

The bound of an audit comes from a fortune that depends on two counts alone: rows compared, and those that differed.
So the order in which the rows of several workers are put into one stream does not matter, as long as it is not chosen
by what they show. Under the hypothesis that at most a share m of rows differs, the fortune of that one stream is a
supermartingale, whatever worker its next row comes from. So Ville's inequality holds for the union of all rows, at
every time at which counts are added up, and what was refuted once stays so. The largest of the workers' own bounds
would be none: of twenty, each wrong with 5 %, one is wrong more often than not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxhybrid.library import audit_low
from onnxhybrid.runtime.statistics import AuditStats


def merged(
    found: Iterable[Mapping[str, AuditStats]], before: Mapping[str, AuditStats] | None = None
) -> dict[str, AuditStats]:
    """One verdict on the audits of many sessions of one model, by node.

    Args:
        found: what `Session.audit()` gave of each session.
        before: what this gave earlier, of a part of the rows: a bound never falls.
    """
    by_node: dict[str, list[AuditStats]] = {}
    for audits in found:
        for node, stats in audits.items():
            by_node.setdefault(node, []).append(stats)
    return {node: _one(each, (before or {}).get(node)) for node, each in by_node.items()}


def _one(each: list[AuditStats], before: AuditStats | None) -> AuditStats:
    audited, differed = sum(stats.audited for stats in each), sum(stats.differed for stats in each)
    low = max(audit_low(audited, differed), 0.0 if before is None else before.low)
    promised = next((stats.promised for stats in each if stats.promised is not None), None)
    return AuditStats(
        audited=audited,
        differed=differed,
        low=low,
        alarm=promised is not None and low > promised,
        promised=promised,
        failed=sum(stats.failed for stats in each),
        dropped=sum(stats.dropped for stats in each),
    )

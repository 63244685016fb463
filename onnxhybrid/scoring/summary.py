"""`Summary`: what a scoring came to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Summary:
    """What a scoring came to, earlier runs of the same target included.

    Attributes:
        rows: the rows that were scored, failed ones included.
        failed: those of them that failed; they lie in `target/_failed`.
        sent: the rows that were sent to a remote; where the graph does not tell which are, its remote calls.
        seconds: how long this run took.
        spend: what the calls cost, by the prices of the policy's budget.
        left: the rows that are still to score, where it was stopped.
    """

    rows: int
    failed: int
    sent: int
    seconds: float
    spend: float
    left: int = 0

    def to_json(self) -> str:
        """It as a JSON object."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        share = f" ({self.sent / self.rows:.1%})" if self.rows and self.sent <= self.rows else ""
        spent = f", spent {self.spend:.6g}" if self.spend else ""
        left = f"; {self.left} rows are left" if self.left else ""
        return f"{self.rows} rows in {self.seconds:.1f} s: {self.failed} failed, {self.sent} sent{share}{spent}{left}"

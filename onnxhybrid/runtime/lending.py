"""Budgets that are lent bit by bit: those of the sessions of many processes, which a broker lets spend of one sum.

Nothing is spent that was not lent. A request for which too little is there waits while its lender is asked.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from onnxhybrid.library import Scope
from onnxhybrid.runtime.policy import Policy

QUESTION = ":lend "
"""What the library asks by; what would have to be allowed in all, and within how long, follows as JSON."""

NO = "no"
"""The answer where nothing more is lent. An empty text says that more is allowed by now, any other what failed."""

Lend = Callable[[dict[str, int], float], str]
"""Allows more within some seconds; it is given what would have to be allowed in all of each kind that is limited."""


@dataclass(frozen=True)
class LentPolicy(Policy):
    """A policy whose budget is lent; `lend` is called on threads of the library's, and never raises."""

    lend: Lend = field(default=lambda needed, within: NO)

    @classmethod
    def of(cls, policy: Policy, lend: Lend, **changed: Any) -> LentPolicy:
        """The policy with these entries, and its budget lent; a ledger is the lender's."""
        same = {entry.name: getattr(policy, entry.name) for entry in dataclasses.fields(Policy)}
        return cls(**{**same, **changed}, lend=lend)

    def config(self) -> dict[str, Any]:
        """The policy as the operator library reads it."""
        config = super().config()
        if config["budget"] is not None:
            config["budget"] = {**config["budget"], "lent": True}
            config["budget"].pop("ledger", None)
        return config


def answering(resolve: Callable[[str], str], policy: object) -> Callable[[str], str]:
    """What answers the library: of credentials `resolve`, of a budget that is lent the policy."""
    if not isinstance(policy, LentPolicy):
        return resolve
    lend = policy.lend

    def answer(name: str) -> str:
        if not name.startswith(QUESTION):
            return resolve(name)
        asked = json.loads(name.removeprefix(QUESTION))
        within = asked.pop("within_ms") / 1000
        return lend({kind: most for kind, most in asked.items() if most is not None}, within)

    return answer


def allow(scope: Scope, total: dict[str, int]) -> dict[str, int]:
    """Allow so much in all, and what was spent at least; gives what was spent."""
    return scope.budget({"allow": total})

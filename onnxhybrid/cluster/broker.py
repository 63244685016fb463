"""The broker of limits: it hands out shares of a policy's limits to workers, and never more than there is.

A share of a budget is spent in the broker's books when it is handed out, and what a worker did not use is given back
when it says so. So whatever dies, a worker or the broker itself, the limits hold: what nobody tells of counts as spent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import final

from onnxhybrid.cluster.amounts import Amount
from onnxhybrid.cluster.members import Members
from onnxhybrid.errors import PolicyDenied
from onnxhybrid.library import Scope
from onnxhybrid.runtime.policy import Policy

_SOON, _LATE = 1.0, 4.0
"""Seconds: who comes back earlier is given twice as much the next time, who comes back later half of it."""

_LARGEST = 1 << 20
"""How many requests' worth of a budget one share is at most."""


class No(Enum):
    """Why nothing is handed out."""

    NOT_YET = "not yet"
    """Others hold shares of which they may give something back."""

    NOTHING_LEFT = "nothing left"


@dataclass
class _Borrower:
    """A worker's last share of the budget, which it may not have used up, and how much it is given at a time."""

    lent: Amount = field(default_factory=Amount)
    step: int = 1
    at: float = float("-inf")


@final
class Broker:
    """The limits of one policy, and who holds how much of them. It belongs to one thread.

    Args:
        policy: the policy, of which `max_concurrency` and the budget are shared out.
        workers: how many workers there will be at most.
        folder: where it keeps what it has to know after a death: the workers, and what was spent unless the budget has
            a ledger of its own. None keeps that in memory alone.

    Raises:
        Error: OH581, the ledger cannot be used.
    """

    def __init__(self, policy: Policy, workers: int, folder: Path | None = None) -> None:
        self._most, self._workers = policy.max_concurrency, workers
        self._members = Members(None if folder is None else folder / "workers.jsonl")
        self._borrowers: dict[str, _Borrower] = {}
        self._limits, self._books = _limits(policy), _books(policy, folder)

    def join(self, worker: str, reach: str = "") -> int | None:
        """How many requests a worker may have under way to one origin; 0 for any number, None where it has to wait.

        A worker that joins again was started again: what it had is gone. `reach` is noted beside it.
        """
        self._borrowers[worker] = _Borrower()
        if worker not in self._members:
            places = self._share()
            if places is None:
                return None
            self._members.add(worker, places, reach)
        return self._members.places(worker)

    def _share(self) -> int | None:
        if self._most is None:
            return 0
        free = self._most - self._members.places()
        others = max(self._workers - len(self._members), 1)
        return -(-free // others) if free > 0 else None

    def leave(self, worker: str) -> None:
        """Take back the places of a worker that is gone. What it holds of the budget counts as spent."""
        self._borrowers.pop(worker, None)
        self._members.remove(worker)

    def lend(self, worker: str, need: Amount, now: float) -> Amount | No:
        """A share of the budget: what a request needs at least, and more for those to come as long as there is much.

        Args:
            worker: who asks.
            need: what is needed of each kind that is limited.
            now: the time in seconds.

        Raises:
            Error: OH582 or OH583, the ledger cannot be used.
        """
        borrower = self._borrowers.setdefault(worker, _Borrower())
        borrower.lent = Amount()  # who asks has used up what it had
        left = self.left()
        fair = left.each(lambda most: most // (2 * max(len(self._borrowers), 1)))
        wish = need.each(lambda least: least * self._step(borrower, now))
        share = need.each(lambda least, much, some: max(least, min(much, some)), wish, fair)
        if not self._spent(share) and not self._spent(share := need):
            others = any(other.lent for name, other in self._borrowers.items() if name != worker)
            return No.NOT_YET if others else No.NOTHING_LEFT
        borrower.lent = share
        borrower.at = now
        return share

    def _step(self, borrower: _Borrower, now: float) -> int:
        since = now - borrower.at
        if since < _SOON:
            borrower.step = min(2 * borrower.step, _LARGEST)
        elif since > _LATE:
            borrower.step = max(borrower.step // 2, 1)
        return borrower.step

    def _spent(self, share: Amount) -> bool:
        try:
            self._books.budget({"spend": share.to_json()})
        except PolicyDenied as refusal:
            if refusal.code != "OH521":
                raise
            return False
        return True

    def settle(self, worker: str, unused: Amount) -> None:
        """Take back what a worker did not use of its shares; what is negative it used beyond them."""
        if unused:
            self._books.budget({"count": unused.each(int.__neg__).to_json()})
        if worker in self._borrowers:
            self._borrowers[worker].lent = Amount()

    def spent(self) -> Amount:
        """What was spent, shares that are out included."""
        return Amount.of(self._books.budget())

    def left(self) -> Amount:
        """What is left of each kind; of one that has no limit, very much."""
        return self._limits.each(lambda most, spent: max(most - spent, 0), self.spent())

    def workers(self) -> dict[str, int]:
        """The places of each worker."""
        return {worker: self._members.places(worker) for worker in self._members}

    def reach(self, worker: str) -> str:
        """What was noted beside a worker."""
        return self._members.reach(worker)


_ANY = 1 << 62


def _limits(policy: Policy) -> Amount:
    given = {kind: most for kind, most in (policy.budget or {}).items() if most is not None}
    cost = round(given["cost"] * 1e9) if "cost" in given else _ANY
    return Amount(given.get("calls", _ANY), given.get("bytes", _ANY), cost)


def _books(policy: Policy, folder: Path | None) -> Scope:
    """A scope of the operator library of which only the budget is used: its limits, and its ledger."""
    budget = dict(policy.config()["budget"] or {})
    if folder is not None:
        budget.setdefault("ledger", str(folder / "spent.ledger"))
    return Scope({"policy": {"budget": budget}})

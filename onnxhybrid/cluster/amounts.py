"""What requests take: how many there are, their bytes, and their cost in billionths of a unit of money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Amount:
    """Calls, bytes and money; each may be negative where it is a difference."""

    calls: int = 0
    bytes: int = 0
    cost_billionths: int = 0

    @classmethod
    def of(cls, given: Mapping[str, int]) -> Amount:
        """The amount of a mapping in which kinds may be missing."""
        return cls(**{kind: int(given[kind]) for kind in KINDS if kind in given})

    def to_json(self) -> dict[str, int]:
        """It as the operator library takes it."""
        return asdict(self)

    def each(self, change: Callable[..., int], *others: Amount) -> Amount:
        """The amount of which each kind is `change` of this one's and the others'."""
        return Amount(*(change(*(getattr(amount, kind) for amount in (self, *others))) for kind in KINDS))

    def __add__(self, other: Amount) -> Amount:
        return self.each(int.__add__, other)

    def __sub__(self, other: Amount) -> Amount:
        return self.each(int.__sub__, other)

    def __bool__(self) -> bool:
        return any(getattr(self, kind) for kind in KINDS)


KINDS = ("calls", "bytes", "cost_billionths")

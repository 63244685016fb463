"""What a combinator is; each declares it beside its function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Combinator:
    """A way to compose models.

    Attributes:
        name: what the composition's graph is called, and its kind in the metadata.
        branches: whether parts of it run in the branches of an If node.
        overlaps: whether its remote calls overlap its local nodes. What was overlapped before stays so in any other.
        role: what each part is to it, for the metadata; None where the part's label says that, as `judge` does.
    """

    name: str
    branches: bool = False
    overlaps: bool = False
    role: str | None = None

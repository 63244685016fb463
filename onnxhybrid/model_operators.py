"""`&`, `|` and `~` of Models: declared with Model, done by the logic of judges, which lies far above it.

The package says where that logic is found when it is imported, so that no module below has to know. The logic itself
is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Logic(Protocol):
    """What the operators do."""

    def combined(self, operator: str, one: Any, other: Any) -> Any:
        """`one & other` ("And") or `one | other` ("Or")."""

    def negated(self, judge: Any) -> Any:
        """`~judge`."""


_FOUND: list[Callable[[], Logic]] = []


def found_by(find: Callable[[], Logic]) -> None:
    """Say how the logic is found."""
    _FOUND[:] = [find]


def logic() -> Logic:
    """The logic of the operators."""
    return _FOUND[0]()

"""Copies of protobuf messages, and new entries for their repeated fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def copied(message: M) -> M:
    """A copy of a message, the caller's own to change."""
    copy: M = type(message)()
    copy.CopyFrom(message)
    return copy


def replace(field: Any, entries: Iterable[Any]) -> None:
    """Give a repeated field these entries in place of its own, some of which may be among them."""
    kept = list(entries)
    del field[:]
    field.extend(kept)

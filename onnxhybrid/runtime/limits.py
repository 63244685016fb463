"""The checks of a policy's numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from onnxhybrid.errors import Error

_LARGEST = (1 << 63) - 1
"""The largest count that the operator library reads; no message needs to tell it."""


def check_count(name: str, value: object, *, least: int = 1, most: int = _LARGEST) -> None:
    """Refuse what is no whole number in this range.

    Raises:
        Error: OH530.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        to_most = "" if most == _LARGEST else f" to {most}"
        raise Error("OH530", f"{name} is a whole number from {least}{to_most}, not {value!r}")


def check_number(name: str, value: object, most: float) -> None:
    """Refuse what is no number from 0 to `most`.

    Raises:
        Error: OH530.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= most:  # type: ignore[arg-type, operator]
        raise Error("OH530", f"{name} is a number from 0 to {most:g}, not {value!r}")


def check_names(name: str, value: object, known: set[str]) -> Mapping[str, Any]:
    """The mapping, if it has no other entries than these.

    Raises:
        Error: OH530.
    """
    there_are = ", ".join(map(repr, sorted(known)))
    if not isinstance(value, Mapping):
        raise Error("OH530", f"{name} is a mapping of {there_are}, not {value!r}")
    if unknown := [entry for entry in value if entry not in known]:
        raise Error("OH530", f"{name} has no entry {unknown[0]!r}; there are {there_are}")
    return value

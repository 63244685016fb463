"""The checks of a policy's numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from onnxhybrid.errors import Error


def check_count(name: str, value: object, *, least: int = 1, most: int = (1 << 63) - 1) -> None:
    """Refuse what is no whole number in this range.

    Raises:
        Error: OH530.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Error("OH530", f"{name} is a whole number from {least}, not {value!r}")


def check_number(name: str, value: object, most: float) -> None:
    """Refuse what is no number from 0 to `most`.

    Raises:
        Error: OH530.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= most:  # type: ignore[arg-type, operator]
        raise Error("OH530", f"{name} is a number from 0, not {value!r}")


def check_names(name: str, value: object, known: set[str]) -> Mapping[str, Any]:
    """The mapping, if it has no other entries than these.

    Raises:
        Error: OH530.
    """
    if not isinstance(value, Mapping) or not set(value) <= known:
        raise Error("OH530", f"{name} is a mapping of {', '.join(map(repr, sorted(known)))}, not {value!r}")
    return value

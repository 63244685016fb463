"""Attributes of remote nodes that are JSON objects, read as strictly as the library reads them."""

from __future__ import annotations

import json
from typing import Any


def object_of(name: str, text: Any) -> dict[str, Any]:
    """The object that an attribute holds, each of its names once; an empty one where the attribute is empty.

    Raises:
        ValueError: it holds something else.
    """
    try:
        parsed = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse) if text else {}
    except (ValueError, TypeError, RecursionError):  # a stranger's text may be deep, or no text
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError(f"attribute {name!r} is no JSON object")
    return parsed


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")

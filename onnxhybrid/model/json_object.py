"""JSON objects in texts that strangers may have written: entries of metadata, attributes, lines of a record."""

from __future__ import annotations

import json
from typing import Any


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The object that a text is; None where it is none, no JSON, or too deep to read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

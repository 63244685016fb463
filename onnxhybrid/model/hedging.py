"""When a second request is sent beside one that takes long, as the attribute `hedge` of a remote node says it."""

from __future__ import annotations

from typing import TypeGuard

from onnxhybrid.model.json_objects import object_of

LONGEST = 86_400_000
"""The longest fixed time in milliseconds, a day."""

_KEYS = ("after", "after_ms", "most")


def hedge_of(text: str) -> dict[str, float]:
    """What the attribute says: `after` or `after_ms`, and `most`; empty for never.

    Raises:
        ValueError: it is no such object, or has a number that it cannot have.
    """
    if not text:
        return {}
    given = object_of("hedge", text)
    if not given.keys() <= set(_KEYS):
        raise ValueError("attribute 'hedge' holds after or after_ms, and most, and nothing else")
    after, milliseconds, most = (given.get(key) for key in _KEYS)
    if not _is_number(most) or not 0 < most <= 1:
        raise ValueError(f"attribute 'hedge' has most {most!r}, no share above 0 and up to 1")
    if (after is None) == (milliseconds is None):
        raise ValueError("attribute 'hedge' has one of after and after_ms")
    if milliseconds is None:
        if not _is_number(after) or not 0 < after < 1:
            raise ValueError(f"attribute 'hedge' has after {after!r}, no quantile between 0 and 1")
        return {"after": after, "most": most}
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool) or not 1 <= milliseconds <= LONGEST:
        raise ValueError(f"attribute 'hedge' has after_ms {milliseconds!r}, not from 1 to {LONGEST}")
    return {"after_ms": milliseconds, "most": most}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

"""The attribute `cache` of a remote node, as the library reads it (`native/src/session/cache/settings.rs`)."""

from __future__ import annotations

from onnxhybrid.model.json_objects import object_of

LONGEST = 31_536_000_000
"""Milliseconds that an answer may be kept for, a year."""

_DEFAULTS: dict[str, int | bool] = {"max_bytes": 64 << 20, "rows": True}


def cache_of(text: str) -> tuple[tuple[str, float | bool], ...]:
    """What an attribute says of the answers that are kept; nothing where it is empty and none are.

    These are max_bytes, ttl in seconds where there is one, and rows.

    Raises:
        ValueError: the text is none that the library reads; the message says why.
    """
    if not text:
        return ()
    given = object_of("cache", text)
    if not given.keys() <= {"max_bytes", "ttl_ms", "rows"}:
        raise ValueError("attribute 'cache' holds max_bytes, ttl_ms and rows, and nothing else")
    values = {**_DEFAULTS, **given}
    most, ttl, rows = values["max_bytes"], values.get("ttl_ms"), values["rows"]
    if not _is_int(most) or not 0 < most < 2**64:
        raise ValueError(f"attribute 'cache' keeps max_bytes from 1, not {most!r}")
    if ttl is not None and (not _is_int(ttl) or not 0 < ttl <= LONGEST):
        raise ValueError(f"attribute 'cache' has ttl_ms from 1 to {LONGEST}, not {ttl!r}")
    if not isinstance(rows, bool):
        raise ValueError(f"attribute 'cache' has rows true or false, not {rows!r}")
    return (("max_bytes", most), *((("ttl", ttl / 1000),) if ttl is not None else ()), ("rows", rows))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

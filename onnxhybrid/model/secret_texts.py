"""Texts that have the form of a secret: keys, JSON web tokens and what stands behind `Bearer`.

A file of a stranger may hold any text, so each is looked through in a time that grows no faster than its length.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{32}|\bBearer\s+[A-Za-z0-9._~+/-]{16}")

_SEGMENT = re.compile(r"(?<![A-Za-z0-9_-])([A-Za-z0-9_-]+)\.(?=[A-Za-z0-9_-]{5,}\.)")
"""A segment of a token with two others behind it. It starts where a run of its letters does, and so once in each."""

_HEADER = re.compile(r"\beyJ[A-Za-z0-9_-]{10}")

_MARKS = (b"sk-", b"eyJ", b"Bearer")
_TRACE = re.compile(rb"sk-[A-Za-z0-9_-]{32}|eyJ[A-Za-z0-9_-]{10}|Bearer[^!-~]")
"""What the bytes of a model with such a text hold; the first is found quickly, the second is seldom wrong."""


def is_secret(text: str) -> bool:
    """Whether a text has a part that looks like a secret."""
    if _KEY.search(text):
        return True
    return "eyJ" in text and any(_HEADER.search(found[1]) for found in _SEGMENT.finditer(text))


def may_be_secret(data: bytes) -> bool:
    """Whether any of the texts in the bytes of a message can be one, told without a look at each of them."""
    return any(mark in data for mark in _MARKS) and _TRACE.search(data) is not None

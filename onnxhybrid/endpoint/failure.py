"""What the endpoint answers instead of a result."""

from __future__ import annotations

import reprlib

from onnxhybrid.errors import Error

SHOWN = 80
"""The most characters of a client's own words that an error message repeats."""


class RequestError(Error):
    """A request that the endpoint does not serve; `.status` is the HTTP status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__("OH553", message)
        self.status = status


def quoted(text: object) -> str:
    """A client's own word in quotes, shortened; of lists and objects no more is looked at than is shown."""
    word = text if isinstance(text, str) else reprlib.repr(text)
    return f"'{word}'" if len(word) <= SHOWN else f"'{word[:SHOWN]}…'"

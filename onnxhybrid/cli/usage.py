"""Faults of the command line itself, which end with the exit code 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from onnxhybrid.errors import Error


class Usage(Exception):
    """The words of the command line are wrong; `.error` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error))
        self.error = error


def wrong(message: str) -> Usage:
    """A fault of the command line, of code OH700."""
    return Usage(Error("OH700", message))


@contextlib.contextmanager
def words() -> Iterator[None]:
    """Where an error, whatever its code, is one of the words that were typed."""
    try:
        yield
    except Error as problem:
        raise Usage(problem) from None


def pairs(given: Iterable[str], option: str, form: str) -> dict[str, str]:
    """What stands before and behind the first `=` of each.

    Raises:
        Usage: one has none, or two have one name.
    """
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise wrong(f"{option} {text}: write {option} {form}")
        if name in found:
            raise wrong(f"{option} names {name!r} twice")
        found[name] = value
    return found

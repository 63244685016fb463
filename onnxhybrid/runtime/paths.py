"""Paths on their way to the operator library."""

from __future__ import annotations

import os

from onnxhybrid.errors import Error


def path_of(name: str, value: object) -> str | None:
    """The absolute path that the setting `name` gives; None where it gives none.

    Raises:
        Error: OH530, it is no path, or none that is text.
    """
    if value is None:
        return None
    try:
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            raise TypeError
        path = os.path.abspath(os.fsdecode(value))
        path.encode()
    except (TypeError, ValueError):
        raise Error("OH530", f"{name} is the path of a file, not {value!r}") from None
    if "\0" in path:
        raise Error("OH530", f"{name} is the path of a file, not {value!r}")
    return path

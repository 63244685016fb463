"""What users give as names, texts and paths, before it goes where only sound ones can."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeGuard

from onnxhybrid.errors import ModelError


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is a string that a file can hold: one without lone surrogates."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: str | bytes) -> str:
    """The text of a file for people: itself, or where it is no UTF-8 with an escape for each byte that is not."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def is_name(value: object) -> TypeGuard[str]:
    """Whether it is a text that is not empty."""
    return is_text(value) and bool(value)


def file_path(path: object, code: str) -> Path:
    """The absolute path of a file.

    Raises:
        ModelError: of this code, it is something else, or no path that the system can have.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise ModelError(code, f"a file's path is a str or a pathlib.Path, not {type(path).__name__}")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        encoded = b"\0"
    absolute = Path(os.path.abspath(text))
    if not text or b"\0" in encoded or not absolute.name:
        raise ModelError(code, f"{text!r} is no path of a file")
    return absolute

"""Python's own binding in plain sessions, which know nothing of this package but the path of its library."""

from __future__ import annotations

import sys
from pathlib import Path

import onnxhybrid as oh


def unsupported() -> None:
    """Nothing keeps it from running here."""


def command(_: Path) -> list[str]:
    """The program with the library: what is to be run is behind it."""
    return [sys.executable, str(Path(__file__).with_name("run.py")), oh.library_path()]

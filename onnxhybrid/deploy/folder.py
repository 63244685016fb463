"""Writes a deployment's folder whole: what stood there before stays until everything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from onnxhybrid.errors import ModelError


def write(folder: str | os.PathLike[str], fill: Callable[[Path], None], *, overwrite: bool) -> Path:
    """Let `fill` write into a new folder, and move that to its place.

    Args:
        folder: the place; its parents are made.
        fill: writes the files.
        overwrite: whether a folder with files that is there may be replaced.

    Raises:
        ModelError: OH410, the place is taken, or the system refused.
    """
    try:
        place = Path(os.path.abspath(folder))
        if place.exists() and not (overwrite or _is_empty(place)):
            raise ModelError("OH410", f"{place} exists and is not empty; give overwrite=True to replace it")
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except (OSError, TypeError, ValueError) as problem:
        raise ModelError("OH410", f"{folder!r} cannot be written: {problem}") from None
    try:
        made.chmod(0o755)
        fill(made)
        if place.is_dir():
            shutil.rmtree(place)
        made.rename(place)
    except OSError as problem:
        raise ModelError("OH410", f"{place} cannot be written: {problem}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return place


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())

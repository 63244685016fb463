"""Writes a deployment's folder whole: what stood there before stays until everything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from onnxhybrid.errors import ModelError


def write(
    folder: str | os.PathLike[str], fill: Callable[[Path], None], *, overwrite: bool, known_by: str, name: str = ""
) -> Path:
    """Let `fill` write into a new folder, and move that to its place.

    Args:
        folder: the place; its parents are made.
        fill: writes the files.
        overwrite: whether a folder with files that is there may be replaced.
        known_by: the file that a deployment's folder has; no other folder is replaced.
        name: the place is the folder of this name below `folder`.

    Raises:
        ModelError: OH410, the place is taken, or the system refused.
    """
    try:
        place = Path(os.path.realpath(Path(os.fsdecode(folder)) / name))
        _check_place(place, overwrite, known_by)
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as problem:
        raise ModelError("OH410", f"{os.fsdecode(folder)} cannot be written: {problem.strerror or problem}") from None
    except (TypeError, ValueError) as problem:
        raise ModelError("OH410", f"{folder!r} cannot be written: {problem}") from None
    made, old = work / "made", work / "old"
    try:
        made.mkdir(0o755)
        fill(made)
        if place.exists():
            place.rename(old)
        made.rename(place)
    except OSError as problem:
        if old.exists() and not place.exists():
            old.rename(place)
        raise ModelError("OH410", f"{place} cannot be written: {problem.strerror or problem}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def _check_place(place: Path, overwrite: bool, known_by: str) -> None:
    if not place.exists() or _is_empty(place):
        return
    if not overwrite:
        raise ModelError("OH410", f"{place} exists and is not empty; give overwrite=True to replace it")
    if not (place / known_by).is_file():
        raise ModelError("OH410", f"{place} is no deployment that could be replaced: it has no {known_by}")


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())

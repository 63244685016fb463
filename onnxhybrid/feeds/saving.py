"""Writes arrays to an .npz file, whole or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error

_OF_NUMPY = frozenset("?bBhHiIlLqQefdgFDG")


def save(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write arrays by name. What numpy has no dtype for is float32 in the file, and texts are of numpy's kind U.

    Raises:
        Error: OH704, the file cannot be written; what stood there stays.
    """
    target = Path(path)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        if target.is_dir():
            raise ValueError("it is a folder")
        try:
            with open(part, "xb") as file, zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, _plain(array), allow_pickle=False)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise Error("OH704", f"{os.fspath(path)} cannot be written: {reason}") from None


def _plain(given: Any) -> npt.NDArray[Any]:
    array = np.asarray(given)
    if array.dtype.kind in "OST":
        return array.astype(str)
    return array if array.dtype.kind == "U" or array.dtype.char in _OF_NUMPY else array.astype(np.float32)

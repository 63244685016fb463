"""Finds the files of a source: one, those of a folder, those of a pattern; on this machine or by a URL of fsspec."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from onnxhybrid.errors import Error
from onnxhybrid.scoring.plan import SourceFile

KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".npz": "npz",
}
"""What a file is, by the end of its name."""


def find(source: object) -> tuple[SourceFile, ...]:
    """The files of a source, in the order of their names.

    Args:
        source: a path or URL, of a file or a folder, or a pattern with `*`; or several of them.

    Raises:
        Error: OH640, there is nothing, or what is no table; OH551, fsspec is not installed.
    """
    given = [source] if isinstance(source, (str, os.PathLike)) else source
    if isinstance(given, (bytes, dict)) or not isinstance(given, Iterable):
        raise Error("OH640", f"the source is a path, a URL, or a list of them, not {type(source).__name__}")
    paths = [path for each in given for path in _paths(each)]
    if not paths:
        raise Error(
            "OH640", f"the source {source} has no files of {', '.join(KINDS)}; those of the folders in a folder are "
            "named by a pattern, as in 'folder/**/*.parquet'"
        )  # fmt: skip
    paths = [path if is_url(path) else os.path.abspath(path) for path in paths]
    base = _base(paths)
    found = [_described(path, _shown(path.removeprefix(base))) for path in dict.fromkeys(paths)]
    return tuple(sorted(found, key=lambda file: file.name))


def is_url(path: str) -> bool:
    """Whether a path is for fsspec: a letter before the colon is a drive of Windows."""
    return "://" in path


def opened(file: SourceFile) -> BinaryIO:
    """A file, to be read.

    Raises:
        Error: OH640, it cannot be opened; OH648, it is not what it was.
    """
    require_same(file)
    try:
        if is_url(file.path):
            return cast("BinaryIO", _fsspec().open(file.path, "rb").open())
        return open(file.path, "rb")
    except Error:
        raise
    except Exception as problem:  # noqa: BLE001  # each store raises its own
        raise _unreadable(file.path, problem) from None


def require_same(file: SourceFile) -> None:
    """Check that a file is what it was when it was looked at.

    Raises:
        Error: OH648, it was changed.
    """
    if (now := _described(file.path, file.name)) != file:
        told = f"it had {file.size} bytes, and has {now.size}" if now.size != file.size else "it was written again"
        raise Error("OH648", f"{file.path} was changed while it was scored: {told}; score into another target")


def _paths(given: object) -> list[str]:
    if not isinstance(given, (str, os.PathLike)) or not (text := os.fspath(given)) or isinstance(text, bytes):
        raise Error("OH640", f"the source holds {given!r}, which is no path")
    if is_url(text):
        return _paths_of_url(text)
    path = Path(text)
    try:
        if path.is_dir():
            return [str(each) for each in sorted(path.iterdir()) if _is_table(each.name)]
        if path.exists() or not glob.has_magic(text):
            return [text]
        found = [Path(each) for each in glob.glob(text, recursive=True)]  # noqa: PTH207  # a pattern may be absolute
        return [str(each) for each in sorted(found) if each.is_file() and _is_table(each.name)]
    except (OSError, ValueError) as problem:
        raise _unreadable(text, problem) from None


def _paths_of_url(path: str) -> list[str]:
    try:
        system, inner = _fsspec().core.url_to_fs(path)
        if glob.has_magic(path):
            found = system.glob(inner)
        elif system.isdir(inner):
            found = system.ls(inner, detail=False)
        else:
            return [path]
        tables = [each for each in sorted(found) if _is_table(each.rpartition("/")[2])]
        return [system.unstrip_protocol(each) for each in tables]
    except Error:
        raise
    except Exception as problem:  # noqa: BLE001  # each store raises its own
        raise _unreadable(path, problem) from None


def _shown(name: str) -> str:
    """A name as text, whatever bytes it is of."""
    return name.encode("utf-8", "backslashreplace").decode()


def _is_table(name: str) -> bool:
    """Whether a file of a folder is one to score; what is hidden, or begins with `_` as notes of engines do, is not."""
    return not name.startswith((".", "_")) and PurePosixPath(name).suffix.lower() in KINDS


def _base(paths: list[str]) -> str:
    """The folder that all lie in, which is no part of what they are called."""
    folders = [path.split("/")[:-1] for path in paths]
    shared = 0
    while all(len(folder) > shared and folder[shared] == folders[0][shared] for folder in folders):
        shared += 1
    return "".join(f"{part}/" for part in folders[0][:shared])


def _described(path: str, name: str) -> SourceFile:
    kind = KINDS.get(PurePosixPath(path).suffix.lower())
    if kind is None:
        raise Error("OH640", f"{path} is none of {', '.join(KINDS)}")
    try:
        if is_url(path):
            system, inner = _fsspec().core.url_to_fs(path)
            told = system.info(inner)
            stamp = str(told.get("ETag") or told.get("etag") or told.get("mtime") or told.get("created") or "")
            return SourceFile(path, kind, name, int(told["size"]), stamp)
        path = os.path.abspath(path)
        state = Path(path).stat()
        if not stat.S_ISREG(state.st_mode):
            raise Error("OH640", f"{path} is no regular file, and a source is read more than once")
    except Error:
        raise
    except Exception as problem:  # noqa: BLE001  # each store raises its own
        raise _unreadable(path, problem) from None
    return SourceFile(path, kind, name, state.st_size, str(state.st_mtime_ns))


def _unreadable(path: str, problem: Exception) -> Error:
    reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return Error("OH640", f"{path} cannot be read: {reason or type(problem).__name__}")


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError:
        raise Error(
            "OH551", "a source that is a URL needs fsspec, and the package of its store: pip install fsspec"
        ) from None
    return fsspec

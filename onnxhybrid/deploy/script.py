"""A scoring script of the author's own, with the files that it reads: checked before anything is written."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from onnxhybrid.errors import ModelError

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_script(path: str | os.PathLike[str]) -> str:
    """The text of a scoring script that defines `init()` and `run(raw_data)`; it is parsed and not run.

    A function with decorators may take what they make of the request (as those of inference-schema do).

    Raises:
        ModelError: OH412, it cannot be read, is no Python, or lacks one of the two functions.
    """
    try:
        if not Path(path).is_file():
            raise ValueError("there is no such file")
        text = Path(path).read_bytes().decode("utf-8-sig")
        names = dict(_bound(ast.parse(text).body))
    except (OSError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError) as problem:
        raise ModelError("OH412", f"{path!r} is no Python script that can be read: {problem}") from None
    for name, arguments in (("init", 0), ("run", 1)):
        written = f"{name}({'raw_data' if arguments else ''})"
        if name not in names and "*" not in names:
            raise ModelError("OH412", f"{path} does not define {written}, which AzureML calls")
        function = names.get(name)
        if function and not function.decorator_list and not _callable_with(function, arguments):
            raise ModelError(
                "OH412", f"AzureML calls {written}, and line {function.lineno} of {path} does not fit that"
            )
    return text


def _bound(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, _Function | None]]:
    """The names that a module's statements bind, with their functions; `*` is a star import."""
    for statement in statements:
        if isinstance(statement, _Function):
            yield statement.name, statement
        elif isinstance(statement, ast.ClassDef):
            yield statement.name, None
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name, None) for alias in statement.names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
            yield from ((node.id, None) for node in stored if isinstance(node.ctx, ast.Store))
        else:  # if, match, try and with bind what is in them
            for field in ("body", "cases", "handlers", "orelse", "finalbody"):
                yield from _bound(getattr(statement, field, ()))


def _callable_with(function: _Function, count: int) -> bool:
    """Whether so many positional arguments are what a plain function takes."""
    taken = function.args
    positional = len(taken.posonlyargs) + len(taken.args)
    enough = positional - len(taken.defaults) <= count and (positional >= count or taken.vararg is not None)
    return enough and None not in taken.kw_defaults and isinstance(function, ast.FunctionDef)


def companions(
    files: Iterable[str | os.PathLike[str]], folder: str | os.PathLike[str], taken: Collection[str]
) -> list[Path]:
    """The files and folders that go beside the script in the bundle's `folder`, which has the names `taken`.

    Raises:
        ModelError: OH413, one is not there, holds the bundle itself, or two of the bundle would have one name.
    """
    if isinstance(files, (str, bytes, os.PathLike)):
        raise ModelError("OH413", f"files is a list of paths, not the one path {files!r}")
    names, found = {name.casefold() for name in taken}, []
    try:
        for path in map(Path, files):
            name = Path(os.path.abspath(path)).name
            if not (path.is_file() or path.is_dir()) or not os.access(path, os.R_OK):
                raise ModelError("OH413", f"{path} is no file or folder that can be read")
            if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(path)):
                raise ModelError("OH413", f"{path} holds the bundle's own folder, {folder}")
            if name.casefold() in names:
                raise ModelError("OH413", f"the bundle holds {name!r} already; {path} needs another name")
            names.add(name.casefold())
            found.append(path)
    except (TypeError, ValueError) as problem:
        raise ModelError("OH413", f"files is a list of paths, not {files!r}: {problem}") from None
    return found


def copy(files: Iterable[Path], place: Path) -> None:
    """Copy files and folders into a folder, each under its own name."""
    for path in files:
        target = place / Path(os.path.abspath(path)).name
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, target)

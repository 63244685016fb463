"""Imports go down the list of layers only, imports by name included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "onnxhybrid"
FACADE = PACKAGE / "__init__.py"
"""What a user imports: it finds everything by name, when it is first asked for."""

# From the top; what stands in one row may not import each other. A room that is added is added here, too.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("reporting",),
    ("scoring",),
    ("calibration", "deploy", "endpoint", "inspection", "testing", "timing"),
    ("cluster",),
    ("feeds", "runtime"),
    ("disclosure",),
    ("recipe",),
    ("validation", "legacy"),
    ("compose",),
    ("remote",),
    ("model",),
    ("library", "model_operators"),
    ("errors", "suggesting"),
    ("diagnostics",),
    ("_codes",),
)
HEIGHT = {name: len(LAYERS) - position for position, names in enumerate(LAYERS) for name in names}

SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if "templates" not in path.parts  # scripts that are copied to other machines
)


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _modules(source: str) -> Iterator[str]:
    """The modules that a file imports, at its top, inside of functions or by name; a name that is computed is "*"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_by_name(node.func):
            yield from (_text(argument) for argument in node.args[:1])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_module(node.value):
            yield node.value  # what is imported by it may be far from here


def _is_import_by_name(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__", "resolve_name")


def _text(argument: ast.expr) -> str:
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else "*"


def _is_module(text: str) -> bool:
    """Whether a text is the name of a module or package of ours, as an import by name has it."""
    first, *rest = text.split(".")
    if first != PACKAGE.name or not rest or not all(part.isidentifier() for part in rest):
        return False
    path = PACKAGE.joinpath(*rest)
    return path.is_dir() or path.with_suffix(".py").is_file()


def _rooms(source: str) -> set[str]:
    """The rooms of onnxhybrid that a file imports; "*" for all of them, or for one that cannot be told."""
    names = [name.split(".") for name in _modules(source)]
    rooms = {(name[1:] or ["*"])[0] if name[0] else "*" for name in names if name[0] in (PACKAGE.name, "*", "")}
    return {room for room in rooms if not room.startswith("__")}  # __version__ is no room


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    room = _room(path)
    if path == FACADE:
        return
    for other in _rooms(path.read_text(encoding="utf-8")) - {room}:
        assert HEIGHT.get(other, len(LAYERS)) < HEIGHT[room], f"{path.name} of {room} imports {other}"


def test_the_layers_name_the_rooms_that_there_are() -> None:
    assert {_room(path) for path in SOURCES if path != FACADE} == set(HEIGHT)


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from onnxhybrid.model.naming import free", {"model"}),
        ("from onnxhybrid import library, errors as e", {"library", "errors"}),
        ("def f():\n    import onnxhybrid.compose.judge", {"compose"}),
        ("import importlib\nimportlib.import_module('onnxhybrid.compose.judge.logic')", {"compose"}),
        ("from importlib import import_module as load\nNAME = 'onnxhybrid.runtime'\nload(NAME)", {"runtime"}),
        ("__import__('onnxhybrid.legacy')", {"legacy"}),
        ("import importlib\nimportlib.import_module(f'onnxhybrid.{name}')", {"*"}),
        ("import onnxhybrid as oh", {"*"}),
        ("from . import legacy", {"*"}),
        ("from onnxhybrid import __version__", set()),
        ("KEY = 'onnxhybrid.remotes'\nTEXT = 'as onnxhybrid.runtime does'\nimport onnx.compose", set()),
    ],
)
def test_every_way_to_import_is_seen(source: str, rooms: set[str]) -> None:
    assert _rooms(source) == rooms

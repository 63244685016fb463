"""Imports go down the list of layers only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "onnxhybrid"

# from the top; what stands in one row may not import each other
LAYERS = (
    ("cli", "report", "calibrate", "deploy", "endpoint", "testing"),
    ("runtime",),
    ("validation", "legacy"),
    ("compose",),
    ("remote",),
    ("model",),
    ("library", "model_operators"),
    ("errors",),
    ("diagnostics",),
    ("_codes",),
)
HEIGHT = {name: len(LAYERS) - position for position, names in enumerate(LAYERS) for name in names}


def _room(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """The rooms of onnxhybrid that a module imports, at its top or inside of functions."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "onnxhybrid" else [f"onnxhybrid.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("onnxhybrid.")}
    return rooms


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    room = _room(path)
    if room == "__init__":
        return
    for other in _imported(path) - {room}:
        assert HEIGHT[other] < HEIGHT[room], f"{path.name} of {room} imports {other}"


def test_every_room_has_a_place_in_the_layers() -> None:
    rooms = {_room(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert rooms <= set(HEIGHT)

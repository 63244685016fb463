"""The package's files: none imports another in a circle, or by name, and each fits one sitting."""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "onnxhybrid"
FACADE = "onnxhybrid"
BY_HAND = {"__import__", "eval", "exec"}
OF_IMPORTLIB = {"importlib.metadata", "importlib.resources"}
MOST_LINES, MOST_OF_FUNCTION = 350, 40


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(path): path for path in sorted(PACKAGE.rglob("*.py"))}
INNER = [name for name in FILES if name != FACADE]


@functools.cache
def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def imported(source: ast.Module, known: Collection[str]) -> set[str]:
    """The modules among `known` that a source imports, at its top, inside of functions or for its types alone.

    From a package one imports the file of a submodule, or the package's own file with all that it imports in turn.
    """
    found: set[str] = set()
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports name the package"
            assert not node.level, "imports name the package"
            inner = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found.update(full if full in known else node.module for full in inner.values())
    return found & set(known)


def circle(graph: Mapping[str, Collection[str]]) -> list[str]:
    """The nodes of a circle, from one of them back to it; none where there is no circle."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as problem:
        return list(problem.args[1])
    return []


def by_name(source: ast.Module, own: str) -> Iterator[str]:
    """What imports by name: Python's own means, or a text that names a module of another room."""

    def room(module: str) -> str:
        return module.split(".")[1]

    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            yield from (
                a.name for a in node.names if a.name.split(".")[0] == "importlib" and a.name not in OF_IMPORTLIB
            )
        elif isinstance(node, ast.ImportFrom) and node.module == "importlib":
            yield from {f"importlib.{alias.name}" for alias in node.names} - OF_IMPORTLIB
        elif isinstance(node, ast.Name) and node.id in BY_HAND:
            yield node.id
        elif isinstance(node, ast.Constant) and node.value in INNER and room(str(node.value)) != room(own):
            yield str(node.value)


def lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_no_two_files_import_each_other_in_a_circle() -> None:
    assert not circle({name: imported(tree(name), INNER) for name in INNER})


def test_no_two_rooms_of_the_composition_import_each_other_in_a_circle() -> None:
    def room(name: str) -> str:
        return ".".join(name.split(".")[:3])

    rooms: dict[str, set[str]] = {}
    for name in INNER:
        if name.startswith("onnxhybrid.compose."):
            rooms.setdefault(room(name), set()).update(map(room, imported(tree(name), INNER) - {"onnxhybrid.compose"}))
    assert not circle({one: others - {one} for one, others in rooms.items()})


def test_a_circle_is_seen_where_one_of_its_imports_stands_in_a_function() -> None:
    known = ("p", "p.a", "p.b")
    sources = {"p": "from p.a import f", "p.a": "def f():\n    from p import b", "p.b": "from p import f"}
    found = circle({name: imported(ast.parse(source), known) for name, source in sources.items()})
    assert set(found) == set(known)


@pytest.mark.parametrize("name", INNER)
def test_only_the_facade_imports_by_name(name: str) -> None:
    assert not list(by_name(tree(name), name))


@pytest.mark.parametrize(
    "source",
    [
        "import importlib",
        "import importlib.util",
        "from importlib import import_module",
        "__import__('json')",
        "home = 'onnxhybrid.compose.judge.logic'",
    ],
)
def test_an_import_by_name_is_seen(source: str) -> None:
    assert list(by_name(ast.parse(source), "onnxhybrid.model.model"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_fits_one_sitting(name: str) -> None:
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("name", FILES)
def test_a_function_fits_one_thought(name: str) -> None:
    """Its docstring does not count."""
    for node in ast.walk(tree(name)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            documented = node.body[:1] if ast.get_docstring(node) is not None else []
            assert lines(node) - sum(map(lines, documented)) <= MOST_OF_FUNCTION, node.name

"""Writes docs/reference/: a page a room of the package, with the first line of the docstring of every public name.

`python -m docs.site.reference` renews the pages. Where the site is built, each entry is replaced by its whole docstring
(`docs.site.staging`), which is read from the sources, without an import.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
from pathlib import Path
from typing import Any

import onnxhybrid as oh

FOLDER = Path(__file__).parents[1] / "reference"
ROOMS = (
    *("model", "remote", "compose", "judge", "calibration", "validation", "diagnostics", "disclosure", "runtime"),
    *("errors", "deploy", "endpoint", "legacy", "recipe", "feeds", "inspection", "timing"),
)
"""The order of the pages; a room that is not here stands behind them."""
NOTE = "Each entry is the first line of a docstring;"
"""How the sentence begins that only stands where the pages are read as they are."""
_MODULES = {"judge": "compose.judge"}
_APART = {"_codes", "cli"}  # docs/errors.md and docs/command-line.md tell of them


def pages() -> dict[str, str]:
    """The text of every page, by its file's name: index.md and one for each room."""
    rooms = _rooms()
    lines = [f"| [`{_spelled(room)}`]({room}.md) | {_first(_module(room))} |" for room in rooms]
    opening = (
        "# Reference\n\n**Every public name, a page a room of the package.**\n\n| room | what is in it |\n|---|---|"
    )
    return {"index.md": "\n".join([opening, *lines, ""]), **{f"{room}.md": page(room) for room in rooms}}


def page(room: str) -> str:
    """The page of one room."""
    module = _module(room)
    entries = {f"{_prefix(room, name)}.{name}": getattr(module, name) for name in _names(module)}
    opening = (
        f"# {room.capitalize()}\n\n**{_first(module)}**\n\n{NOTE} `help({next(iter(entries))})` shows all of it.\n"
    )
    return "\n".join([opening, *(_entry(shown, value) for shown, value in entries.items())])


def members(kind: type) -> dict[str, str]:
    """The public names of a class that sources of onnxhybrid define, inherited ones too: name -> first line or ""."""
    own = [base for base in kind.__mro__ if base.__module__.startswith("onnxhybrid")]
    named = {name: inspect.getattr_static(base, name, None) for base in reversed(own) for name in _defined(base)}
    return {name: _first(value) if _is_told(value) else "" for name, value in sorted(named.items())}


def _defined(base: type) -> list[str]:
    return [name for name in (*vars(base), *inspect.get_annotations(base)) if not name.startswith("_")]


def _is_told(value: Any) -> bool:
    return isinstance(value, (property, classmethod, staticmethod, types.FunctionType))


def _rooms() -> list[str]:
    found = {info.name for info in pkgutil.iter_modules(oh.__path__)} - _APART
    every = {room for room in found if hasattr(_module(room), "__all__")} | {"judge", "errors"}
    return [room for room in ROOMS if room in every] + sorted(every - set(ROOMS))


def _module(room: str) -> types.ModuleType:
    return importlib.import_module(f"onnxhybrid.{_MODULES.get(room, room)}")


def _names(module: types.ModuleType) -> list[str]:
    """What a room offers: classes and functions, those of `oh` first."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    told = [name for name in names if isinstance(getattr(module, name), (type, types.FunctionType))]
    return sorted(told, key=lambda name: (name not in oh.__all__, name.lower()))


def _spelled(room: str) -> str:
    return f"oh.{room}" if room in oh.__all__ else f"onnxhybrid.{_MODULES.get(room, room)}"


def _prefix(room: str, name: str) -> str:
    module = _module(room)
    return "oh" if name in oh.__all__ and getattr(oh, name) is getattr(module, name) else _spelled(room)


def _entry(shown: str, value: Any) -> str:
    rows = members(value) if isinstance(value, type) else {}
    fields = [f"`.{member}`" for member, told in rows.items() if not told]
    listed = [f"- `.{member}`: {told}" for member, told in rows.items() if told]
    more = [f"- {', '.join(fields)}"] if fields else []
    blocks = [
        f"## `{shown}`",
        _first(value),
        "\n".join(listed + more),
        f"<!-- {value.__module__}.{value.__qualname__} -->\n",
    ]
    return "\n\n".join(block for block in blocks if block)


def _first(value: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def main() -> None:
    """Write the pages, and remove those of rooms that are gone."""
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in written:
            path.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

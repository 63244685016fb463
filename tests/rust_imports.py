"""Which file of a Rust crate imports which, read from the sources alone.

An import is a path, in a `use` or in the code, to something that another file defines. A re-export (`pub use`) leads on
to the file that defines, and is an import of its own file only where that file uses the name itself. `mod x;` says that
a file exists and imports nothing from it. A module of tests belongs to the file that it tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Module = tuple[str, ...]
"""A module's path below the crate's root."""

_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?<!\w)b?r(\#*)".*?"\1|(?<!\w)[bc]?"(?:\\.|[^"\\])*"|'(?:\\.[^']*|[^'\\])'|'\w+"""
    r"""|\$?[A-Za-z_]\w*|::|[{}();,*=!\#\[\]]|\S""",
    re.DOTALL,
)
_WORD = re.compile(r"\$?[A-Za-z_]\w*")


@dataclass
class _Use:
    """One name that a `use` brings into a module."""

    module: Module
    name: str
    path: list[str]
    public: bool


@dataclass
class _File:
    """A source file."""

    module: Module
    uses: list[_Use] = field(default_factory=list)
    paths: list[tuple[Module, list[str]]] = field(default_factory=list)
    """Paths in the code, each with the module that it stands in."""
    words: set[str] = field(default_factory=set)
    """What the code outside of `use` says."""


class Crate:
    """The files of a crate and their imports; `source` is the folder of its `lib.rs`."""

    def __init__(self, source: Path) -> None:
        self._files: dict[Module, _File] = {}
        self._names: dict[Module, str] = {}
        for path in sorted(source.rglob("*.rs")):
            module = _module(path.relative_to(source))
            self._names[module] = path.relative_to(source).as_posix()
            self._files[module] = _read(module, path.read_text("utf-8"))
        self._inline = {use.module for file in self._files.values() for use in file.uses}
        self._inline |= {module for file in self._files.values() for module, _ in file.paths}
        self._bound: dict[tuple[Module, str], _Use] = {}
        for file in self._files.values():
            self._bound.update({(use.module, use.name): use for use in file.uses})

    @property
    def files(self) -> list[str]:
        """The files, by their path below the source folder."""
        return sorted(self._names.values())

    def imports(self) -> dict[str, set[str]]:
        """For each file the others that it imports something of."""
        found: dict[str, set[str]] = {self._name(module): set() for module in self._files}
        for module, file in self._files.items():
            used = [use for use in file.uses if not use.public or use.name in file.words]
            paths = [(use.module, use.path) for use in used] + list(self._starred(file)) + file.paths
            definers = (self._definer(self._resolve(start, path, set())) for start, path in paths)
            found[self._name(module)] |= {definer for definer in definers if definer is not None}
        return {name: targets - {name} for name, targets in found.items()}

    def _starred(self, file: _File) -> Iterator[tuple[Module, list[str]]]:
        """The paths of what a file may name through `use …::*`."""
        for use in file.uses:
            target = self._resolve(use.module, use.path, set()) if use.name == "*" else None
            if target is not None:
                yield from ((use.module, [*use.path, word]) for word in file.words if (target, word) in self._bound)

    def _named(self) -> set[str]:
        return {self._name(module) for module in self._files}

    def _name(self, module: Module) -> str:
        """The file that a module with a file of its own counts to."""
        return self._names[module[:-1] if module[-1:] == ("tests",) and module[:-1] in self._names else module]

    def _definer(self, module: Module | None) -> str | None:
        """The file that a module lies in."""
        while module is not None and module not in self._names:
            module = module[:-1]
        return None if module is None else self._name(module)

    def _is_module(self, module: Module) -> bool:
        return module in self._files or module in self._inline

    def _resolve(self, module: Module, path: list[str], seen: set[tuple[Module, str]]) -> Module | None:
        """The module that defines what `path` names where it stands in `module`; None outside of the crate."""
        head, *rest = path
        if head in ("crate", "$crate"):
            return self._walk((), rest, seen)
        if head == "self":
            return self._walk(module, rest, seen)
        if head == "super":
            while rest[:1] == ["super"]:
                module, rest = module[:-1], rest[1:]
            return self._walk(module[:-1], rest, seen)
        if (module, head) in self._bound or self._is_module((*module, head)):
            return self._walk(module, path, seen)
        return None

    def _walk(self, module: Module, path: list[str], seen: set[tuple[Module, str]]) -> Module | None:
        for index, part in enumerate(path):
            if self._is_module((*module, part)):
                module = (*module, part)
                continue
            use = self._bound.get((module, part))
            if use is None or (module, part) in seen:
                return self._through_stars(module, path[index:], seen)
            return self._resolve(use.module, use.path + path[index + 1 :], seen | {(module, part)})
        return module

    def _through_stars(self, module: Module, path: list[str], seen: set[tuple[Module, str]]) -> Module:
        star = self._bound.get((module, "*"))
        if star is None or not star.public or (module, "*") in seen:
            return module
        return self._resolve(star.module, [*star.path, *path], seen | {(module, "*")}) or module


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """The largest groups of files of which each reaches all others of its group."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for target in imports.get(waiting.pop(), set()) - found:
                found.add(target)
                waiting.append(target)
        return found

    reach = {name: reached(name) for name in imports}
    groups = {frozenset({name, *(to for to in reach[name] if name in reach[to])}) for name in imports}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def code(text: str) -> str:
    """A source without its comments and texts."""
    return " ".join(match[0] for match in _TOKEN.finditer(text) if not _is_text(match[0]))


def _module(path: Path) -> Module:
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] in ("mod", "lib") else parts


def _read(module: Module, text: str) -> _File:
    file = _File(module)
    tokens = [match[0] for match in _TOKEN.finditer(text) if not _is_text(match[0])]
    depth, inline = 0, [(-1, module)]
    index = 0
    while index < len(tokens):
        here, rest = inline[-1][1], tokens[index : index + 3]
        if rest[0] == "use":
            end = tokens.index(";", index)
            leaves = _leaves(tokens[index + 1 : end])
            file.uses += [_Use(here, name, path, _is_public(tokens[:index])) for path, name in leaves]
            index = end
        elif rest[0] == "mod":
            if rest[2] == "{":
                inline.append((depth, (*here, rest[1])))
                depth += 1
            index += 2
        elif rest[0] in "{}":
            depth += 1 if rest[0] == "{" else -1
            inline = [(outer, name) for outer, name in inline if outer < depth]
        elif _WORD.fullmatch(rest[0]):
            path = _path(tokens, index)
            file.words.update(path)
            file.paths += [(here, path)] if len(path) > 1 else []
            index += 2 * (len(path) - 1)
        index += 1
    return file


def _path(tokens: list[str], index: int) -> list[str]:
    """The path that begins at a token: one word at least."""
    path = [tokens[index]]
    while tokens[index + 1 : index + 2] == ["::"] and _WORD.fullmatch("".join(tokens[index + 2 : index + 3])):
        index += 2
        path.append(tokens[index])
    return path


def _is_text(token: str) -> bool:
    return token.startswith(("//", "/*", "'")) or token.endswith('"')


def _is_public(before: list[str]) -> bool:
    """Whether what follows these tokens is seen outside of its module: `pub` or `pub(crate)`."""
    return before[-1:] == ["pub"] or (before[-1:] == [")"] and "pub" in before[-5:])


def _leaves(tokens: list[str]) -> Iterator[tuple[list[str], str]]:
    """Each path of the tree of a `use`, with the name that it binds."""

    def tree(prefix: list[str]) -> Iterator[tuple[list[str], str]]:
        path = list(prefix)
        while tokens:
            token = tokens.pop(0)
            if token == "{":
                while tokens[0] != "}":
                    yield from tree(path)
                    if tokens[0] == ",":
                        tokens.pop(0)
                tokens.pop(0)
                return
            if token == "*":
                yield path, "*"
                return
            if token == "as":
                yield path, tokens.pop(0)
                return
            if token != "::":
                path.append(token)
            if not tokens or tokens[0] in (",", "}"):
                path = path[:-1] if path[-1] == "self" and len(path) > 1 else path
                yield path, path[-1]
                return

    yield from tree([])

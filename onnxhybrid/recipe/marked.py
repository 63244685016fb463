"""YAML as plain data, with the line and column of each value; of YAML only what means what it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from onnxhybrid.errors import Error

Path = tuple[str | int, ...]
"""The way to a value: keys and places in lists."""

Place = tuple[int, int]
"""Line and column, from 1."""

_DEEPEST = 100
_QUOTED = "; put what begins with one of > | & * ! % @ ` into quotes"

_INTEGER = re.compile(r"[-+]?[0-9]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
"""What YAML 1.2's core schema reads as something else than a text; `no`, `on` and dates stay texts."""


@dataclass(frozen=True)
class Marked:
    """A document of YAML.

    Attributes:
        name: what the document is called in messages.
        data: what it says: dicts, lists, texts, numbers, bools and None.
        places: where each value stands; one in a mapping where its key does.
    """

    name: str
    data: Any
    places: dict[Path, Place] = field(repr=False)

    def at(self, path: Path) -> str:
        """Where a value stands, or the closest one around it, as in `hybrid.yaml, line 3, column 5`."""
        return _told(self.name, self.places[self.known(path)])

    def known(self, location: Path) -> Path:
        """The part of a way that leads to a value that is there; names of what is left out are passed over."""
        path: Path = ()
        for step in location:
            if (*path, step) in self.places:
                path = (*path, step)
        return path


def marked(text: str, name: str) -> Marked:
    """Read a document.

    Args:
        text: YAML.
        name: what it is called in messages.

    Raises:
        Error: OH710, it is no YAML; OH711, it uses aliases, tags or another of the things that recipes do without.
    """
    reader = _Reader(name)
    try:
        data = reader.document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = _told(name, (mark.line + 1, mark.column + 1) if mark else (1, 1))
        said = " ".join(filter(None, (problem.context, problem.problem)))
        raise Error("OH710", f"{where}: {said}{_QUOTED}") from None
    except yaml.YAMLError as problem:
        line, column = _place_of(text, getattr(problem, "position", 0))
        message = "a character that YAML does not have"
        raise Error("OH710", f"{_told(name, (line, column))}: {message}") from None
    return Marked(name, data, reader.places)


def _told(name: str, place: Place) -> str:
    return f"{name}, line {place[0]}, column {place[1]}"


def _place_of(text: str, position: int) -> Place:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


class _Reader:
    """Makes data of the events of a parser."""

    def __init__(self, name: str) -> None:
        self.places: dict[Path, Place] = {}
        self._name = name

    def document(self, events: Iterator[yaml.Event]) -> Any:
        """What the one document says; None where there is none."""
        data, count = None, 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                count += 1
                if count > 1 or event.tags:
                    what = "tags" if event.tags else "a second document"
                    raise self._refused(event, f"{what}: a recipe is one document without tags")
                data = self._value(next(events), events, (), None)
        self.places.setdefault((), (1, 1))
        return data

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path, place: Place | None) -> Any:
        self._check(event, path)
        self.places[path] = place or _place(event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items = iter(lambda: next(events), None)
            listed: list[Any] = []
            for item in items:
                if isinstance(item, yaml.SequenceEndEvent):
                    break
                listed.append(self._value(item, events, (*path, len(listed)), None))
            return listed
        return self._mapping(events, path)

    def _mapping(self, events: Iterator[yaml.Event], path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            self._check(key, path)
            if not isinstance(key, yaml.ScalarEvent):
                raise self._refused(key, "a key that is no text")
            if key.value in mapping:
                raise self._refused(key, f"the key {key.value!r} for a second time")
            mapping[key.value] = self._value(next(events), events, (*path, key.value), _place(key))
        return mapping

    def _check(self, event: yaml.Event, path: Path) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._refused(event, f"the alias *{event.anchor}: write the part out, its weights are shared anyway")
        if event.anchor is not None:
            raise self._refused(event, f"the anchor &{event.anchor}: recipes have no aliases")
        if event.tag is not None:
            raise self._refused(event, f"the tag {event.tag}: recipes have none, and an '!' in a text needs quotes")
        if len(path) > _DEEPEST:
            raise self._refused(event, f"more than {_DEEPEST} levels")

    def _refused(self, event: yaml.Event, what: str) -> Error:
        return Error("OH711", f"{_told(self._name, _place(event))}: there is {what}")


def _place(event: yaml.Event) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _scalar(event: yaml.ScalarEvent) -> Any:
    return event.value if event.style else _unquoted(event.value)  # quotes, or a block


def _unquoted(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= 400:
        return int(text)
    if _HEXADECIMAL.fullmatch(text) and len(text) <= 400:
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


_BREAKING = re.compile("[\x85\u2028\u2029\ufeff]")
"""What YAML takes for the end of a line, or for nothing, where it is not escaped."""


class _Dumper(yaml.SafeDumper):
    """Puts texts into quotes that would be read as something else, and writes what is shared in each place."""

    def ignore_aliases(self, data: Any) -> bool:
        """Whether data has no name by which it could stand elsewhere, too."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _BREAKING.search(text) else None if isinstance(_unquoted(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dumped(data: Any) -> str:
    """Data as YAML that `marked` reads as the same data."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text

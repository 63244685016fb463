"""The tree of a composition's parts, as its metadata tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onnxhybrid import library
from onnxhybrid.model import Model
from onnxhybrid.model.metadata import PARTS


@dataclass(frozen=True)
class Part:
    """A part of a composition, or the whole.

    Attributes:
        label: the prefix of its nodes' names; empty for the whole.
        graph: the name of its graph.
        kind: how its own parts are composed; empty where it has none.
        endpoints: where it sends tensors.
        parts: its own parts.
    """

    label: str
    graph: str
    kind: str
    endpoints: tuple[str, ...]
    parts: tuple[Part, ...]

    def document(self) -> dict[str, Any]:
        """The tree, as JSON has it."""
        own = {"label": self.label, "graph": self.graph, "kind": self.kind, "endpoints": list(self.endpoints)}
        return {**own, "parts": [part.document() for part in self.parts]}


def shown_url(url: str) -> str:
    """A URL for people, with stars for the values of its query, which may be keys."""
    return str(library.endpoint(url).get("shown", url)) if "?" in url else url


def parts_of(model: Model) -> Part | None:
    """The tree of a model's parts; None where it is no composition, or its entry has another form."""
    try:
        return _composition(json.loads(model.metadata[PARTS]), "", model.name, ())
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _composition(told: Any, label: str, graph: str, endpoints: tuple[str, ...]) -> Part:
    return Part(label, graph, str(told["kind"]), endpoints, tuple(map(_part, told["parts"])))


def _part(told: Any) -> Part:
    label, graph = str(told.get("label", "")), str(told.get("graph", ""))
    endpoints = (*map(str, told.get("endpoint_names", ())), *map(shown_url, map(str, told.get("endpoints", ()))))
    if "made of" in told:
        return _composition(told["made of"], label, graph, endpoints)
    return Part(label, graph, "", endpoints, ())


def tree(part: Part) -> Iterator[str]:
    """The tree as lines."""
    yield _line(part)
    yield from _branches(part)


def _branches(part: Part) -> Iterator[str]:
    for place, inner in enumerate(part.parts):
        last = place == len(part.parts) - 1
        yield f"{'└─ ' if last else '├─ '}{_line(inner)}"
        yield from (f"{'   ' if last else '│  '}{line}" for line in _branches(inner))


def _line(part: Part) -> str:
    what = part.kind or part.graph
    where = f" → {', '.join(part.endpoints)}" if part.endpoints and not part.kind else ""
    return f"{part.label}: {what}{where}" if part.label else what

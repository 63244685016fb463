"""The pieces of a map: the tree of a model's parts, with the nodes and remote calls of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnx import NodeProto

from onnxhybrid.inspection.description import Description
from onnxhybrid.inspection.parts import Part
from onnxhybrid.model import RemoteSpec
from onnxhybrid.model.graphs import nodes_of

_JUDGES = "ai.onnxhybrid.judge"


@dataclass(frozen=True)
class Piece:
    """A part on the map, or the whole.

    Attributes:
        label: what the composition calls it; empty for the whole.
        title: the name of its graph, or how its own pieces are composed.
        kind: how they are composed; empty where it has none.
        nodes: how many nodes are its own, not those of pieces in it.
        operators: the most frequent of these, each with how often.
        judges: what a judge compares, in words.
        calls: the remote calls that are its own.
        pieces: the pieces in it.
    """

    label: str
    title: str
    kind: str = ""
    nodes: int = 0
    operators: tuple[tuple[str, int], ...] = ()
    judges: tuple[str, ...] = ()
    calls: tuple[RemoteSpec, ...] = ()
    pieces: tuple[Piece, ...] = ()

    @property
    def is_judge(self) -> bool:
        """Whether it says yes or no."""
        return self.kind == "judge" or bool(self.judges and not self.calls and not self.pieces)

    def walk(self, level: int = 0) -> Iterator[tuple[int, Piece]]:
        """Itself and all pieces in it, each with its level."""
        yield level, self
        for piece in self.pieces:
            yield from piece.walk(level + 1)


@dataclass
class _Content:
    """What the nodes' names say of one part."""

    operators: Counter[str] = field(default_factory=Counter)
    judges: list[str] = field(default_factory=list)
    calls: list[RemoteSpec] = field(default_factory=list)


def pieces_of(told: Description) -> Piece:
    """The map of a model: the tree of its parts; of a model that is no composition itself alone."""
    model = told.model
    whole = told.parts or Part("", model.name or "the model", "", (), ())
    paths = {path: _Content() for path, _ in _paths(whole, "")}
    strays = 0
    for node in nodes_of(model.skeleton.graph.node):
        path = _path(node.name or next(iter(node.output), ""), paths)
        strays += not node.name and not path
        _add(paths[path], node)
    if strays and whole.parts:  # nodes that have no names are of some part, and nobody can say of which
        for content in paths.values():
            content.operators.clear()
    for call in model.remotes:
        paths[_caller(call, whole, paths)].calls.append(call)
    return _judging(_piece(whole, "", paths))


def _paths(part: Part, path: str) -> Iterator[tuple[str, Part]]:
    yield path, part
    for inner in part.parts:
        yield from _paths(inner, f"{path}{inner.label}/")


def _path(name: str, paths: Mapping[str, _Content]) -> str:
    """The innermost part whose labels a node's name begins with; a node may be called like its part."""
    found, end = "", -1
    name += "/"
    while (end := name.find("/", end + 1)) >= 0:
        if name[: end + 1] in paths:
            found = name[: end + 1]
    return found


def _caller(call: RemoteSpec, whole: Part, paths: Mapping[str, _Content]) -> str:
    """The part of a call: by its node's name, or where that says nothing the first that lists its endpoint."""
    if found := _path(call.node, paths):
        return found
    places = {call.shown, call.endpoint_name, call.endpoint} - {""}
    listed = (path for path, part in _paths(whole, "") if not part.parts and places & set(part.endpoints))
    return next(listed, "")


def _add(content: _Content, node: NodeProto) -> None:
    content.operators[node.op_type] += 1
    if node.domain.endswith(_JUDGES):
        content.judges.append(node.name.rpartition("/")[2] or node.op_type)


def _piece(part: Part, path: str, paths: Mapping[str, _Content]) -> Piece:
    own = paths[path]
    frequent = sorted(own.operators.items(), key=lambda entry: (-entry[1], entry[0]))[:6]
    return Piece(
        label=part.label,
        title=part.kind or part.graph or "a graph without a name",
        kind=part.kind,
        nodes=own.operators.total(),
        operators=tuple(frequent),
        judges=tuple(own.judges),
        calls=tuple(own.calls),
        pieces=tuple(_piece(inner, f"{path}{inner.label}/", paths) for inner in part.parts),
    )


def _judging(piece: Piece) -> Piece:
    """The same with each judge as one piece, whatever logic it is made of, unless it asks somebody."""
    if piece.kind == "judge" and not any(inner.calls for _, inner in piece.walk()):
        told = tuple(text for _, inner in piece.walk() for text in inner.judges)
        return replace(piece, judges=(_logic(piece),) if piece.pieces else told, pieces=())
    return replace(piece, pieces=tuple(map(_judging, piece.pieces)))


def _logic(piece: Piece) -> str:
    """What a judge compares, with "and" and "or" between."""
    if len(piece.pieces) != 3:
        return ", ".join(piece.judges) or piece.title
    one, other, both = piece.pieces
    word = {"And": " and ", "Or": " or "}.get(both.title, ", ")
    return word.join(f"({_logic(inner)})" if inner.pieces else _logic(inner) for inner in (one, other))


def shortened(whole: Piece, most: int, deepest: int) -> tuple[Piece, int]:
    """The same with at most so many pieces and levels; and how many are left out."""
    total = sum(1 for _ in whole.walk())
    pieces = _cropped(whole, deepest)
    wide = most
    while sum(1 for _ in pieces.walk()) > most and wide > 1:
        wide = wide // 2
        pieces = _narrowed(pieces, wide)
    while deepest > 1 and sum(1 for _ in pieces.walk()) > most:
        deepest -= 1
        pieces = _cropped(pieces, deepest)
    return pieces, total - sum(1 for _, piece in pieces.walk() if piece.kind != "…")


def _cropped(piece: Piece, deepest: int) -> Piece:
    if deepest or not piece.pieces:
        return replace(piece, pieces=tuple(_cropped(inner, deepest - 1) for inner in piece.pieces))
    inside = [inner for _, inner in piece.walk()][1:]
    calls = (*piece.calls, *(call for inner in inside for call in inner.calls))
    return replace(piece, pieces=(), calls=calls, nodes=piece.nodes + sum(inner.nodes for inner in inside))


def _narrowed(piece: Piece, most: int) -> Piece:
    kept: Sequence[Piece] = piece.pieces
    if len(kept) > most:
        kept = (*kept[:most], Piece("", f"… and {len(kept) - most} more parts", "…"))
    return replace(piece, pieces=tuple(_narrowed(inner, most) if inner.kind != "…" else inner for inner in kept))

"""What a map and a page say of parts and calls, in words."""

from __future__ import annotations

from collections.abc import Sequence

from onnxhybrid.model import RemoteSpec
from onnxhybrid.reporting.pieces import Piece

_CAPTIONS = {
    ("cascade", "local"): "first",
    ("cascade", "judge"): "is the answer good enough?",
    ("cascade", "remote"): "if not, asks",
    ("cascade", "audit"): "now and then, to compare",
    ("fallback", "primary"): "first",
    ("fallback", "backup"): "where that fails",
    ("switch", "condition"): "a condition",
    ("switch", "then"): "where it holds",
    ("switch", "else"): "where it does not",
    ("splice", "replacement"): "in place of what was cut out",
}


def caption(kind: str, piece: Piece, number: int) -> str:
    """What a part is to the composition around it."""
    if piece.kind == "…":
        return ""
    if kind == "chain":
        return "then" if number else "first"
    if kind == "route":
        known = {"index": "gives the index", "in range": "checks the index"}
        return known.get(piece.label, "where the index is its place")
    if kind == "ensemble" and piece.label.startswith(("stack", "combine")):
        return "puts the answers together"
    if kind in ("parallel", "ensemble"):
        return "beside it" if number else "side by side"
    return _CAPTIONS.get((kind, piece.label), "")


def called(piece: Piece) -> str:
    """A composition, by its label and its kind."""
    if piece.label and piece.kind not in ("", piece.label):
        return f"{piece.label}: {piece.kind}"
    return piece.kind or piece.label or piece.title


def counted(piece: Piece) -> str:
    """How many nodes a piece has, and which most."""
    most = listed([f"{name} ×{count}" if count > 1 else name for name, count in piece.operators], 3)
    return f"{plural(piece.nodes, 'node')}: {most}" if piece.operators else plural(piece.nodes, "node")


def plural(count: int, word: str) -> str:
    """A number of things."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """Some names; how many more there are."""
    rest = len(names) - most
    told = ", ".join(names[:most]) or "nothing"
    return f"{told} and {rest} more" if rest > 0 else told


def token(call: RemoteSpec) -> str:
    """What a call shows to be let in."""
    if call.credentials:
        return f"credential {', '.join(call.credentials)}"
    return "a token as an input" if call.auth == "input" else "no credential"

"""Brings the tree of a composition's parts into agreement with the calls that its nodes make (docs/metadata.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_PLACES = {"endpoints": "endpoint", "endpoint_names": "endpoint_name"}
"""What a part lists -> what a call says."""

_Callers = Mapping[object, Sequence[str]]
"""Endpoint, or its name -> the nodes that call it."""


def agreeing(entry: str, calls: Sequence[Mapping[str, object]]) -> str:
    """The entry, in which each part lists those endpoints alone that nodes of it call; one that is not ours as it is.

    A node is of a part if the labels of the part, and of those around it, stand in its name. Where a node is of no part
    that lists what it calls, all of those keep it: nodes may have been renamed.
    """
    try:
        tree = json.loads(entry)
        changed = [_keep(tree, "", key, _callers(calls, place)) for key, place in _PLACES.items()]
    except (ValueError, RecursionError):  # a stranger's text may be deep
        return entry
    return json.dumps(tree) if any(changed) else entry


def _callers(calls: Sequence[Mapping[str, object]], place: str) -> _Callers:
    callers: dict[object, list[str]] = {}
    for call in calls:
        callers.setdefault(call.get(place), []).append(str(call.get("node")))
    return callers


def _keep(tree: object, path: str, key: str, callers: _Callers) -> bool:
    """Take out of the lists of a tree's parts what they do not call; whether there was anything."""
    parts = {f"{path}{part['label']}/": part for part in _parts(tree)}
    named = {each for part in parts.values() for each in _listed(part, key)}
    stray = {each for each in named if any(not _within(n, parts, each, key) for n in callers.get(each, ()))}
    changed = False
    for own, part in parts.items():
        told = _listed(part, key)
        nodes: dict[object, list[str]] = {
            each: [n for n in callers.get(each, ()) if each in stray or _is_of(n, own)] for each in told
        }
        kept = [each for each in told if nodes[each]]
        if kept != told:
            part[key] = kept
            if not kept:
                del part[key]
        changed |= kept != told
        changed |= _keep(part.get("made of"), own, key, nodes)
    return changed


def _within(node: str, parts: Mapping[str, dict[str, Any]], endpoint: str, key: str) -> bool:
    """Whether a node is of a part that lists what it calls."""
    return any(endpoint in _listed(part, key) and _is_of(node, path) for path, part in parts.items())


def _is_of(node: str, path: str) -> bool:
    """Whether a node's name has these labels; a node may be called like its part."""
    return f"/{path}" in f"/{node}/"


def _parts(tree: object) -> list[dict[str, Any]]:
    found = tree.get("parts") if isinstance(tree, dict) else None
    parts = found if isinstance(found, list) else []
    return [part for part in parts if isinstance(part, dict) and isinstance(part.get("label"), str)]


def _listed(part: Mapping[str, Any], key: str) -> list[str]:
    """What a part lists; nothing where it is no list of texts."""
    value = part.get(key)
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else []

"""Brings the tree of a composition's parts into agreement with the calls that its nodes make (docs/metadata.md)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

_PLACES = {"endpoints": "endpoint", "endpoint_names": "endpoint_name"}
"""What a part lists -> what a call says."""

_MOST_LEVELS = 500
"""Levels of a tree that are looked at: a stranger's may be deep."""

_Call = Mapping[str, object]
_Part = dict[str, Any]


def agreeing(entry: str, calls: Sequence[_Call]) -> str:
    """The entry, in which each part lists those endpoints alone that nodes of it call; one that is not ours as it is.

    A node is of a part if the labels of the part, and of those around it, stand in its name. What a node calls that is
    of no part that lists it, stays listed: it may have been renamed.
    """
    try:
        tree = json.loads(entry)
        parts = list(_parts(tree, "", _MOST_LEVELS))
    except (ValueError, RecursionError):
        return entry
    changed = [_keep(parts, key, place, calls) for key, place in _PLACES.items()]
    return json.dumps(tree) if any(changed) else entry


def _keep(parts: Sequence[tuple[str, _Part]], key: str, place: str, calls: Sequence[_Call]) -> bool:
    """Take out of each part's list what it does not call; whether there was anything."""
    callers: dict[object, list[str]] = {}
    for call in calls:
        callers.setdefault(call.get(place), []).append(str(call.get("node")))
    listing: dict[str, list[str]] = {}
    for path, part in parts:
        for each in part.get(key) or ():
            listing.setdefault(each, []).append(path)
    stray = {each for each, paths in listing.items() for node in callers.get(each, ()) if not _is_within(node, paths)}
    changed = False
    for path, part in parts:
        told = part.get(key) or []
        kept = [each for each in told if each in stray or any(_is_within(n, [path]) for n in callers.get(each, ()))]
        if kept != told:
            changed = True
            part[key] = kept
            if not kept:
                del part[key]
    return changed


def _is_within(node: str, paths: Collection[str]) -> bool:
    """Whether a node's name has the labels of a part."""
    return any(f"/{path}/" in f"/{node}" for path in paths)


def _parts(tree: object, path: str, levels: int) -> Iterator[tuple[str, _Part]]:
    """Each part of a tree with its labels; one whose lists are not ours is left alone."""
    listed = tree.get("parts") if isinstance(tree, dict) else None
    for part in listed if isinstance(listed, list) and levels else ():
        if not isinstance(part, dict) or not isinstance(part.get("label"), str):
            continue
        own = f"{path}/{part['label']}" if path else part["label"]
        if all(_is_list(part.get(key)) for key in _PLACES):
            yield own, part
        yield from _parts(part.get("made of"), own, levels - 1)


def _is_list(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))

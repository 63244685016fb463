"""Rules about what a file says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.metadata import PARTS, REMOTES, described
from onnxhybrid.validation.subject import Subject

_Call = Mapping[str, object]


def told(subject: Subject) -> Iterator[Finding]:
    """OH314: a file of which a part is in the cloud says what leaves the device."""
    count = sum(1 for _ in subject.remote_nodes())
    entries = {PARTS, REMOTES} & set(subject.model.metadata)
    if count and not entries and len(subject.skeleton.graph.node) > count:
        yield Finding("OH314", f"the metadata has neither {PARTS!r} nor {REMOTES!r}, which tell what leaves the device")


def told_truly(subject: Subject) -> Iterator[Finding]:
    """OH315: what a file says of its remote calls is what its nodes do."""
    calls, metadata = described(subject.skeleton, flows=True), subject.model.metadata
    if REMOTES in metadata:
        said = _calls(metadata[REMOTES])
        texts = _differences(said, calls) if said is not None else ["it is no JSON list of calls"]
        for text in texts:
            yield Finding("OH315", text, f"the metadata entry {REMOTES!r}")
    if PARTS in metadata:
        tree = _parsed(metadata[PARTS])
        for key, entry in (("endpoint", "endpoints"), ("endpoint_name", "endpoint_names")):
            named = set(_texts(tree, entry))
            for call in calls:
                if call.get(key) and call[key] not in named:
                    text = f"the node {call['node']!r} calls {_shown(call[key])!r}, and no part is said to call it"
                    yield Finding("OH315", text, f"the metadata entry {PARTS!r}")


def _calls(entry: str) -> list[_Call] | None:
    """The calls that an entry lists; None where it is no such list."""
    calls = _parsed(entry)
    whole = isinstance(calls, list) and all(isinstance(call, dict) for call in calls)
    return calls if whole else None


def _parsed(entry: str) -> Any:
    try:
        return json.loads(entry)
    except (ValueError, RecursionError):
        return None


def _differences(said: Iterable[_Call], calls: Iterable[_Call]) -> Iterator[str]:
    """What is said of calls and is not so; calls of one name are compared in order."""
    sides = _by_node(said), _by_node(calls)
    for node in dict.fromkeys([*sides[0], *sides[1]]):
        for claim, call in zip_longest(*(side.get(node, []) for side in sides)):
            if call is None:
                yield f"it tells of a call by the node {node!r}, which makes none"
            elif claim is None:
                yield f"it does not tell that the node {node!r} calls {_shown(call.get('endpoint'))!r}"
            else:
                yield from _contradictions(node, claim, call)


def _by_node(calls: Iterable[_Call]) -> dict[object, list[_Call]]:
    found: dict[object, list[_Call]] = {}
    for call in calls:
        name = call.get("node")
        found.setdefault(name if isinstance(name, str) else None, []).append(call)
    return found


def _contradictions(node: object, claim: _Call, call: _Call) -> Iterator[str]:
    """The keys of which both speak, and differently: what another release left out or added is no lie."""
    for key in (key for key in call if key in claim and claim[key] != call[key]):
        yield f"it says {key} {_shown(claim[key])!r} of the node {node!r}, whose own is {_shown(call[key])!r}"


def _shown(value: object) -> object:
    """A value without the query of a URL, in which a key may stand."""
    return re.sub(r"\?.*", "?…", value) if isinstance(value, str) and "://" in value else value


def _texts(tree: Any, entry: str) -> Iterator[object]:
    """Every text in this list of a tree of parts; an explicit stack, since a stranger's tree may be deep."""
    trees = [tree]
    while trees:
        parts = trees.pop()
        for part in _list(parts, "parts"):
            yield from (url for url in _list(part, entry) if isinstance(url, str))
            trees.append(part.get("made of") if isinstance(part, dict) else None)


def _list(holder: Any, key: str) -> list[Any]:
    found = holder.get(key) if isinstance(holder, dict) else None
    return found if isinstance(found, list) else []

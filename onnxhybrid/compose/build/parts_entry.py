"""Lists a composition's parts in its metadata_props (docs/metadata.md)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from onnx import ModelProto

from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.model.certificate import CERTIFICATE
from onnxhybrid.model.editing import SCORE
from onnxhybrid.model.metadata import PARTS, REMOTES, annotate
from onnxhybrid.model.recipe_entry import RECIPE


def annotate_parts(model: ModelProto, combinator: Combinator, parts: Sequence[Part]) -> None:
    """Keep the parts' metadata, and list the parts; where two parts have an entry of one key, the first keeps it."""
    entries: dict[str, str] = {}
    for part in parts:
        for key, value in part.model.metadata.items():
            if key not in (PARTS, REMOTES, SCORE, CERTIFICATE, RECIPE):  # these are true of the part alone
                entries[key if entries.get(key, value) == value else f"{part.label}/{key}"] = value
    described = [_described(part, combinator.role or part.label) for part in parts]
    entries[PARTS] = json.dumps({"kind": combinator.name, "parts": described})
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    annotate(model)


def _described(part: Part, role: str) -> dict[str, object]:
    """One entry of the tree; docs/metadata.md says what it holds."""
    model = part.model
    described: dict[str, object] = {"label": part.label, "role": role, "graph": model.name}
    if producer := f"{model.skeleton.producer_name} {model.skeleton.producer_version}".strip():
        described["producer"] = producer
    if endpoints := sorted({remote.endpoint for remote in model.remotes} - {""}):
        described["endpoints"] = endpoints
    if names := sorted({remote.endpoint_name for remote in model.remotes} - {""}):
        described["endpoint_names"] = names
    if made_of := _made_of(model.metadata.get(PARTS, "")):
        described["made of"] = made_of
    return described


_MOST_LEVELS = 64
"""How many compositions inside each other are told."""


def _made_of(entry: str) -> dict[str, object] | None:
    """The tree of a part that is a composition itself; None where its entry has another form."""
    with contextlib.suppress(ValueError, RecursionError):
        return _tree(json.loads(entry), _MOST_LEVELS)
    return None


def _tree(made: Any, depth: int) -> dict[str, object] | None:
    """The tree of a composition, down to so many levels."""
    if depth == 0 or not isinstance(made, dict) or not isinstance(made.get("parts"), list):
        return None
    parts = [_leaf(part) | _nested(part, depth) for part in made["parts"] if isinstance(part, dict)]
    return {"kind": str(made.get("kind")), "parts": parts}


def _leaf(part: dict[str, Any]) -> dict[str, object]:
    texts = {key: part[key] for key in ("label", "role", "graph", "producer") if isinstance(part.get(key), str)}
    listed = {key: part[key] for key in ("endpoints", "endpoint_names") if isinstance(part.get(key), list)}
    return texts | {key: [str(each) for each in value] for key, value in listed.items()}


def _nested(part: dict[str, Any], depth: int) -> dict[str, object]:
    made_of = _tree(part.get("made of"), depth - 1)
    return {} if made_of is None else {"made of": made_of}

"""The step that every composition ends in: unite what the parts import, annotate, and check."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from onnx import FunctionProto, GraphProto, ModelProto

from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.overlap import is_overlapped, overlapped
from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ComposeError, ValidationError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import GLUE_OPSET, least_ir, newest
from onnxhybrid.model.annotation import REMOTES, annotate
from onnxhybrid.model.check import check
from onnxhybrid.model.editing import SCORE
from onnxhybrid.model.opsets import set_opsets
from onnxhybrid.model.storage.sources import Weights

PARTS = "onnxhybrid.parts"
"""The metadata entry that tells, as JSON, which parts a composition was made of and what they call."""

_OVERLAPPING = ("parallel", "ensemble")
"""The combinators whose remote parts overlap the local ones. What was overlapped before stays so in any other."""


def finished(kind: str, model: ModelProto, parts: Sequence[Part]) -> Model:
    """The composition as a Model.

    Args:
        kind: the combinator.
        model: the finished graph, as a model that is taken over.
        parts: the parts in it, aligned.

    Raises:
        ComposeError: OH209, two parts have different functions of one name.
        ValidationError: a part was not valid.
    """
    _tidy(model.graph)
    model.producer_name = "onnxhybrid"
    model.functions.extend(_functions(parts))
    opsets = newest(part.model.opsets for part in parts)
    opsets.setdefault("", GLUE_OPSET)
    set_opsets(model, opsets)
    model.ir_version = least_ir(model, max(part.model.ir_version for part in parts))
    _annotate(model, kind, parts)
    report = Report.of(check(model))
    if not report:
        raise ValidationError(report, context=f"{kind} was given a part that is not valid")
    whole = Model(model, _weights(parts), checked=True)
    overlaps = kind in _OVERLAPPING or any(is_overlapped(part.model.skeleton) for part in parts)
    return overlapped(whole) if overlaps else whole


def _tidy(graph: GraphProto) -> None:
    """Leave one declaration of each tensor."""
    known = {value.name for value in (*graph.input, *graph.output)}
    kept = {value.name: value for value in graph.value_info if value.name not in known}
    del graph.value_info[:]
    graph.value_info.extend(kept.values())


def _functions(parts: Iterable[Part]) -> list[FunctionProto]:
    """The model-local functions of all parts, each once."""
    functions: dict[tuple[str, str, str], tuple[FunctionProto, str]] = {}
    for part in parts:
        for function in part.model.skeleton.functions:
            key = (function.domain, function.name, function.overload)
            known, label = functions.setdefault(key, (function, part.label))
            if known != function:
                raise ComposeError(
                    "OH209",
                    f"the parts {label!r} and {part.label!r} hold different functions "
                    f"{function.domain}.{function.name}; inline those of one part first, with "
                    "onnx.inliner.inline_local_functions",
                )
    return [function for function, _ in functions.values()]


def _annotate(model: ModelProto, kind: str, parts: Sequence[Part]) -> None:
    """Keep the parts' metadata, and write down which parts there are; the first of two entries of one key keeps it."""
    entries: dict[str, str] = {}
    for part in parts:
        for key, value in part.model.metadata.items():
            if key not in (PARTS, REMOTES, SCORE):  # what is true of the part alone
                entries[key if entries.get(key, value) == value else f"{part.label}/{key}"] = value
    entries[PARTS] = json.dumps({"kind": kind, "parts": [_described(part, kind) for part in parts]})
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    annotate(model)


def _described(part: Part, kind: str) -> dict[str, object]:
    """One entry of the tree; docs/metadata.md says what it holds."""
    model = part.model
    described: dict[str, object] = {"label": part.label, "role": _ROLES.get(kind, part.label), "graph": model.name}
    if producer := f"{model.skeleton.producer_name} {model.skeleton.producer_version}".strip():
        described["producer"] = producer
    if endpoints := sorted({remote.endpoint for remote in model.remotes}):
        described["endpoints"] = endpoints
    if made_of := _made_of(model.metadata.get(PARTS, "")):
        described["made of"] = made_of
    return described


_ROLES = {"chain": "step", "parallel": "member", "ensemble": "member"}
"""What a part is to its composition, where its label does not say it as `judge` or `then` do."""

_MAX_DEPTH = 64
"""How many compositions inside each other are told."""


def _made_of(entry: str) -> dict[str, object] | None:
    """The tree that a part brings; None where its entry is not ours."""
    with contextlib.suppress(ValueError, RecursionError):
        return _tree(json.loads(entry), _MAX_DEPTH)
    return None


def _tree(made: Any, depth: int) -> dict[str, object] | None:
    """What is known of a composition; depth is how many more levels are told."""
    if depth == 0 or not isinstance(made, dict) or not isinstance(made.get("parts"), list):
        return None
    parts = [_leaf(part) | _nested(part, depth) for part in made["parts"] if isinstance(part, dict)]
    return {"kind": str(made.get("kind")), "parts": parts}


def _leaf(part: dict[str, Any]) -> dict[str, object]:
    texts = {key: part[key] for key in ("label", "role", "graph", "producer") if isinstance(part.get(key), str)}
    endpoints = part.get("endpoints")
    return texts | ({"endpoints": [str(url) for url in endpoints]} if isinstance(endpoints, list) else {})


def _nested(part: dict[str, Any], depth: int) -> dict[str, object]:
    made_of = _tree(part.get("made of"), depth - 1)
    return {} if made_of is None else {"made of": made_of}


def _weights(parts: Iterable[Part]) -> Weights:
    return {key: source for part in parts for key, source in part.model.weights.items()}

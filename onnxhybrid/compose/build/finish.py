"""The step that every composition ends in: unite what the parts import, annotate, and check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from onnx import GraphProto, ModelProto

from onnxhybrid.compose.build.functions import united
from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.parts_entry import annotate_parts
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.overlap.overlap import overlapped
from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ValidationError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import GLUE_OPSET, least_ir, newest
from onnxhybrid.model.check import check
from onnxhybrid.model.messages import replace
from onnxhybrid.model.metadata import update
from onnxhybrid.model.opsets import set_opsets
from onnxhybrid.model.sequential import is_overlapped
from onnxhybrid.model.storage.sources import Weights


def finished(
    combinator: Combinator,
    model: ModelProto,
    parts: Sequence[Part],
    last: Callable[[ModelProto], None] | None = None,
) -> Model:
    """The composition as a Model.

    Args:
        combinator: the way in which the parts were composed.
        model: the finished graph, as a model that is taken over.
        parts: the parts in it, aligned and `told_apart`.
        last: a last change of the model, once it is annotated and checked.

    Raises:
        ValidationError: a part was not valid.
    """
    _tidy(model.graph)
    model.producer_name = "onnxhybrid"
    model.functions.extend(united(parts))
    opsets = newest(part.model.opsets for part in parts)
    opsets.setdefault("", GLUE_OPSET)
    set_opsets(model, opsets)
    model.ir_version = least_ir(model, max(part.model.ir_version for part in parts))
    annotate_parts(model, combinator, parts)
    report = Report.of(check(model))
    if not report:
        raise ValidationError(report, context=f"{combinator.name} was given a part that is not valid")
    if last is not None:
        last(model)
        update(model)
    whole = Model(model, _weights(parts), checked=last is None)
    return overlapped(whole) if combinator.overlaps or is_overlapped(model) else whole


def _tidy(graph: GraphProto) -> None:
    """Leave one declaration of each tensor."""
    known = {value.name for value in (*graph.input, *graph.output)}
    kept = {value.name: value for value in graph.value_info if value.name not in known}
    replace(graph.value_info, kept.values())


def _weights(parts: Iterable[Part]) -> Weights:
    return {key: source for part in parts for key, source in part.model.weights.items()}

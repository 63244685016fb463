"""The steps that are taken node by node, in nested graphs and functions, too.

Each is a change of the standard that its changelog states, and that was proven by running both versions
(`tests/test_alignment.py`). Source: https://github.com/onnx/onnx/blob/main/docs/Changelog.md
"""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto

from onnxhybrid.model.alignment import inputs, resizing
from onnxhybrid.model.alignment.scope import Scope
from onnxhybrid.model.alignment.softmaxes import softmax_to_13
from onnxhybrid.model.alignment.stages import Stage
from onnxhybrid.model.axes import EARLIER, REDUCTIONS
from onnxhybrid.model.schemas import operator_keeps_meaning

Step = Callable[[NodeProto, Scope], Stage]

_STEPS: dict[str, dict[int, Step]] = {
    **{operator: {13: inputs.axes_to_input} for operator in EARLIER},
    **{operator: {18: inputs.axes_to_input} for operator in REDUCTIONS},
    **{operator: {13: softmax_to_13} for operator in ("Hardmax", "LogSoftmax", "Softmax")},
    "BatchNormalization": {9: inputs.batch_normalization_to_9, 14: inputs.batch_normalization_to_14},
    "Clip": {11: inputs.clip_to_11},
    "Dropout": {10: inputs.dropout_to_10, 12: inputs.dropout_to_12},
    "Pad": {11: inputs.pad_to_11},
    "Resize": {11: resizing.resize_to_11, 13: resizing.resize_to_13},
    "Slice": {10: inputs.slice_to_10},
    "Split": {13: inputs.split_to_13, 18: inputs.split_to_18},
    "TopK": {10: inputs.topk_to_10},
}
"""operator -> the opset that changed it -> what has to be done with a node of the opset before"""

_EXPERIMENTAL = {"ThresholdedRelu": 10}
"""operator -> the opset that took it into the standard as ONNX Runtime had it before"""


def steps(operator: str, old: int, new: int) -> list[Step] | None:
    """What turns an operator of the standard domain from one opset into another; None if that is not known."""
    if 7 <= old < _EXPERIMENTAL.get(operator, 0) <= new:
        return [] if operator_keeps_meaning(operator, _EXPERIMENTAL[operator], new) else None
    if operator == "Upsample" and old < 10:
        return _upsample_steps(old, new)
    found: list[Step] = []
    at = old
    for since in sorted(_STEPS.get(operator, ())):
        if old < since <= new:
            if not _keeps(operator, at, since - 1):
                return None
            found.append(_STEPS[operator][since])
            at = since
    return found if _keeps(operator, at, new) else None


def _upsample_steps(old: int, new: int) -> list[Step] | None:
    """Resize is in its place since opset 10."""
    if old < 7:
        return None
    first: list[Step] = [resizing.upsample_to_9] if old < 9 <= new else []
    if new < 10:
        return first
    if new == 10:
        return [*first, resizing.upsample_to_10]
    rest = steps("Resize", 11, new)
    return None if rest is None else [*first, resizing.upsample_to_11, *rest]


def _keeps(operator: str, old: int, new: int) -> bool:
    return old == new or operator_keeps_meaning(operator, old, new)


def taken(node: NodeProto, path: list[Step], scope: Scope) -> list[NodeProto]:
    """A node after some steps, which change it, with the nodes that it needs before and after it.

    Raises:
        Unproven: one of the steps does not provably keep what this node means.
    """
    before: list[NodeProto] = []
    after: list[NodeProto] = []
    for step in path:
        stage = step(node, scope)
        scope.learn(stage.before)
        before, after = before + stage.before, stage.after + after
    read = {name for one in (*before, node, *after) for name in one.input}
    return [*(one for one in before if read.intersection(one.output)), node, *after]

"""Operators whose attributes became inputs, or went."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, helper

from onnxhybrid.model.alignment.scope import Array, Scope, Unproven
from onnxhybrid.model.alignment.stages import Stage, attribute, drop


def axes_to_input(node: NodeProto, scope: Scope) -> Stage:
    """Reductions, Squeeze and Unsqueeze: the axes, if there are any."""
    return _inputs(node, scope, {"axes": _numbers(attribute(node, "axes"))})


def split_to_13(node: NodeProto, scope: Scope) -> Stage:
    """The sizes of the parts, if they are given."""
    return _inputs(node, scope, {"split": _numbers(attribute(node, "split"))})


def split_to_18(node: NodeProto, scope: Scope) -> Stage:
    """Equal parts are asked for by their number."""
    if len(node.input) < 2 or not node.input[1]:
        node.attribute.append(helper.make_attribute("num_outputs", len(node.output)))
    return Stage()


def slice_to_10(node: NodeProto, scope: Scope) -> Stage:
    """Where to start and to end, and along which axes: the first ones, if that is not said."""
    starts, ends = attribute(node, "starts"), attribute(node, "ends")
    axes = attribute(node, "axes", range(len(starts)))
    return _inputs(node, scope, {"starts": _numbers(starts), "ends": _numbers(ends), "axes": _numbers(axes)})


def topk_to_10(node: NodeProto, scope: Scope) -> Stage:
    """How many."""
    return _inputs(node, scope, {"k": _numbers([attribute(node, "k")])})


def pad_to_11(node: NodeProto, scope: Scope) -> Stage:
    """How much, and with what, which has the type of what is padded."""
    value = attribute(node, "value", 0.0)
    filled = None if not value else np.array(value, _dtype(node, scope))
    return _inputs(node, scope, {"pads": _numbers(attribute(node, "pads")), "value": filled})


def clip_to_11(node: NodeProto, scope: Scope) -> Stage:
    """The limits, which have the type of what is clipped."""
    limits = {name: attribute(node, name) for name in ("min", "max")}
    return _inputs(
        node, scope, {name: None if v is None else np.array(v, _dtype(node, scope)) for name, v in limits.items()}
    )


def dropout_to_10(node: NodeProto, scope: Scope) -> Stage:
    """The mask was a number."""
    if any(node.output[1:]):
        raise Unproven("its mask has another type")
    return Stage()


def dropout_to_12(node: NodeProto, scope: Scope) -> Stage:
    """The ratio, of which nothing depends: there is no training before opset 12."""
    attribute(node, "ratio")
    drop(node, "ratio")
    return Stage()


def batch_normalization_to_9(node: NodeProto, scope: Scope) -> Stage:
    """It had a form with statistics for each element."""
    if attribute(node, "spatial", 1) != 1:
        raise Unproven("its statistics are not by channel")
    drop(node, "spatial")
    return Stage()


def batch_normalization_to_14(node: NodeProto, scope: Scope) -> Stage:
    """Training was asked for by more outputs."""
    if any(node.output[1:]):
        raise Unproven("it asks for statistics as in training")
    return Stage()


def _inputs(node: NodeProto, scope: Scope, values: dict[str, Array | None]) -> Stage:
    """Let a node read what were attributes; the last ones that are not there are left out."""
    drop(node, *values)
    before = []
    for name, value in values.items():
        if value is None:
            node.input.append("")
            continue
        weight = scope.weight(value, f"{node.output[0]}/{name}")
        before.append(weight)
        node.input.append(weight.output[0])
    while node.input and not node.input[-1]:
        node.input.pop()
    return Stage(before)


def _numbers(values: Sequence[int] | None) -> Array | None:
    return None if values is None else np.array(values, np.int64)


def _dtype(node: NodeProto, scope: Scope) -> np.dtype[np.generic]:
    elem_type = scope.elem_type(node.input[0])
    if elem_type is None:
        raise Unproven("the type of what it reads is not known")
    return helper.tensor_dtype_to_np_dtype(elem_type)

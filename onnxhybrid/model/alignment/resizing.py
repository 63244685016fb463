"""Resize and Upsample between opsets.

Source: the operators' changelog, and runs of both versions over every mode and scale. Before opset 11 a nearest pixel
is the one below where a size grows, and the one above where it shrinks.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from onnxhybrid.model.alignment.scope import Scope, Unproven
from onnxhybrid.model.alignment.stages import Stage, attribute, drop


def upsample_to_9(node: NodeProto, scope: Scope) -> Stage:
    """Scales were an attribute."""
    scales = scope.weight(np.array(attribute(node, "scales"), np.float32), f"{node.output[0]}/scales")
    drop(node, "scales")
    node.input.append(scales.output[0])
    return Stage([scales])


def upsample_to_10(node: NodeProto, scope: Scope) -> Stage:
    """Upsample became Resize."""
    node.op_type = "Resize"
    return Stage()


def upsample_to_11(node: NodeProto, scope: Scope) -> Stage:
    """Upsample became Resize, and no size shrinks."""
    node.op_type = "Resize"
    return _asymmetric(node, scope, "floor")


def resize_to_11(node: NodeProto, scope: Scope) -> Stage:
    """What opset 10 did is one of several modes, in which a nearest pixel is looked for in one direction."""
    direction = "floor"
    if attribute(node, "mode", b"nearest") == b"nearest":
        scales = scope.constant(node.input[1])
        if scales is None:
            raise Unproven("which pixel is the nearest follows from scales that are no constant")
        if scales.min(initial=1) < 1 < scales.max(initial=1):
            raise Unproven("it grows along one axis and shrinks along another one")
        direction = "ceil" if scales.min(initial=1) < 1 else "floor"
    return _asymmetric(node, scope, direction)


def _asymmetric(node: NodeProto, scope: Scope, direction: str) -> Stage:
    node.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
    node.attribute.append(helper.make_attribute("nearest_mode", direction))
    roi = scope.weight(np.zeros(0, np.float32), f"{node.output[0]}/roi")
    node.input.insert(1, roi.output[0])
    return Stage([roi])


def resize_to_13(node: NodeProto, scope: Scope) -> Stage:
    """What is not there was an empty tensor."""
    mode = attribute(node, "coordinate_transformation_mode", b"half_pixel")
    if mode == b"tf_half_pixel_for_nn":
        raise Unproven("its mode tf_half_pixel_for_nn is none any more")
    names = [*node.input, "", "", ""][:4]
    if mode != b"tf_crop_and_resize":
        names[1] = ""  # read in this mode alone
    if names[3]:
        names[2] = ""  # by the standard an empty one
    while not names[-1]:
        names.pop()
    del node.input[:]
    node.input.extend(names)
    return Stage()

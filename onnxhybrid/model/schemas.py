"""Whether an operator means the same in two versions of its domain, as far as the operator schemas of onnx can tell."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from onnx import NodeProto, defs

from onnxhybrid.model.opsets import standard

# Operators whose meaning changed although the new schema takes everything that the old one took, and the versions in
# which it did. Source: https://github.com/onnx/onnx/blob/main/docs/Changelog.md
_CHANGED = {
    "AveragePool": {19},  # the last window under ceil_mode
    "GridSample": {20},  # names of modes
    "GroupNormalization": {21},  # scale and bias by channel instead of by group
    "Hardmax": {13},  # one axis instead of all from it on
    "LogSoftmax": {13},
    "RoiAlign": {16},  # half a pixel
    "Resize": {11, 13},
    "Softmax": {13},
    "Split": {18},  # without sizes it needs num_outputs
    "Upsample": {9, 10},
}


@functools.lru_cache(maxsize=16384)
def since_version(domain: str, operator: str, version: int) -> int:
    """The opset in which an operator became what it is in a version of its domain; 0 if onnx has none of the name."""
    try:
        return defs.get_schema(operator, version, domain).since_version
    except (defs.SchemaError, TypeError):
        return 0


def is_deprecated(domain: str, operator: str, version: int) -> bool:
    """Whether a version of a domain knows an operator only as one that others took the place of."""
    return since_version(domain, operator, version) > 0 and defs.get_schema(operator, version, domain).deprecated


def keeps_meaning(node: NodeProto, old: int, new: int) -> bool:
    """Whether a node of a domain's version `old` is, as it stands, the same in version `new`."""
    return _compatible(standard(node.domain), node.op_type, old, new)


def operator_keeps_meaning(operator: str, old: int, new: int) -> bool:
    """Whether an operator of the standard domain is the same in versions `old` and `new`, where both know it."""
    return _compatible("", operator, old, new)


@functools.lru_cache(maxsize=4096)
def _compatible(domain: str, operator: str, old: int, new: int) -> bool:
    try:
        before, after = (defs.get_schema(operator, version, domain) for version in (old, new))
    except (defs.SchemaError, TypeError):  # TypeError: a version that onnx's own numbers do not hold
        return False
    if before.since_version == after.since_version:
        return True
    crossed = any(before.since_version < version <= after.since_version for version in _CHANGED.get(operator, ()))
    return not crossed and domain in ("", "ai.onnx.ml") and _widened(before, after)


def _widened(before: defs.OpSchema, after: defs.OpSchema) -> bool:
    """Whether whatever the old schema takes and gives, the new one does."""
    return (
        not after.deprecated
        and _parameters_widened(before.inputs, after.inputs)
        and _parameters_widened(before.outputs, after.outputs)
        and _attributes_widened(before, after)
    )


def _parameters_widened(
    before: Sequence[defs.OpSchema.FormalParameter], after: Sequence[defs.OpSchema.FormalParameter]
) -> bool:
    return (
        len(before) <= len(after)
        and all(_widened_option(one, two) and one.types <= two.types for one, two in zip(before, after, strict=False))
        and all(added.option == _OPTION.Optional for added in after[len(before) :])
    )


_OPTION = defs.OpSchema.FormalParameterOption


def _widened_option(one: defs.OpSchema.FormalParameter, two: defs.OpSchema.FormalParameter) -> bool:
    return one.option == two.option or (one.option == _OPTION.Single and two.option == _OPTION.Optional)


def _attributes_widened(before: defs.OpSchema, after: defs.OpSchema) -> bool:
    kept = all(
        name in after.attributes
        and one.type == after.attributes[name].type
        and one.default_value == after.attributes[name].default_value
        for name, one in before.attributes.items()
    )
    return kept and not any(added.required for name, added in after.attributes.items() if name not in before.attributes)

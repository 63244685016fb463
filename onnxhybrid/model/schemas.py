"""Whether an operator means the same in two versions of its domain, as far as the operator schemas of onnx can tell."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from onnx import NodeProto, defs

from onnxhybrid.model.opsets import standard

# Operators whose meaning changed although the new schema takes everything that the old one took, and the versions in
# which it did. Source: https://github.com/onnx/onnx/blob/main/docs/Changelog.md
_CHANGED = {
    "Attention": {24},  # see below
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

_CHANGED_OUTPUTS = {
    "Attention": {24: 3},  # which step of the product of queries and keys qk_matmul_output_mode names
}
"""Operators of which one output changed its meaning: in which version, and which output."""


@functools.lru_cache(maxsize=16384)
def since_version(domain: str, operator: str, version: int) -> int:
    """The opset in which an operator became what it is in a version of its domain; 0 if onnx has none of the name."""
    schema = _schema(domain, operator, version)
    return schema.since_version if schema else 0


def is_deprecated(domain: str, operator: str, version: int) -> bool:
    """Whether a version of a domain knows an operator only as one that others took the place of."""
    schema = _schema(domain, operator, version)
    return schema is not None and schema.deprecated


def _schema(domain: str, operator: str, version: int) -> defs.OpSchema | None:
    try:
        return defs.get_schema(operator, version, domain)
    except (defs.SchemaError, TypeError):  # onnx takes versions of 32 bits, and a file may name a longer one
        return None


def keeps_meaning(node: NodeProto, old: int, new: int) -> bool:
    """Whether a node of a domain's version `old` is, as it stands, the same in version `new`."""
    domain = standard(node.domain)
    changed = _CHANGED_OUTPUTS.get(node.op_type, {})
    unasked = {version for version, position in changed.items() if not any(node.output[position:])}
    return _compatible(domain, node.op_type, old, new, frozenset(unasked))


def operator_keeps_meaning(operator: str, old: int, new: int) -> bool:
    """Whether an operator of the standard domain is the same in versions `old` and `new`, where both know it."""
    return _compatible("", operator, old, new)


@functools.lru_cache(maxsize=4096)
def _compatible(domain: str, operator: str, old: int, new: int, harmless: frozenset[int] = frozenset()) -> bool:
    before, after = (_schema(domain, operator, version) for version in (old, new))
    if before is None or after is None:
        return False
    if before.since_version == after.since_version:
        return True
    changes = _CHANGED.get(operator, set()) - harmless
    crossed = any(before.since_version < version <= after.since_version for version in changes)
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

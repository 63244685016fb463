"""Brings models to common opsets and a common IR version.

A step from one opset to another is taken where it is proven: every operator that the model uses means the same in both
(`onnxhybrid.model.schemas`), or the step is one of `steps`, or the version converter of onnx knows it; and only where
ONNX Runtime has the kernels. Everything else is an error, never a guess.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from onnxhybrid.errors import ComposeError
from onnxhybrid.model.alignment.ir import least_ir
from onnxhybrid.model.alignment.lowering import lower_opset, oldest
from onnxhybrid.model.alignment.raising import raise_opset
from onnxhybrid.model.attributes import require_sound
from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.editing import free_initializers
from onnxhybrid.model.inference import tensor_types
from onnxhybrid.model.messages import copied
from onnxhybrid.model.model import Model
from onnxhybrid.model.opsets import Opsets

GLUE_OPSET = 17
"""The standard opset of a composition whose parts import none."""

_MOST_STEPS = 64
"""Opsets that are tried; a file may say that it imports any number."""


def align(models: Sequence[Model], at_least: int = 0) -> list[Model]:
    """The models, all on common opsets, the standard one no older than `at_least`.

    These are the newest among them. Where a model cannot be brought there, they are the newest that all can be brought
    to, a newer model as long as none of its operators is another one there.

    Raises:
        ComposeError: OH102, a step to a common opset is not proven.
        ModelError: OH130, a model that needs a step has a node that says what its operator does not take.
    """
    aligned = list(models)
    for domain, version in newest(model.opsets for model in models).items():
        aligned = _on_one(aligned, domain, version, at_least if not domain else 0)
    return aligned


def newest(opsets: Iterable[Opsets]) -> Opsets:
    """For each domain its newest version."""
    united = Opsets()
    for imports in opsets:
        for domain, version in imports.items():
            united[domain] = max(version, united.get(domain, 0))
    return united


def _on_one(models: list[Model], domain: str, version: int, at_least: int) -> list[Model]:
    """All models on one version of a domain."""
    newest_of_all = next((model.name for model in models if model.opsets.get(domain) == version), "")
    wanted_by = f"the part {newest_of_all!r}" if version >= at_least else "what composes it"
    try:
        return [_at(model, domain, max(version, at_least), wanted_by) for model in models]
    except ComposeError:
        behind = max(oldest(model.skeleton, domain) for model in models if domain in model.opsets)
        for older in range(version - 1, max(behind, at_least, version - _MOST_STEPS) - 1, -1):
            with contextlib.suppress(ComposeError):
                return [_at(model, domain, older, wanted_by) for model in models]
        raise


def _at(model: Model, domain: str, version: int, wanted_by: str) -> Model:
    own = model.opsets.get(domain)
    if own is None or own == version:
        return model
    require_sound(model.skeleton)
    proto = copied(model.skeleton)
    if own < version:
        raise_opset(proto, domain, version, wanted_by)
    else:
        lower_opset(proto, domain, version)
    return Model(proto, model.weights)


def lifted(model: Model) -> Model:
    """The model as a composition takes it: above IR 3, and with the types of its outputs as far as they are known.

    Up to IR 3 initializers had to be inputs although nobody could feed them. An output may be declared by name alone,
    as ONNX Runtime infers its type.
    """
    untyped = [value.name for value in model.skeleton.graph.output if type_name(value.type) == "undefined"]
    if model.ir_version >= 4 and not untyped:
        return model
    proto = copied(model.skeleton)
    if model.ir_version < 4:
        free_initializers(proto)
    if untyped:
        types = tensor_types(proto)
        for value in proto.graph.output:
            if value.name in untyped and value.name in types:
                value.type.CopyFrom(types[value.name].type)
    return Model(proto, model.weights)


__all__ = ["GLUE_OPSET", "align", "least_ir", "lifted", "newest"]

"""Opset imports as a mapping."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import FunctionProto, ModelProto, OperatorSetIdProto

from onnxhybrid.model.graphs import nodes_of


class Opsets(dict[str, int]):
    """Domain -> version. The standard domain is `""`, and `opsets["ai.onnx"]` finds it too."""

    def __missing__(self, domain: str) -> int:
        if domain == "ai.onnx":
            return self[""]
        raise KeyError(domain)


def opsets_of(imports: Iterable[OperatorSetIdProto]) -> Opsets:
    """The imports as a mapping; where a domain is imported twice the last one counts, as in ONNX Runtime."""
    return Opsets({standard(entry.domain): entry.version for entry in imports})


def set_opsets(model: ModelProto, opsets: dict[str, int]) -> None:
    """Write the mapping into the model, each domain once, in a fixed order."""
    del model.opset_import[:]
    for domain in sorted(opsets):
        model.opset_import.add(domain=domain, version=opsets[domain])


def unite_opsets(model: ModelProto) -> None:
    """Import each domain once, in a fixed order; one that is imported in two versions stays as it is, to be found."""
    own = opsets_of(model.opset_import)
    if len({(standard(entry.domain), entry.version) for entry in model.opset_import}) == len(own):
        set_opsets(model, own)


def imported(model: ModelProto) -> set[str]:
    """Every domain that the model or one of its functions imports; a node of another domain cannot run."""
    own = (entry for function in model.functions for entry in function.opset_import)
    return {standard(entry.domain) for entry in (*model.opset_import, *own)}


def standard(domain: str) -> str:
    """The one spelling of a domain: `ai.onnx` is the empty one."""
    return "" if domain == "ai.onnx" else domain


def spell_functions(functions: Iterable[FunctionProto]) -> None:
    """Write the standard domain as the empty one inside of functions, where ONNX Runtime knows no other spelling."""
    for function in functions:
        for entry in (*nodes_of(function.node), *function.opset_import):
            if entry.domain == "ai.onnx":
                entry.domain = ""

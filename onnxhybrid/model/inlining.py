"""Inlines the functions of a model that hold nodes of some kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onnx import ModelProto, NodeProto, checker, inliner

from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.graphs import nodes_of


def without_functions(model: ModelProto, holds: Callable[[NodeProto], bool]) -> ModelProto:
    """The model with each function inlined in which `holds` is true of a node, at any depth.

    Raises:
        ValueError: one of them cannot be inlined.
    """
    functions = [(key_of(function), list(nodes_of(function.node))) for function in model.functions]
    inlined = {key for key, nodes in functions if any(map(holds, nodes))}
    while more := {
        key for key, nodes in functions if key not in inlined and any(called(node) in inlined for node in nodes)
    }:
        inlined |= more
    return _inlined(model, inlined) if inlined else model


def _inlined(model: ModelProto, functions: Iterable[Key]) -> ModelProto:
    """The model with these functions inlined, and all others of their names.

    Raises:
        ValueError: onnx cannot inline one of them, such as a function that calls itself.
    """
    try:
        return inliner.inline_selected_functions(model, sorted({(domain, name) for domain, name, _ in functions}))
    except (RuntimeError, ValueError, checker.ValidationError) as problem:
        raise ValueError(str(problem).partition("\n")[0]) from None

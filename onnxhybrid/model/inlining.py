"""Inlining functions, with one kind of failure."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import ModelProto, checker, inliner


def inlined(model: ModelProto, functions: Iterable[tuple[str, str]]) -> ModelProto:
    """The model with these functions, each a domain and a name, inlined.

    Raises:
        ValueError: onnx cannot inline one of them, such as a function that calls itself.
    """
    try:
        return inliner.inline_selected_functions(model, sorted(functions))
    except (RuntimeError, ValueError, checker.ValidationError) as problem:
        raise ValueError(str(problem).partition("\n")[0]) from None

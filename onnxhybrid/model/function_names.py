"""Renames model-local functions, with whatever calls them."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto

from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.runtime_operators import outranks
from onnxhybrid.model.training import training_nodes


def rename_functions(model: ModelProto, names: Mapping[Key, str]) -> None:
    """Give functions of a model other names, in place; domains and overloads stay.

    Args:
        model: the model.
        names: what a function is known by -> its new name.
    """
    for node in (*all_nodes(model), *training_nodes(model)):
        if new := names.get(called(node)):
            node.op_type = new
    for function in model.functions:
        function.name = names.get(key_of(function), function.name)


def prefix_functions(model: ModelProto, prefix: str) -> None:
    """Put a prefix before the name of each function that is ever called.

    Where ONNX Runtime has an operator of that name it runs the operator, and under another name it would run the
    function; such a function keeps its name, so that the model keeps its values.
    """
    keys = map(key_of, model.functions)
    rename_functions(model, {key: prefix + key[1] for key in keys if not outranks(key)})

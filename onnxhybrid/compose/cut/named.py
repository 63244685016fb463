"""The tensors that a caller of `split` or `splice` names, and what is known of them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

from onnx import ValueInfoProto

from onnxhybrid.compose.build.types import Declared, mismatch
from onnxhybrid.compose.build.untrained import untrained
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec


def checked_model(model: object, what: str) -> Model:
    """The argument, which has to be a Model, without training_info.

    Raises:
        ComposeError: OH205, it is none.
    """
    if not isinstance(model, Model):
        raise ComposeError(
            "OH205", f"{what} is a {type(model).__name__}, and a Model is needed, as oh.load(path) gives"
        )
    return untrained(model)


def named_tensors(given: object, types: Mapping[str, ValueInfoProto], what: str) -> dict[str, Declared]:
    """The tensors of the main graph that a caller names, in order, and what is known of each.

    Args:
        given: names, or TensorSpecs where nothing declares a type and none can be inferred.
        types: the tensors that there are, and what is known of each.
        what: the argument, for messages.

    Raises:
        ComposeError: OH235, it is no list of tensors, or one stands in it twice; OH236, the model has no such tensor;
            OH238, a TensorSpec contradicts what is known.
    """
    if isinstance(given, (str, bytes, TensorSpec)) or not isinstance(given, Iterable):
        raise ComposeError("OH235", f"{what} is a list of tensors, as in {what}=['features'], not {given!r}")
    chosen: dict[str, Declared] = {}
    for entry in given:
        name = entry.name if isinstance(entry, TensorSpec) else entry
        if not isinstance(name, str):
            raise ComposeError("OH235", f"{what} holds {entry!r}, and a tensor's name or a TensorSpec is needed")
        if name in chosen:
            raise ComposeError("OH235", f"{what} names the tensor {name!r} twice")
        if name not in types:
            raise _unknown(name, types, what)
        known = Declared(types[name])
        chosen[name] = _described(entry, known) if isinstance(entry, TensorSpec) else known
    return chosen


def _unknown(name: str, names: Collection[str], what: str) -> ComposeError:
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "Model.tensors() lists those that there are"
    return ComposeError("OH236", f"{what} names {name!r}, and the main graph has no such tensor; {hint}")


def _described(spec: TensorSpec, known: Declared) -> Declared:
    value = Declared(spec.to_value_info())
    if mismatch(value, known):
        raise ComposeError("OH238", f"{spec} was given, and the model has it as {known.spec.describe()}")
    return value

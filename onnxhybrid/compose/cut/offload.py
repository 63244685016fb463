"""`offload`: the second half of a model runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.types import Declared, mismatch
from onnxhybrid.compose.chain import chain
from onnxhybrid.compose.cut.split import split
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec


def offload(model: Model, at: Iterable[str | TensorSpec], to: Callable[[Model], Model]) -> Model:
    """Cut a model in two, and let a remote model take the place of the tail.

    Args:
        model: the model; it stays as it is.
        at: the tensors of the cut, as `split` takes them.
        to: publishes the tail, and gives the remote Model that calls it: `lambda tail: oh.remote.triton(…)`.

    Returns:
        The head, chained to what `to` gave. What that takes or gives besides (a token, a status) is an input or output.

    Raises:
        ComposeError: what `split` raises; OH244, `to` cannot be called, or gives no Model with the tail's inputs and
            outputs; what `chain` raises.
    """
    if not callable(to):
        raise ComposeError("OH244", f"to is a {type(to).__name__}; it takes the tail and gives a remote Model")
    head, tail = split(model, at)
    remote = to(tail)
    if not isinstance(remote, Model):
        raise ComposeError("OH244", f"to gave a {type(remote).__name__}; it has to give the Model that calls the tail")
    offered, wanted = Part("remote", remote), Part("tail", tail)
    _require_alike("input", offered.inputs, wanted.inputs)
    _require_alike("output", offered.outputs, wanted.outputs)
    return chain(head, remote)


def _require_alike(kind: str, offered: Mapping[str, Declared], wanted: Mapping[str, Declared]) -> None:
    """Everything that the tail takes or gives, the remote model does.

    Raises:
        ComposeError: OH244, it lacks an input or output, or has it with another type or shape.
    """
    for value in wanted.values():
        if value.name not in offered:
            listed = ", ".join(map(repr, offered)) or "none"
            raise ComposeError(
                "OH244",
                f"the tail has the {kind} {value}, and what `to` gave has {listed}; rename them to "
                f"what the tail calls them{_BIND if kind == 'input' else ''}",
            )
        if problem := mismatch(offered[value.name], value):
            raise ComposeError(
                "OH244", f"the {kind} {value.name!r} of what `to` gave is {problem[1]}, as the tail has it"
            )


_BIND = ", or bind an input with a default before the cut"

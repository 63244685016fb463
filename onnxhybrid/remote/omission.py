"""Inputs of a remote model that may be left out: each has an empty default, which the library never sends."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import TensorProto

from onnxhybrid import library
from onnxhybrid.errors import ModelError
from onnxhybrid.model.dtypes import elem_type
from onnxhybrid.model.remote_spec import OPTIONAL_INPUTS
from onnxhybrid.model.tensor_spec import TensorSpec


def omissible(protocol: str, inputs: Iterable[TensorSpec]) -> None:
    """Check that the protocol can leave out what its node says may be left out.

    Raises:
        ModelError: OH304, it cannot.
    """
    optional = next((spec for spec in inputs if spec.optional), None)
    if optional and OPTIONAL_INPUTS not in library.protocols()[protocol]["attributes"]:
        raise ModelError("OH304", f"{protocol} sends every input: {optional.name!r} cannot be optional")


def leaveable(spec: TensorSpec) -> TensorSpec:
    """An input as the graph declares it.

    One that may be left out promises no fixed size, since its default has none: ONNX Runtime holds a default to the
    rank and the sizes of its input. A scalar promises no rank either.
    """
    if not spec.optional:
        return spec
    shape = tuple(None if isinstance(size, int) else size for size in spec.shape or ()) or None
    return TensorSpec(spec.name, spec.dtype, shape, optional=True)


def absences(inputs: Iterable[TensorSpec]) -> list[TensorProto]:
    """The defaults of the inputs that may be left out, which the library knows by a size of 0 in each dimension."""
    return [
        TensorProto(name=spec.name, data_type=elem_type(spec.dtype), dims=[0] * len(spec.shape or (0,)))
        for spec in inputs
        if spec.optional
    ]

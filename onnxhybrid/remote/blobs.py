"""Bytes that are no text: a BYTES tensor of one element on the wire, whose bytes are a uint8 tensor in the graph.

A tensor of str holds text, in ONNX and in each of ONNX Runtime's bindings, which make strings of their language of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from onnxhybrid.errors import ModelError
from onnxhybrid.model.remote_spec import BYTES_TENSORS
from onnxhybrid.model.tensor_spec import TensorSpec

Specs = tuple[TensorSpec, ...]


def names_of(given: Iterable[str]) -> tuple[str, ...]:
    """The tensors of bytes that a builder was given.

    Raises:
        ModelError: OH334, that is no list of names.
    """
    names = None if isinstance(given, (str, bytes)) or not isinstance(given, Iterable) else tuple(given)
    if names is None or not all(isinstance(name, str) for name in names):
        raise ModelError("OH334", f'bytes is a list of tensors\' names, as in bytes=["image"], not {given!r}')
    return names


def with_blobs(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], names: Sequence[str]
) -> tuple[Specs, Specs]:
    """The tensors as the graph declares them: those of bytes are uint8 of one dimension, each of a size of its own.

    Raises:
        ModelError: OH334, a name is that of no tensor, or of one that is not one element of BYTES.
    """
    known = [spec.name for spec in (*inputs, *outputs)]
    if unknown := [name for name in names if name not in known]:
        there = ", ".join(map(repr, known)) or "none"
        raise ModelError("OH334", f"bytes names {unknown[0]!r}, and the model's tensors are {there}")
    sizes = Counter(size for spec in (*inputs, *outputs) for size in set(spec.shape or ()) if isinstance(size, str))
    shared = frozenset(size for size, tensors in sizes.items() if tensors > 1)

    def declared(specs: Sequence[TensorSpec]) -> Specs:
        return tuple(_declared(spec, shared) if spec.name in names else spec for spec in specs)

    return declared(inputs), declared(outputs)


def attribute_of(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], names: Sequence[str]) -> dict[str, str]:
    """What the node says of its tensors of bytes, given as `with_blobs` is; empty where there are none."""
    shapes = {spec.name: _wire_shape(spec) for spec in (*inputs, *outputs) if spec.name in names}
    return {BYTES_TENSORS: json.dumps(shapes)} if shapes else {}


def _declared(spec: TensorSpec, shared: frozenset[str]) -> TensorSpec:
    """A tensor of bytes as uint8. A name of its size that it shares with others would say that all are as large."""
    _wire_shape(spec)
    if spec.dtype == "uint8" and spec.shape is not None and shared.isdisjoint(spec.shape):
        return spec
    return TensorSpec(spec.name, "uint8", (f"{spec.name}_bytes",), spec.optional)


def _wire_shape(spec: TensorSpec) -> list[int]:
    """The shape of one element that the wire has for a tensor.

    Raises:
        ModelError: OH334, it has none.
    """
    if spec.dtype == "uint8" and (spec.shape is None or len(spec.shape) == 1):
        return [1]
    if spec.dtype == "str" and all(size == 1 for size in spec.shape or () if isinstance(size, int)):
        return [1] if spec.shape is None else [1] * len(spec.shape)
    raise ModelError(
        "OH334",
        f'a tensor of bytes is one element of BYTES, as uint8["bytes"] or as str with sizes of 1; this one is {spec}',
    )

"""`egress`: what leaves the device when a model runs, found by walking through its graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from onnxhybrid import legacy
from onnxhybrid.disclosure.outflow import Egress, Outflow
from onnxhybrid.errors import ModelError
from onnxhybrid.model import Model, load
from onnxhybrid.model.flows import Reach, reaches


def egress(model: Model | str | os.PathLike[str]) -> Egress:
    """What leaves the device when a model runs: for each remote call, which inputs it depends on.

    It is a promise about the bytes on the wire: an input that is not listed in `content` changes nothing of what a call
    sends, and one that is not in `decides` does not change whether it is sent, nor in how many requests. Calls in
    branches, loops and functions are followed; an answer depends on all that was sent for it. Errors aside: an input
    that makes a run fail is no flow. docs/egress.md says what else is left aside.

    Args:
        model: a Model, or the path of an .onnx file. Old operators count as what a session makes of them.

    Raises:
        ModelError: the file is no model; OH131, its functions unfold without an end; OH301, a remote node is malformed.
    """
    model = model if isinstance(model, Model) else load(model)
    model = legacy.upgrade(model)
    try:
        found = reaches(model.skeleton)
    except ValueError as problem:
        raise ModelError("OH301", f"a remote node is malformed: {problem}") from None
    order = {spec.name: place for place, spec in enumerate(model.inputs)}
    return Egress(tuple(_outflow(reach, order) for reach in found))


def _outflow(reach: Reach, order: Mapping[str, int]) -> Outflow:
    spec = reach.call.spec
    return Outflow(
        node=spec.node,
        endpoint=spec.endpoint,
        credential=spec.credential,
        content=_ordered(reach.content, order),
        decides=_ordered(reach.decides, order),
        max_bytes=reach.bytes,
        endpoint_name=spec.endpoint_name,
        header_credentials=spec.header_credentials,
    )


def _ordered(names: Iterable[str], order: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (order.get(name, len(order)), name)))

"""The inverse of `overlap`: each remote call is one Invoke node again, wherever it can be."""

from __future__ import annotations

from onnxhybrid.model import Model
from onnxhybrid.model.messages import copied
from onnxhybrid.model.sequential import is_overlapped, make_sequential


def sequential(model: Model) -> Model:
    """The model with Invoke for each Begin and Await of one graph, and without the barriers between them.

    It computes the same. A call that is begun in one graph and awaited in another stays as it is. Whatever rewrites
    remote calls starts from this form.
    """
    if not is_overlapped(model.skeleton):
        return model
    proto = copied(model.skeleton)
    make_sequential(proto.graph)
    return Model(proto, model.weights)

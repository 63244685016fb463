"""What combinators make of a part's training_info."""

from __future__ import annotations

from onnxhybrid.model import Model
from onnxhybrid.model.messages import copied
from onnxhybrid.model.training import drop


def untrained(model: Model) -> Model:
    """The model without its training_info, with a warning if it has some: it speaks of that model's graph alone."""
    if not model.skeleton.training_info:
        return model
    proto = copied(model.skeleton)
    drop(proto, "it is written for that graph alone, and what it is composed to or cut into is another one")
    return Model(proto, model.weights)

"""What ONNX Runtime is given for a Model: the graph as bytes, and the weights where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, TensorProto

from onnxhybrid.model import Model
from onnxhybrid.model.dtypes import name_of, numpy_dtype
from onnxhybrid.model.editing import drop_unused
from onnxhybrid.model.graphs import nested_tensors
from onnxhybrid.model.weights import materialize, source_of
from onnxhybrid.runtime.values import to_value


@dataclass(frozen=True)
class Artifact:
    """A graph as bytes, and the arrays of its weights by initializer, which have to outlive the session."""

    graph: bytes
    arrays: dict[str, npt.NDArray[Any]]

    @classmethod
    def mapped(cls, model: Model) -> Artifact:
        """The model's graph, with its weights mapped from where they lie.

        Raises:
            ModelError: OH107, weights cannot be read.
        """
        proto = ModelProto()
        proto.CopyFrom(model.skeleton)
        for tensor in nested_tensors(proto):
            materialize(tensor, model.weights)
        arrays = {}
        drop_unused(proto.graph)  # ONNX Runtime does so too, before it looks for what is attached
        for tensor in proto.graph.initializer:
            if (array := _mapped(tensor, model)) is None:
                materialize(tensor, model.weights)
            else:
                arrays[tensor.name] = array
        return cls(proto.SerializeToString(), arrays)

    def attach(self, options: onnxruntime.SessionOptions) -> None:
        """Give the weights to the session that will be made with these options, and only to that one."""
        if self.arrays:
            options.add_external_initializers(list(self.arrays), [to_value(array) for array in self.arrays.values()])


def _mapped(tensor: TensorProto, model: Model) -> npt.NDArray[Any] | None:
    """The data of a referenced tensor as an array; None where it is no array of whole bytes (int4 and the like)."""
    source = source_of(tensor, model.weights)
    if source is None:
        return None
    dtype = numpy_dtype(name_of(tensor.data_type))
    shape = tuple(tensor.dims)
    if source.length != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        return None
    return source.mapped().view(dtype).reshape(shape)

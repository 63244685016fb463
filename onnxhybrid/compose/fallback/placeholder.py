"""Values that stand in for those of a failed call: empty ones, of any type that the branch of an If can give."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from onnx import NodeProto, ValueInfoProto, helper, numpy_helper

from onnxhybrid.errors import ComposeError
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import numpy_dtype, type_name
from onnxhybrid.model.tensor_spec import shape_of


def truth(name: str, value: bool) -> NodeProto:
    """A node that writes a scalar bool."""
    return helper.make_node("Constant", [], [name], name=name, value=numpy_helper.from_array(np.array(value)))


def placeholder(value: ValueInfoProto, name: str) -> Iterator[NodeProto]:
    """Nodes that write an empty value of the type of `value`; the last one writes `name`.

    Sizes that vary are 0, fixed sizes are kept; an unknown rank becomes one axis of size 0.

    Raises:
        ComposeError: OH214, the type is not declared, or no node makes an empty value of it.
    """
    kind = value.type.WhichOneof("value")
    inner = value.type.sequence_type.elem_type
    if kind == "tensor_type" and value.type.tensor_type.elem_type:
        yield from _tensor(value, name)
    elif kind == "sequence_type" and inner.WhichOneof("value") == "tensor_type":
        yield helper.make_node("SequenceEmpty", [], [name], name=name, dtype=inner.tensor_type.elem_type)
    elif kind == "optional_type":
        yield helper.make_node("Optional", [], [name], name=name, type=value.type.optional_type.elem_type)
    else:
        raise ComposeError("OH214", f"{TensorSpec.of(value)} depends on a remote call, and nothing can stand in for it")


def _tensor(value: ValueInfoProto, name: str) -> Iterator[NodeProto]:
    dtype, known = numpy_dtype(type_name(value.type)), shape_of(value)
    shape = (0,) if known is None else tuple(size if isinstance(size, int) else 0 for size in known)
    if dtype.kind in "iufb" and math.prod(shape) > 1:  # so that the file does not hold the zeros
        sizes = helper.make_node("Constant", [], [f"{name}/shape"], name=f"{name}/shape", value_ints=list(shape))
        zero = numpy_helper.from_array(np.zeros(1, dtype))
        yield from (sizes, helper.make_node("ConstantOfShape", list(sizes.output), [name], name=name, value=zero))
        return
    empty = np.full(shape, "", dtype) if dtype.kind == "O" else np.zeros(shape, dtype)
    yield helper.make_node("Constant", [], [name], name=name, value=numpy_helper.from_array(empty))

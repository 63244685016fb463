"""Operators that put many elements together: products of matrices, reductions, normalizations; and sequences."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from onnxhybrid.model.flows.elementwise import broadcast
from onnxhybrid.model.flows.operators import Given, rule
from onnxhybrid.model.flows.structure import axes_of
from onnxhybrid.model.flows.tensor import (
    Flow,
    Size,
    Sizes,
    everything,
    joined,
    known,
    product,
    shaped,
    union,
)

_REDUCTIONS = [
    f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
]
_KEEPS_SHAPE = [
    "Softmax", "LogSoftmax", "Hardmax", "LayerNormalization", "BatchNormalization", "InstanceNormalization",
    "GroupNormalization", "LpNormalization", "MeanVarianceNormalization", "RMSNormalization", "CumSum",
    "CumProd", "ScatterND", "ScatterElements", "Scatter", "Trilu", "QuantizeLinear", "DequantizeLinear",
    "Dropout", "LRN", "ReverseSequence",
]  # fmt: skip
_BY_SIZES = [
    "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv", "MatMulInteger", "QLinearMatMul",
    "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "Einsum",
    "DepthToSpace", "SpaceToDepth", "RNN", "LSTM", "GRU", "Attention", "DynamicQuantizeLinear",
    "Det", "GridSample",
]  # fmt: skip
_BY_PARAMETERS = [
    "Pad", "Tile", "TopK", "Resize", "Upsample", "OneHot", "SplitToSequence", "RoiAlign", "STFT", "DFT",
    "CenterCropPad",
]  # fmt: skip


@rule("MatMul")
def matmul(given: Given) -> list[Flow]:
    """A product of matrices."""
    one, other = given.flow(0) or Flow(), given.flow(1) or Flow()
    data = one.all | other.all
    if one.sizes is None or other.sizes is None or len(one.sizes) < 2 or len(other.sizes) < 2:
        return [Flow(data, one.shape | other.shape, None, None, None, given.dtype())]
    stacked = broadcast([one.sizes[:-2], other.sizes[:-2]]) or ()
    return [shaped(data, (*stacked, one.sizes[-2], other.sizes[-1]), given.dtype())]


@rule("Gemm")
def gemm(given: Given) -> list[Flow]:
    """A product of two matrices, and a sum."""
    one, other = given.flow(0) or Flow(), given.flow(1) or Flow()
    data = everything(given.flows)
    if one.sizes is None or other.sizes is None or len(one.sizes) != 2 or len(other.sizes) != 2:
        return [Flow(data, one.shape | other.shape, None, None, None, given.dtype())]
    rows, columns = one.sizes[bool(given.integer("transA", 0))], other.sizes[not given.integer("transB", 0)]
    return [shaped(data, (rows, columns), given.dtype())]


@rule(*_REDUCTIONS, "ArgMax", "ArgMin")
def reduction(given: Given) -> list[Flow]:
    """One element for those along some axes."""
    flow = given.flow(0) or Flow()
    if given.step.operator.startswith("Arg"):
        axes: list[int] | None = [given.integer("axis", 0)]
    else:
        axes = axes_of(given)
    told = everything(given.flows[1:])
    if flow.sizes is None or axes is None:
        return [Flow(flow.all | told, flow.shape | told, None, None, None, given.dtype())]
    if not axes and given.integer("noop_with_empty_axes", 0):
        return [Flow(flow.all, flow.shape, flow.sizes, None, None, given.dtype())]
    gone = {axis % len(flow.sizes) for axis in axes if flow.sizes} or set(range(len(flow.sizes)))
    keeps = given.integer("keepdims", 1)
    kept = [Size(1) if axis in gone else entry for axis, entry in enumerate(flow.sizes) if keeps or axis not in gone]
    elements: Sizes | None = None
    if given.step.operator == "ReduceProd" and flow.elements is not None and len(flow.sizes) == 1 and gone:
        elements = (product(flow.elements),)
    return [shaped(flow.all | told, tuple(kept), given.dtype(), elements)]


@rule(*_KEEPS_SHAPE)
def keeps_shape(given: Given) -> list[Flow]:
    """As many elements as the first input has, each of which may depend on any."""
    data, first = everything(given.flows), given.flow(0) or Flow()
    own = Flow(data, first.shape, first.sizes, None, None, given.dtype())
    others = [Flow(data, data, None, None, None, given.dtype(place)) for place in range(1, len(given.step.outputs))]
    return [own, *others]


@rule(*_BY_SIZES)
def by_sizes(given: Given) -> list[Flow]:
    """A tensor whose sizes follow from those of the inputs."""
    data, shape = everything(given.flows), union(flow.shape for flow in given.present)
    return [Flow(data, shape, None, None, None, given.dtype(place)) for place in range(len(given.step.outputs))]


@rule(*_BY_PARAMETERS)
def by_parameters(given: Given) -> list[Flow]:
    """A tensor whose sizes follow from those of the first input, and from what the other inputs hold."""
    data = everything(given.flows)
    shape = (given.flow(0) or Flow()).shape | everything(given.flows[1:])
    return [Flow(data, shape, None, None, None, given.dtype(place)) for place in range(len(given.step.outputs))]


@rule("SequenceConstruct", "SequenceEmpty", "SequenceInsert")
def sequence(given: Given) -> list[Flow]:
    """A sequence of values."""
    flows: Sequence[Flow] = given.present
    data = everything(flows)
    if given.step.operator == "SequenceInsert":
        before = flows[0].items if flows else None
        if before is None or len(flows) != 2:
            return [Flow(data)]
        flows = [*before, flows[1]]
    return [Flow(data, items=tuple(flows))]


@rule("SequenceAt")
def sequence_at(given: Given) -> list[Flow]:
    """One value of a sequence."""
    held, place = given.flow(0) or Flow(), given.flow(1) or Flow()
    if not held.items:
        return [Flow(held.all | place.all, held.all | place.all)]
    if place.number is not None and -len(held.items) <= place.number < len(held.items):
        return [held.items[place.number]]
    return [functools.reduce(joined, held.items).plus(held.shape | place.all)]


@rule("SequenceLength")
def sequence_length(given: Given) -> list[Flow]:
    """How many values a sequence has."""
    held = given.flow(0) or Flow()
    count = Size(None, held.all) if held.items is None else known([len(held.items)])[0]
    return [shaped(count.names, (), "int64", (count,))]

"""Operators that move elements, count them, or tell sizes."""

from __future__ import annotations

from collections.abc import Sequence

from onnxhybrid.model.dtypes import name_of
from onnxhybrid.model.flows.operators import Given, rule
from onnxhybrid.model.flows.steps import constant_flow
from onnxhybrid.model.flows.tensor import (
    NOTHING,
    Flow,
    Names,
    Size,
    Sizes,
    everything,
    known,
    of_sizes,
    product,
    shaped,
    union,
)


@rule("Constant")
def constant(given: Given) -> list[Flow]:
    """What the file holds."""
    for name in ("value_ints", "value_int", "value_floats", "value_float", "value_strings", "value_string"):
        if (attribute := given.attribute(name)) is not None:
            numbers = list(attribute.ints) if name == "value_ints" else [attribute.i]
            if "_int" in name:
                return [shaped(NOTHING, known([len(numbers)]) if name == "value_ints" else (), "int64", known(numbers))]
            sizes = known([len(attribute.floats or attribute.strings)]) if name.endswith("s") else ()
            return [Flow(NOTHING, NOTHING, sizes, None, None, "float32" if "float" in name else "str")]
    if (attribute := given.attribute("value")) is not None and attribute.HasField("t"):
        return [constant_flow(attribute.t)]
    return [Flow()]


@rule("Identity", "Optional", "OptionalGetElement")
def same(given: Given) -> list[Flow]:
    """The very value that it is given."""
    return [given.flow(0) or Flow()]


@rule("Shape")
def shape(given: Given) -> list[Flow]:
    """The sizes of a tensor; sizes that are fixed are told by nobody's input."""
    flow = given.flow(0) or Flow()
    if flow.sizes is None:
        return [Flow(flow.shape, flow.shape, None, None, None, "int64")]
    start, end = given.integer("start", 0), given.attribute("end")
    sizes = flow.sizes[start : None if end is None else end.i]
    return [shaped(of_sizes(sizes), known([len(sizes)]), "int64", sizes)]


@rule("Size")
def size(given: Given) -> list[Flow]:
    """The number of elements."""
    flow = given.flow(0) or Flow()
    count = Size(None, flow.shape) if flow.sizes is None else product(flow.sizes)
    return [shaped(count.names, (), "int64", (count,))]


@rule("ConstantOfShape")
def constant_of_shape(given: Given) -> list[Flow]:
    """One value in as many places as are asked for."""
    wanted, value = given.flow(0) or Flow(), given.attribute("value")
    dtype = "float32" if value is None else name_of(value.t.data_type)
    if wanted.elements is None:
        return [Flow(NOTHING, wanted.all, None, None, None, dtype)]
    return [shaped(NOTHING, wanted.elements, dtype)]


@rule("Reshape")
def reshape(given: Given) -> list[Flow]:
    """The same elements in another shape."""
    flow, wanted = given.flow(0) or Flow(), given.flow(1) or Flow()
    asked = wanted.elements
    if (attribute := given.attribute("shape")) is not None:  # up to opset 4
        asked = known(attribute.ints)
    if asked is None or [entry.value for entry in asked].count(-1) > 1:
        return [Flow(flow.data, flow.shape | wanted.all, None, None, None, flow.dtype)]
    if (
        len(asked) == 1 and asked[0].value is None and flow.sizes is not None
    ):  # as many elements as there are, or none runs
        return [shaped(flow.data, (product(flow.sizes),), flow.dtype)]
    sizes = tuple(_asked(flow, place, asked, given.integer("allowzero", 0)) for place in range(len(asked)))
    elements = flow.elements if all(entry.value is not None for entry in sizes) else None
    return [shaped(flow.data, sizes, flow.dtype, elements)]


def _asked(flow: Flow, place: int, asked: Sizes, allows_zero: int) -> Size:
    wanted = asked[place]
    if wanted.value is None:
        # 0 and -1 would take what is known of the tensor.
        return Size(None, wanted.names | flow.shape)
    if wanted.value > 0 or (wanted.value == 0 and allows_zero):
        return wanted
    if wanted.value == 0:
        return flow.sizes[place] if flow.sizes is not None and place < len(flow.sizes) else Size(None, flow.shape)
    others = [_asked(flow, other, asked, allows_zero) for other in range(len(asked)) if other != place]
    total, rest = Size(None) if flow.sizes is None else product(flow.sizes), product(others)
    if total.value is not None and rest.value:
        return Size(total.value // rest.value)
    return Size(None, flow.shape | of_sizes(others))


@rule("Transpose")
def transpose(given: Given) -> list[Flow]:
    """The axes in another order."""
    flow = given.flow(0) or Flow()
    if flow.sizes is None:
        return [Flow(flow.data, flow.shape, None, None, None, flow.dtype)]
    order = given.integers("perm") or list(reversed(range(len(flow.sizes))))
    if sorted(order) != list(range(len(flow.sizes))):
        return [Flow(flow.all, flow.shape, None, None, None, flow.dtype)]
    return [shaped(flow.data, tuple(flow.sizes[axis] for axis in order), flow.dtype)]


def axes_of(given: Given, position: int = 1) -> list[int] | None:
    """The axes that a node names, as an attribute or as an input; None where they are not known, [] for none."""
    if (axes := given.integers("axes")) is not None:
        return axes
    flow = given.flow(position)
    return [] if flow is None else flow.numbers


@rule("Squeeze", "Unsqueeze")
def squeeze(given: Given) -> list[Flow]:
    """Axes of size 1 that go or come; the elements stay."""
    flow, axes = given.flow(0) or Flow(), axes_of(given)
    told = (given.flow(1) or Flow()).all
    if flow.sizes is None or axes is None:
        return [Flow(flow.data, flow.shape | told, None, None, None, flow.dtype)]
    if given.step.operator == "Unsqueeze":
        rank = len(flow.sizes) + len(axes)
        left, new = iter(flow.sizes), {axis % rank for axis in axes if rank}
        sizes = [Size(1) if axis in new else next(left, Size(1)) for axis in range(rank)]
        return [shaped(flow.data, tuple(sizes), flow.dtype, flow.elements)]
    if not axes:
        if any(entry.value is None for entry in flow.sizes):
            return [Flow(flow.data, flow.shape, None, None, None, flow.dtype)]
        axes = [axis for axis, entry in enumerate(flow.sizes) if entry.value == 1]
    gone = {axis % len(flow.sizes) for axis in axes if flow.sizes}
    kept = tuple(entry for axis, entry in enumerate(flow.sizes) if axis not in gone)
    return [shaped(flow.data, kept, flow.dtype, flow.elements)]


@rule("Flatten")
def flatten(given: Given) -> list[Flow]:
    """Two axes."""
    flow = given.flow(0) or Flow()
    if flow.sizes is None:
        return [shaped(flow.data, (Size(None, flow.shape),) * 2, flow.dtype)]
    axis = given.integer("axis", 1)
    axis = axis + len(flow.sizes) if axis < 0 else axis
    return [shaped(flow.data, (product(flow.sizes[:axis]), product(flow.sizes[axis:])), flow.dtype)]


@rule("Concat", "ConcatFromSequence")
def concat(given: Given) -> list[Flow]:
    """Tensors one after the other."""
    flows = given.present
    if given.step.operator == "ConcatFromSequence":
        items = flows[0].items if flows else None
        if items is None or given.integer("new_axis", 0) or not items:
            return [Flow(everything(flows), everything(flows))]
        flows = list(items)
    data, dtype = union(flow.data for flow in flows), flows[0].dtype
    ranks = {len(flow.sizes) for flow in flows if flow.sizes is not None}
    if any(flow.sizes is None for flow in flows) or len(ranks) != 1:
        return [Flow(data, union(flow.shape for flow in flows), None, None, None, dtype)]
    (rank,) = ranks
    axis = given.integer("axis", 0) % max(rank, 1)
    columns = list(zip(*(flow.sizes for flow in flows if flow.sizes is not None), strict=True))
    sizes = tuple(_total(column) if place == axis else _one(column) for place, column in enumerate(columns))
    elements: Sizes | None = None
    if rank == 1 and all(flow.elements is not None for flow in flows):
        elements = tuple(element for flow in flows for element in flow.elements or ())
    return [shaped(data, sizes, dtype, elements)]


def _total(column: Sequence[Size]) -> Size:
    values = [entry.value for entry in column if entry.value is not None]
    return Size(sum(values)) if len(values) == len(column) else Size(None, of_sizes(column))


def _one(column: Sequence[Size]) -> Size:
    return next((entry for entry in column if entry.value is not None), Size(None, of_sizes(column)))


@rule("Gather")
def gather(given: Given) -> list[Flow]:
    """Slices of a tensor, by their places."""
    flow, places = given.flow(0) or Flow(), given.flow(1) or Flow()
    axis = given.integer("axis", 0)
    sizes: Sizes | None = None
    if flow.sizes is not None and places.sizes is not None and -len(flow.sizes) <= axis < len(flow.sizes):
        axis %= len(flow.sizes)
        sizes = (*flow.sizes[:axis], *places.sizes, *flow.sizes[axis + 1 :])
    numbers = places.numbers
    if flow.elements is not None and numbers is not None and sizes is not None and len(flow.sizes or ()) == 1:
        inside = [number for number in numbers if -len(flow.elements) <= number < len(flow.elements)]
        elements = tuple(flow.elements[number] for number in inside)
        if len(inside) == len(numbers):
            return [shaped(of_sizes(elements), sizes, flow.dtype, elements)]
    data = flow.all | places.data
    if sizes is None:
        return [Flow(data, flow.shape | places.shape, None, None, None, flow.dtype)]
    return [shaped(data, sizes, flow.dtype)]


@rule("NonZero")
def non_zero(given: Given) -> list[Flow]:
    """The places of what is not zero, one in each column."""
    flow = given.flow(0) or Flow()
    if not flow.sizes:
        return [Flow(flow.all, flow.all, None, None, None, "int64")]
    return [shaped(flow.all, (Size(len(flow.sizes)), Size(None, flow.all)), "int64")]


@rule("GatherND")
def gather_nd(given: Given) -> list[Flow]:
    """Slices of a tensor, by places along several axes."""
    flow, places = given.flow(0) or Flow(), given.flow(1) or Flow()
    data, depth = flow.all | places.all, places.sizes[-1].value if places.sizes else None
    if flow.sizes is None or not places.sizes or depth is None or given.integer("batch_dims", 0):
        return [Flow(data, flow.shape | places.shape, None, None, None, flow.dtype)]
    return [shaped(data, (*places.sizes[:-1], *flow.sizes[depth:]), flow.dtype)]


@rule("Slice")
def slices(given: Given) -> list[Flow]:
    """A part of a tensor."""
    flow = given.flow(0) or Flow()
    told = everything(given.flows[1:])
    starts, ends, axes, steps = _bounds(given)
    if flow.sizes is None or axes is None:
        return [Flow(flow.all | told, flow.shape | told, None, None, None, flow.dtype)]
    axes = [axis % len(flow.sizes) for axis in axes if flow.sizes]
    if flow.elements is not None and axes == [0] and None not in (starts, ends, steps) and len(flow.sizes) == 1:
        assert starts is not None
        assert ends is not None
        assert steps is not None
        part = _part(flow.elements, starts[0], ends[0], steps[0])
        return [shaped(of_sizes(part), known([len(part)]), flow.dtype, part)]
    sizes = [_cut(entry, told) if axis in axes else entry for axis, entry in enumerate(flow.sizes)]
    return [shaped(flow.all | told, tuple(sizes), flow.dtype)]


def _bounds(given: Given) -> tuple[list[int] | None, list[int] | None, list[int] | None, list[int] | None]:
    """Starts, ends, axes and steps of a Slice; None where they are not known."""
    if (starts := given.integers("starts")) is not None:  # up to opset 9
        ends = given.integers("ends") or []
        return starts, ends, given.integers("axes") or list(range(len(starts))), [1] * len(starts)
    first, last, axes, steps = (given.flow(position) for position in (1, 2, 3, 4))
    count = None
    if first is not None and first.sizes is not None and len(first.sizes) == 1:
        count = first.sizes[0].value
    along = axes.numbers if axes is not None else None if count is None else list(range(count))
    pace = steps.numbers if steps is not None else None if count is None else [1] * count
    return first.numbers if first else None, last.numbers if last else None, along, pace


def _part(elements: Sizes, start: int, end: int, step: int) -> Sizes:
    """What numpy's slice of these bounds takes; an end below all is written as a large negative number."""
    last = None if step < 0 and end < -len(elements) else end
    return elements[start:last:step] if step else ()


def _cut(entry: Size, told: Names) -> Size:
    return Size(None, entry.names | told)


@rule("Split")
def split(given: Given) -> list[Flow]:
    """The parts of a tensor along an axis."""
    flow, lengths = given.flow(0) or Flow(), given.flow(1)
    count = len(given.step.outputs)
    told = lengths.all if lengths is not None else NOTHING
    if flow.sizes is None or not flow.sizes:
        return [Flow(flow.all | told, flow.shape | told, None, None, None, flow.dtype) for _ in range(count)]
    axis = given.integer("axis", 0) % len(flow.sizes)
    asked = given.integers("split") or (lengths.numbers if lengths is not None else None)
    whole = flow.sizes[axis].value
    if asked is None and lengths is None and whole is not None and whole % count == 0:
        asked = [whole // count] * count
    found = []
    for place in range(count):
        own = Size(asked[place]) if asked and place < len(asked) else Size(None, flow.sizes[axis].names | told)
        sizes = (*flow.sizes[:axis], own, *flow.sizes[axis + 1 :])
        found.append(shaped(flow.all | told, sizes, flow.dtype))
    return found


@rule("Expand")
def expand(given: Given) -> list[Flow]:
    """A tensor, repeated along axes of size 1."""
    flow, wanted = given.flow(0) or Flow(), given.flow(1) or Flow()
    if flow.sizes is None or wanted.elements is None:
        return [Flow(flow.data, flow.shape | wanted.all, None, None, None, flow.dtype)]
    rank = max(len(flow.sizes), len(wanted.elements))
    own, asked = ((Size(1),) * (rank - len(s)) + s for s in (flow.sizes, wanted.elements))
    return [shaped(flow.data, tuple(map(_wider, own, asked)), flow.dtype)]


def _wider(own: Size, asked: Size) -> Size:
    if own.value == 1:
        return asked
    if asked.value == 1 or own.value is not None:
        return own
    return asked if asked.value is not None else Size(None, own.names | asked.names)

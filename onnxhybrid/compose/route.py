"""`route`: one of several models runs, as a number says."""

from __future__ import annotations

from collections.abc import Sequence

from onnxhybrid.compose.build.assembly import Assembly, Branch
from onnxhybrid.compose.build.branches import common_outputs, computed, unite
from onnxhybrid.compose.build.maps import without_maps
from onnxhybrid.compose.build.part import Part, labelled, listed, parts_of
from onnxhybrid.compose.build.steps import Steps
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import single
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.dtypes import INTEGERS, elem_type
from onnxhybrid.model.naming import free_name

_ROUTE = Combinator("route", branches=True)


def route(index: str | Model, models: Sequence[Model]) -> Model:
    """Run `models[index]`. Only that one runs, and only it calls out.

    An index below 0 or beyond the last model is an error of code OH545 at run time.

    Args:
        index: the name of a graph input (int64, a scalar if no model has it), or a Model with one output, a whole
            number of one element, which runs first and shares inputs by name.
        models: one or more models with the same outputs; they share inputs by name.

    Raises:
        ComposeError: OH205, models is no list of Models; OH206, the outputs differ; OH212, the index is no whole
            number of one element; OH201 or OH202, the models want different types or shapes of an input they share.
    """
    given_models, maps = without_maps(*listed(models, "route"))
    chosen = parts_of(labelled(given_models))
    taken = {part.label for part in chosen}
    first = [] if isinstance(index, str) else parts_of({free_name("index", taken): index})
    given = _index(index if isinstance(index, str) else first[0], chosen)
    checked = Part(free_name("in range", taken), _in_range(given, len(chosen)))
    outputs = common_outputs({part.label: part.outputs for part in chosen})
    inputs = {name for part in (*first, *chosen) for name in part.inputs} | (set() if first else {given.name})
    answers = computed(outputs, chosen)
    assembly = Assembly(_ROUTE, [*first, checked, *chosen], inputs, answers)
    feeds = dict.fromkeys([given.name], *assembly.add(first[0].label, {}, {}).values()) if first else {}
    below = list(assembly.add(checked.label, feeds, {}).values())
    # One model alone is both branches, so that its index is looked at too.
    branches = [assembly.branch(part.label, {}) for part in (chosen if len(chosen) > 1 else chosen * 2)]
    _choose(assembly, branches, below, answers)
    return maps.put_back(assembly.finish(outputs))


def _index(index: str | Part, chosen: list[Part]) -> TensorSpec:
    """What the index is: an output of the model, an input of one of the models, or an input of its own.

    Raises:
        ComposeError: OH212, it is no whole number of one element.
    """
    read = tuple(spec for part in chosen for spec in part.model.inputs if spec.name == index)
    specs = tuple(index.believed(name).spec for name in index.outputs) if isinstance(index, Part) else read
    if isinstance(index, str) and not specs:
        return TensorSpec(index, "int64", ())
    if isinstance(index, Part) and len(specs) != 1:
        raise ComposeError("OH212", f"the index needs exactly one output; it gives {', '.join(map(str, specs))}")
    for spec in specs:
        if spec.dtype not in INTEGERS or not single(spec):
            raise ComposeError("OH212", f"the index is no whole number of one element: {spec}")
    return TensorSpec(specs[0].name, specs[0].dtype, None)


def _in_range(index: TensorSpec, count: int) -> Model:
    """For each model but the last, whether the index is its number or less; an index out of range is an error.

    The nodes that fail carry the code in their names, which ONNX Runtime puts into its message: no other way out of
    standard operators says anything of the author's.
    """
    steps = Steps("in range", [index])
    number = steps("Cast", index.name, to=elem_type("int64"))
    one = steps("Reshape", number, steps.constant([1]), node="[OH545] the index of a route is one whole number")
    # Gather counts negative indices from the end, so they are moved out of its range.
    beyond = steps("Where", steps("Less", one, steps.constant(0)), steps.constant(count), one)
    node = f"[OH545] the index of a route of {count} is from 0 to {count - 1}"
    place = steps("Gather", steps.constant(range(count)), beyond, node=node)
    specs = [TensorSpec(steps.name(f"is {n} or less"), "bool", (1,)) for n in range(max(1, count - 1))]
    for limit, spec in enumerate(specs):
        steps.write("LessOrEqual", place, steps.constant(limit), output=spec.name)
    return steps.model(specs)


def _choose(assembly: Assembly, branches: list[Branch], below: list[str], outputs: list[str]) -> None:
    """Add If nodes that choose by halves, so that they are nested no deeper than they must be."""

    def among(low: int, high: int) -> Branch:
        if high - low == 1:
            return branches[low]
        middle = (low + high) // 2
        then, else_ = among(low, middle), among(middle, high)
        return assembly.either(below[middle - 1], then, else_, unite(then, else_, outputs))

    middle = (len(branches) + 1) // 2
    then, else_ = among(0, middle), among(middle, len(branches))
    assembly.choose(below[middle - 1], then, else_, unite(then, else_, outputs))

"""`switch`: one of two models runs, as a condition says."""

from __future__ import annotations

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.branches import common_outputs, computed, unite
from onnxhybrid.compose.build.maps import without_maps
from onnxhybrid.compose.build.part import Part, parts_of
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import single
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model

_SWITCH = Combinator("switch", branches=True)


def switch(condition: str | Model, then: Model, else_: Model) -> Model:
    """Run `then` where the condition holds and `else_` where it does not. Only that one runs, and only it calls out.

    Args:
        condition: the name of a graph input (bool, a scalar if no model has it), or a Model with one bool output of
            one element, which runs first and shares inputs by name.
        then, else_: models with the same outputs; they share inputs by name.

    Raises:
        ComposeError: OH206, the outputs differ; OH207, the condition is no bool; OH201 or OH202, the models want
            different types or shapes of an input they share.
    """
    (then, else_), maps = without_maps(then, else_)
    models: dict[str, object] = {"then": then, "else": else_}
    if not isinstance(condition, str):
        models = {"condition": condition, **models}
    parts = {part.label: part for part in parts_of(models)}
    outputs = common_outputs({label: parts[label].outputs for label in ("then", "else")})
    inputs = {name for part in parts.values() for name in part.inputs}
    if isinstance(condition, str):
        inputs.add(condition)
    answers = computed(outputs, [parts["then"], parts["else"]])
    assembly = Assembly(_SWITCH, list(parts.values()), inputs, answers)
    chosen = condition if isinstance(condition, str) else _condition(assembly, parts["condition"])
    branches = assembly.branch("then", {}), assembly.branch("else", {})
    if isinstance(condition, str):
        chosen = assembly.condition(condition)
        if not single(spec := assembly.spec(chosen)):
            raise ComposeError("OH207", f"the condition has more than one element, or none: {spec}")
    assembly.choose(chosen, *branches, unite(*branches, answers))
    return maps.put_back(assembly.finish(outputs))


def _condition(assembly: Assembly, part: Part) -> str:
    (tensor, *more) = assembly.add(part.label, {}, {}).values()
    if more or assembly.spec(tensor).dtype != "bool" or not single(part.believed(*part.outputs).spec):
        outputs = ", ".join(str(part.believed(name)) for name in part.outputs)
        raise ComposeError(
            "OH207", f"the condition needs exactly one output, a bool of one element; it gives {outputs}"
        )
    return tensor

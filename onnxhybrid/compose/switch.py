"""`switch`: one of two models runs, as a condition says."""

from __future__ import annotations

from collections.abc import Mapping

from onnxhybrid.compose.build.assembly import Assembly, Branch
from onnxhybrid.compose.build.combinator import Combinator
from onnxhybrid.compose.build.part import Part, parts_of
from onnxhybrid.compose.build.types import Declared, weaker
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec

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
    models: dict[str, object] = {"then": then, "else": else_}
    if not isinstance(condition, str):
        models = {"condition": condition, **models}
    parts = {part.label: part for part in parts_of(models)}
    outputs = common_outputs({label: list(parts[label].outputs) for label in ("then", "else")})
    inputs = {name for part in parts.values() for name in part.inputs}
    if isinstance(condition, str):
        inputs.add(condition)
    assembly = Assembly(_SWITCH, list(parts.values()), inputs, outputs)
    chosen = condition if isinstance(condition, str) else _condition(assembly, parts["condition"])
    branches = assembly.branch("then", {}), assembly.branch("else", {})
    if isinstance(condition, str):
        chosen = assembly.condition(condition)
        if not single(spec := assembly.spec(chosen)):
            raise ComposeError("OH207", f"the condition has more than one element, or none: {spec}")
    assembly.choose(chosen, *branches, unite(*branches, outputs))
    return assembly.finish(outputs)


def unite(then: Branch, else_: Branch, outputs: list[str]) -> list[Declared]:
    """The declarations of outputs that come from either branch."""
    return [weaker(name, then.outputs[name], else_.outputs[name]) for name in outputs]


def common_outputs(offered: Mapping[str, list[str]]) -> list[str]:
    """The outputs of models of which one will run, in the first one's order.

    Args:
        offered: the names of the outputs, by the model's label.

    Raises:
        ComposeError: OH206, one of them offers what another one lacks.
    """
    for name in sorted({name for names in offered.values() for name in names}):
        owners = [label for label, names in offered.items() if name in names]
        if len(owners) < len(offered):
            listed = "; ".join(label + ": " + ", ".join(names) for label, names in offered.items())
            raise ComposeError(
                "OH206",
                f"only {' and '.join(map(repr, owners))} offers {name!r}; {listed}. Drop it with select, or rename "
                "outputs so that they meet",
            )
    return next(iter(offered.values()))


def single(spec: TensorSpec) -> bool:
    """Whether the tensor can have exactly one element."""
    return spec.shape is None or all(size == 1 for size in spec.shape if isinstance(size, int))


def _condition(assembly: Assembly, part: Part) -> str:
    (tensor, *more) = assembly.add(part.label, {}, {}).values()
    spec = assembly.spec(tensor)
    if more or spec.dtype != "bool" or not single(spec):
        outputs = ", ".join(map(str, part.model.outputs))
        raise ComposeError(
            "OH207", f"the condition needs exactly one output, a bool of one element; it gives {outputs}"
        )
    return tensor

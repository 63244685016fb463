"""`switch`: one of two models runs, as a condition says."""

from __future__ import annotations

from onnx import ValueInfoProto

from onnxhybrid.compose.assembly import Assembly, Branch
from onnxhybrid.compose.part import Part, parts_of
from onnxhybrid.compose.types import weaker
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model


def switch(condition: str | Model, then: Model, else_: Model) -> Model:
    """Run `then` where the condition holds and `else_` where it does not. Only that one runs, and only it calls out.

    Args:
        condition: the name of a graph input (bool, a scalar if no model has it), or a Model with one bool output of
            one element, which
            runs first and shares inputs by name.
        then, else_: models with the same outputs; they share inputs by name.

    Raises:
        ComposeError: OH206, the outputs differ; OH207, the condition is no bool; OH201 or OH202, the models want
            different types or shapes of an input they share.
    """
    models: dict[str, object] = {"then": then, "else": else_}
    if not isinstance(condition, str):
        models = {"condition": condition, **models}
    parts = {part.label: part for part in parts_of(models)}
    outputs = _common_outputs(parts["then"], parts["else"])
    inputs = {name for part in parts.values() for name in part.inputs}
    if isinstance(condition, str):
        inputs.add(condition)
    assembly = Assembly("switch", list(parts.values()), inputs, outputs)
    chosen = condition if isinstance(condition, str) else _condition(assembly, parts["condition"])
    branches = assembly.branch("then", {}), assembly.branch("else", {})
    if isinstance(condition, str):
        chosen = assembly.condition(condition)
    assembly.choose(chosen, *branches, unite(*branches, outputs))
    return assembly.finish(outputs)


def unite(then: Branch, else_: Branch, outputs: list[str]) -> list[ValueInfoProto]:
    """The declarations of outputs that come from either branch."""
    return [weaker(name, then.outputs[name], else_.outputs[name]) for name in outputs]


def _common_outputs(then: Part, else_: Part) -> list[str]:
    ours, theirs = list(then.outputs), set(else_.outputs)
    if differing := sorted(set(ours) ^ theirs):
        owner = "then" if differing[0] in then.outputs else "else"
        raise ComposeError(
            "OH206",
            f"only the branch {owner!r} offers {differing[0]!r}; then: {', '.join(ours)}; else: "
            f"{', '.join(else_.outputs)}. Drop it with select, or rename outputs so that they meet",
        )
    return ours


def _condition(assembly: Assembly, part: Part) -> str:
    (tensor, *more) = assembly.add(part.label, {}, {}).values()
    if more or assembly.spec(tensor).dtype != "bool":
        outputs = ", ".join(map(str, part.model.outputs))
        raise ComposeError("OH207", f"the condition needs exactly one output, a bool; it gives {outputs}")
    return tensor

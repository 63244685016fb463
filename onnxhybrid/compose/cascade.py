"""`cascade`: the local model answers, and the remote one is asked only where a judge says no."""

from __future__ import annotations

from onnxhybrid.compose.assembly import Assembly
from onnxhybrid.compose.part import Part, parts_of
from onnxhybrid.compose.switch import unite
from onnxhybrid.compose.types import judged_as
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.dtypes import type_name


def cascade(local: Model, remote: Model, accept: Model) -> Model:
    """Run `local`; if the judge accepts its outputs they are the answer, otherwise `remote` is asked for all rows.

    Args:
        local: the model that always runs.
        remote: the model that is asked where the judge refuses; it gives what local gives, but need not give what only
            the judge reads.
        accept: the judge: a Model with one bool output that reads outputs of `local` by name. Where it gives several
            values, as one for each row, all have to hold.

    Returns:
        A Model with the outputs of `remote`; inputs of one name are one input.

    Raises:
        ComposeError: OH206, the outputs differ; OH208, the judge does not fit local; OH201 or OH202, the models want
            different types or shapes of an input they share.
    """
    models = {"local": local, "judge": accept, "remote": remote}
    parts = {part.label: part for part in parts_of(models)}
    outputs = _common_outputs(parts)
    read = _read_by_judge(parts)
    inputs = {*parts["local"].inputs, *parts["remote"].inputs, *(set(parts["judge"].inputs) - set(read))}
    assembly = Assembly("cascade", list(parts.values()), inputs, outputs)
    tensors = assembly.add("local", {}, {})
    (verdict,) = assembly.add(
        "judge", {name: _as_judged(assembly, tensors[name], parts, name) for name in read}, {}
    ).values()
    accepted = _all_hold(assembly, verdict)
    answered = assembly.passed_on("local", {name: tensors[name] for name in outputs})
    asked = assembly.branch("remote", {})
    assembly.choose(accepted, answered, asked, unite(answered, asked, outputs))
    return assembly.finish(outputs)


def _common_outputs(parts: dict[str, Part]) -> list[str]:
    """The outputs of the cascade, in local's order: those that both offer.

    Raises:
        ComposeError: OH206, one side offers what the other lacks, other than what the judge alone needs.
    """
    local, remote = parts["local"].outputs, parts["remote"].outputs
    judged = set(parts["judge"].inputs)
    missing = [name for name in remote if name not in local]
    unmet = [name for name in local if name not in remote and name not in judged]
    for names, owner, other in ((missing, "remote", "local"), (unmet, "local", "remote")):
        if names:
            raise ComposeError(
                "OH206",
                f"{owner} offers {names[0]!r} and {other} does not; local: {', '.join(local)}; remote: "
                f"{', '.join(remote)}. Drop it with select, or rename outputs so that they meet",
            )
    return [name for name in local if name in remote]


def _read_by_judge(parts: dict[str, Part]) -> list[str]:
    """The judge's inputs that are local outputs.

    Raises:
        ComposeError: OH208, it has not one bool output, or reads what local does not give.
    """
    judge, local = parts["judge"], parts["local"]
    specs = judge.model.outputs
    if len(specs) != 1 or specs[0].dtype != "bool":
        raise ComposeError(
            "OH208", f"a judge has exactly one output, a bool; this one gives {', '.join(map(str, specs))}"
        )
    for spec in judge.model.inputs:
        if spec.name not in local.outputs and spec.name not in local.inputs and not spec.optional:
            raise ComposeError(
                "OH208", f"the judge reads {spec.name!r}, and local gives {', '.join(map(repr, local.outputs))}"
            )
    return [name for name in judge.inputs if name in local.outputs]


def _as_judged(assembly: Assembly, tensor: str, parts: dict[str, Part], name: str) -> str:
    """The tensor, cast where it holds numbers of another type than the judge reads."""
    wanted = type_name(parts["judge"].inputs[name].type)
    if judged_as(assembly.spec(tensor).dtype, wanted):
        return assembly.cast(tensor, wanted, f"judge/{name}")
    return tensor


def _all_hold(assembly: Assembly, verdict: str) -> str:
    """One bool: whether every element of the verdict holds. No element at all is none that fails."""
    refused = assembly.node("Not", [verdict], "judge/refused")
    number = assembly.cast(refused, "int64", "judge/refused/number")
    count = assembly.node("ReduceSum", [number], "judge/refused/count", keepdims=0)
    some = assembly.cast(count, "bool", "judge/refused/some")
    return assembly.node("Not", [some], "judge/accepted")

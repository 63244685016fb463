"""`fallback`: a model's remote failure becomes another model's answer."""

from __future__ import annotations

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.branches import common_outputs, computed
from onnxhybrid.compose.build.maps import without_maps
from onnxhybrid.compose.build.part import Part, parts_of
from onnxhybrid.compose.build.steps import Steps
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import Declared, weaker
from onnxhybrid.compose.fallback.guard import Guarded, guarded
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec

_FALLBACK = Combinator("fallback", branches=True)

USED = "fallback_used"
"""The output of `report=True`."""


def fallback(primary: Model, backup: Model, *, report: bool = False) -> Model:
    """Run `primary`; where a remote call of it fails, `backup` answers instead, and only then does it run.

    A call of the primary at any depth counts, also with `on_error="flag"`, unless a node of its own graph reads the
    flags: then the failure is in its author's hands. Nothing that waits for a failed call runs. `backup` may call out
    itself; its failures are errors.

    Args:
        primary: the model that is asked first.
        backup: a model with the same outputs; flags (`ok`, `status`, `error`) that only the primary offers are dropped.
        report: whether the output `fallback_used` is added, a bool.

    Raises:
        ComposeError: OH206, the outputs differ; OH210, there is an input or output `fallback_used` already; OH214, a
            call of the primary stands where it cannot be guarded; OH215, report is no bool; OH201 or OH202, the models
            want different types or shapes of an input they share.
    """
    if not isinstance(report, bool):
        raise ComposeError("OH215", f"report is True or False, not {report!r}")
    (primary, backup), maps = without_maps(primary, backup)
    first, second = parts_of({"primary": primary, "backup": backup})
    guard = guarded(first.model)
    outputs = _common(first, second, guard)
    public = [*outputs, *([USED] if report else [])]
    if report and USED in outputs:
        raise ComposeError("OH210", f"the models offer an output {USED!r} already; rename it")
    parts = [Part("primary", guard.model), second, *([Part("report", _report())] if report else [])]
    answers = computed(outputs, [first, second])
    assembly = Assembly(_FALLBACK, parts, {*first.inputs, *second.inputs}, [*answers, *public[len(outputs) :]])
    tensors = assembly.add("primary", {}, {})
    if report:
        assembly.add("report", {"ok": tensors[guard.ok]}, {USED: USED})
    answered = assembly.passed_on("primary", {name: tensors[name] for name in answers})
    asked = assembly.branch("backup", {})
    declared = [weaker(name, _promised(first, name), asked.outputs[name]) for name in answers]
    assembly.choose(tensors[guard.ok], answered, asked, declared)
    return maps.put_back(assembly.finish(public))


def _common(primary: Part, backup: Part, guard: Guarded) -> list[str]:
    own = primary.outputs.items()
    offered = {name: value for name, value in own if name in backup.outputs or name not in guard.flags}
    return common_outputs({"primary": offered, "backup": backup.outputs})


def _report() -> Model:
    steps = Steps("report", [TensorSpec("ok", "bool", ())])
    steps.write("Not", "ok", output=USED)
    return steps.model([TensorSpec(USED, "bool", ())])


def _promised(primary: Part, name: str) -> Declared:
    """What the primary says of an output: its guard forgets shapes, since a failed call gives empty tensors.

    Of names of sizes only those stay that its inputs have too, and so have in the composition.
    """
    value = primary.outputs[name]
    if value.shape is None:
        return value
    known = {size for entry in primary.inputs.values() for size in entry.shape or ()}
    return value.shaped(tuple(size if isinstance(size, int) or size in known else None for size in value.shape))

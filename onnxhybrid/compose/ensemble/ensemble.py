"""`ensemble`: several models answer, and their answers become one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.branches import common_outputs, computed
from onnxhybrid.compose.build.part import Part, labelled, listed, parts_of
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import mismatch, weaker
from onnxhybrid.compose.ensemble.combining import STACKED, WAYS, combiner, stack
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.dtypes import is_container
from onnxhybrid.model.naming import free_name

_ENSEMBLE = Combinator("ensemble", overlaps=True, role="member")


def ensemble(models: Sequence[Model], combine: Literal["mean", "max", "vote"] | Model = "mean") -> Model:
    """Run models side by side and make one answer of theirs, for each output by name.

    Args:
        models: one or more models with the same outputs, of the same types, and of one shape at run time; they share
            inputs by name.
        combine: "mean" of floats; "max" of numbers, NaN where one is NaN; "vote" of whole numbers, strings or bools:
            element by element what most models say, and of what equally many say what the earlier model says. Or a
            Model that reads the outputs by name: `y`, or `all/y` where it gives a `y` itself, is the answers of all
            models in a new first axis, `0/y` that of the first model, and so on; a Model with one input takes the one
            output that there is. Its outputs are the ensemble's; inputs of other names are inputs of the ensemble.

    Raises:
        ComposeError: OH205, models is no list of Models; OH206, the outputs differ; OH213, outputs cannot be combined
            so; OH215, there is no such way to combine; OH201 or OH202, the models want different types or shapes of
            an input they share.
    """
    parts = parts_of(labelled(listed(models, "ensemble")))
    common = common_outputs({part.label: part.outputs for part in parts})
    names = common if isinstance(combine, Model) else computed(common, parts)
    specs = [_united(name, parts) for name in names]
    labels = {part.label for part in parts}
    last = _last(combine, specs, parts)
    first = Part(free_name("stack", labels | {last.label}), stack(specs, len(parts)))
    stacked = dict(zip(last.inputs, (STACKED + name for name in names), strict=False))
    wanted = _wanted(last, names, len(parts)) if isinstance(combine, Model) else stacked
    inputs = {name for part in parts for name in part.inputs} | (set(last.inputs) - set(wanted))
    assembly = Assembly(_ENSEMBLE, [*parts, first, last], inputs, last.outputs)
    tensors = {
        f"{number}/{name}": tensor
        for number, part in enumerate(parts)
        for name, tensor in assembly.add(part.label, {}, {}).items()
    }
    tensors |= assembly.add(first.label, tensors, {})
    feeds = {name: tensors[source] for name, source in wanted.items()}
    assembly.add(last.label, feeds, {name: name for name in last.outputs})
    return assembly.finish(list(last.outputs) if isinstance(combine, Model) else common)


def _united(name: str, parts: list[Part]) -> TensorSpec:
    """What is true of an output of all models.

    Raises:
        ComposeError: OH202 or OH206, they have different fixed sizes or types; OH213, it is no tensor.
    """
    values = [part.outputs[name] for part in parts]
    for part, value in zip(parts, values, strict=True):
        problem = mismatch(value, values[0])
        if problem and problem[0] == "OH202":
            sure = value.shaped(part.sure.get(name)), values[0].shaped(parts[0].sure.get(name))
            problem = mismatch(*sure)
        if problem and problem[0] == "OH202":
            raise ComposeError(
                "OH202", f"{part.label!r} and {parts[0].label!r} give {name!r} of different shapes: {problem[1]}"
            )
    spec = functools.reduce(functools.partial(weaker, name), values).spec
    if is_container(spec.dtype):
        raise ComposeError("OH213", f"an ensemble combines tensors, and {spec} is none")
    return spec


def _last(combine: object, specs: list[TensorSpec], parts: list[Part]) -> Part:
    """The part that combines.

    Raises:
        ComposeError: OH215, it is no Model and no way to combine.
    """
    if isinstance(combine, str) and combine in WAYS:
        model = combiner(combine, specs, len(parts))
    elif isinstance(combine, Model):
        model = combine
    else:
        raise ComposeError("OH215", f"combine is one of {', '.join(WAYS)} or a Model, not {combine!r}")
    (part,) = parts_of({free_name("combine", {part.label for part in parts}): model})
    return part


def _wanted(last: Part, names: list[str], count: int) -> dict[str, str]:
    """For each input of the part that combines, which answers it takes: those of all models, or of one.

    Raises:
        ComposeError: OH213, it takes none.
    """
    offered = {f"{number}/{name}": f"{number}/{name}" for name in names for number in range(count)}
    offered |= {STACKED + name: STACKED + name for name in names} | {name: STACKED + name for name in names}
    wanted = {name: offered[name] for name in last.inputs if name in offered}
    if not wanted and len(names) == len(last.inputs) == 1:
        wanted = dict.fromkeys(last.inputs, STACKED + names[0])
    if not wanted:
        raise ComposeError(
            "OH213",
            f"combine reads {', '.join(map(repr, last.inputs)) or 'nothing'}, and there are "
            f"{', '.join(map(repr, names))} of all models, and {f'0/{names[0]}'!r} and the like of one",
        )
    return wanted

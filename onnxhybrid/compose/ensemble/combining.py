"""The ways in which an ensemble makes one answer of several: models that stack the answers, and combine them."""

from __future__ import annotations

from collections.abc import Sequence

from onnxhybrid.compose.build.steps import OPSET, OPSET_OF_STRINGS, Steps
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.dtypes import FLOATS, INTEGERS, elem_type
from onnxhybrid.model.naming import Taken

STACKED = "all/"
"""Before the name of an output: the answers of all models in a new first axis."""

_COMPUTED_AS = {
    **dict.fromkeys(("float16", "bfloat16", "float32"), "float32"),
    "float64": "float64",
    **dict.fromkeys(("bool", *INTEGERS), "int64"),
    "str": "str",
}
_TAKES = {
    "mean": ("floats", FLOATS),
    "max": ("numbers but uint64", tuple({*_COMPUTED_AS} - {"bool", "uint64", "str"})),
    "vote": (
        "whole numbers, strings and bools",
        tuple(name for name, kind in _COMPUTED_AS.items() if "float" not in kind),
    ),
}
"""Of each way to combine, what it takes: in words, and the dtypes."""

WAYS = tuple(_TAKES)


def stack(specs: Sequence[TensorSpec], count: int) -> Model:
    """`0/y`, `1/y`, … -> `all/y` for each output `y`; shapes that differ are an error of the runtime.

    Args:
        specs: the outputs.
        count: of how many models.
    """
    steps = Steps(
        "stack", [TensorSpec(f"{n}/{spec.name}", spec.dtype, spec.shape) for spec in specs for n in range(count)]
    )
    for spec in specs:
        rows = [steps("Unsqueeze", f"{n}/{spec.name}", steps.constant([0])) for n in range(count)]
        steps.write("Concat", *rows, output=STACKED + spec.name, axis=0)
    return steps.model([stacked(spec, count) for spec in specs])


def stacked(spec: TensorSpec, count: int) -> TensorSpec:
    """The answers of all models to an output, in a new first axis."""
    return TensorSpec(STACKED + spec.name, spec.dtype, None if spec.shape is None else (count, *spec.shape))


def combiner(way: str, specs: Sequence[TensorSpec], count: int) -> Model:
    """The answers of all models -> `y` for each output `y`; the inputs are in the order of the outputs.

    Args:
        way: "mean", "max" or "vote".
        specs: the outputs.
        count: of how many models.

    Raises:
        ComposeError: OH213, an output is of a type that cannot be combined so.
    """
    taken = Taken(spec.name for spec in specs)
    every = [stacked(spec, count) for spec in specs]
    inputs = [TensorSpec(taken.take(spec.name), spec.dtype, spec.shape) for spec in every]
    steps = Steps(way, inputs)
    for spec, given in zip(specs, inputs, strict=True):
        words, dtypes = _TAKES[way]
        if spec.dtype not in dtypes:
            raise ComposeError("OH213", f"{way} combines {words}, and {spec} is none; drop it with select")
        kind = _COMPUTED_AS[spec.dtype]
        answers = given.name
        wide = answers if kind == spec.dtype else steps("Cast", answers, to=elem_type(kind))
        if way == "vote":
            steps.write("Squeeze", _elected(steps, answers, wide), steps.constant([0]), output=spec.name)
            continue
        one = _mean(steps, wide, count, kind) if way == "mean" else _largest(steps, wide, count, kind)
        steps.write("Cast", one, output=spec.name, to=elem_type(spec.dtype))
    strings = any(spec.dtype == "str" for spec in specs)
    return steps.model(specs, opset=OPSET_OF_STRINGS if strings else OPSET)


def _mean(steps: Steps, answers: str, count: int, kind: str) -> str:
    total = steps("ReduceSum", answers, steps.constant([0]), keepdims=0)
    return steps("Div", total, steps.constant(count, kind))


def _largest(steps: Steps, answers: str, count: int, kind: str) -> str:
    """The largest answer, NaN where one is NaN: the runtime's own Max does not promise that."""
    found, *others = (steps("Gather", answers, steps.constant(number), axis=0) for number in range(count))
    for other in others:
        larger = steps("Greater", found, other)
        if "float" in kind:
            larger = steps("Or", larger, steps("IsNaN", found))
        found = steps("Where", larger, found, other)
    return found


def _elected(steps: Steps, answers: str, keys: str) -> str:
    """Element by element the answer that most models give, of several the one that comes first: [k, …] -> [1, …]."""
    one, other = (steps("Unsqueeze", keys, steps.constant([axis])) for axis in (0, 1))
    agreeing = steps("Cast", steps("Equal", one, other), to=elem_type("float32"))
    votes = steps("ReduceSum", agreeing, steps.constant([1]), keepdims=0)
    return steps("GatherElements", answers, steps("ArgMax", votes, axis=0, keepdims=1), axis=0)

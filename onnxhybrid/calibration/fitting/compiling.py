"""A score compiled into a function of standard operators and of those of ai.onnx.ml."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from onnx import FunctionProto

from onnxhybrid.calibration.fitting.candidates import Candidate
from onnxhybrid.calibration.fitting.features import Columns, Read, of_opinion, read, represented
from onnxhybrid.calibration.fitting.layout import Array, Classes, Further
from onnxhybrid.calibration.fitting.opinion import Opinion
from onnxhybrid.compose.build.steps import OPSET
from onnxhybrid.compose.judge.kinds import LEARNED, SCORERS
from onnxhybrid.model import TensorSpec


def function_of(
    classes: Classes,
    further: Sequence[Further],
    opinions: Sequence[Opinion],
    borders: tuple[Array, Array] | None,
    candidate: Candidate | None,
) -> FunctionProto:
    """The score of each row, float32[n]: of the largest probability where there is no candidate.

    Args:
        classes, further: what is read.
        opinions: one for each further tensor that is wide.
        borders: the least and the largest value of each feature in the fit; beyond them features are taken for these.
        candidate: what makes a score of features.
    """
    names = ["tensor", *(f"tensor_{place}" for place in range(1, len(further) + 1))]
    steps = Columns([TensorSpec(name, "undefined", None) for name in names])
    row = read(steps, classes, further, names)
    if candidate is None or borders is None:
        score = steps.part(row.largest, 0, 1)
    else:
        features = within(steps, steps("Concat", *features_of(steps, row, further, opinions, names), axis=1), borders)
        score = steps("Sigmoid", candidate.steps(steps, features))
    flat = steps("Reshape", steps("Add", score, row.known), steps.constant([-1]))
    unnamed = steps.function(SCORERS, LEARNED, [flat], OPSET)
    digest = hashlib.sha256(unnamed.SerializeToString(deterministic=True)).hexdigest()[:12]
    return _named(unnamed, f"{LEARNED}_{digest}_of_{len(names)}")


def _named(function: FunctionProto, name: str) -> FunctionProto:
    function.name = name
    return function


def features_of(
    steps: Columns, row: Read, further: Sequence[Further], opinions: Sequence[Opinion], names: Sequence[str]
) -> list[str]:
    """All features of a row, in their order."""
    features = list(row.features)
    waiting = iter(opinions)
    for tensor, name in zip(further, names[1:], strict=True):
        if tensor.wide:
            features += of_opinion(steps, next(waiting).steps(steps, represented(steps, tensor, name)), row)
    return features


def within(steps: Columns, features: str, borders: tuple[Array, Array]) -> str:
    """The features within borders: a row that is like none of the fit is judged as the nearest one there."""
    least, most = (steps.number(border.tolist()) for border in borders)
    return steps("Min", steps("Max", features, least), most)

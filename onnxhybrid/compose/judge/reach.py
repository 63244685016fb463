"""Whether a judge can accept anything of what it is given: axes exist, and thresholds lie where scores can."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto

from onnxhybrid.compose.build.types import Declared
from onnxhybrid.compose.judge.functions import Judgement
from onnxhybrid.compose.judge.kinds import KINDS
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.dtypes import INTEGERS, numpy_dtype
from onnxhybrid.model.tensor_spec import Shape
from onnxhybrid.model.tensor_values import array_of

_ROUNDING = 1e-6
"""How far a runtime's softmax and logarithm may be beside what they would be exactly, as a part of it."""


def check_reach(judge: Model, given: Mapping[str, Declared]) -> None:
    """Check that a judge can accept something.

    A threshold counts as it is written: the constant, or the input's default.

    Args:
        judge: any judge.
        given: input of the judge -> the declaration of what it is given.

    Raises:
        ComposeError: OH208, it reads the size of an axis that does not exist, or no row can be accepted.
    """
    graph = judge.skeleton.graph
    reach = _Reach(
        {name: node for node in graph.node for name in node.output[:1]},
        {tensor.name: tensor for tensor in graph.initializer},
        given,
    )
    for node in reach.producers.values():
        reach.check_axis(node)
    if problem := reach.problem(graph.output[0].name):
        raise ComposeError("OH208", f"the judge accepts nothing, and remote would be asked for every row: {problem}")


def check_rows(judge: Model, given: Mapping[str, Declared], answers: Collection[str]) -> None:
    """Check that a judge does not take for the classes of one row what has a number for each row.

    Args:
        judge: any judge.
        given: input of the judge -> the declaration of what it is given.
        answers: those of `given` whose rows are answered one by one.

    Raises:
        ComposeError: OH208, it does.
    """
    node = {name: node for node in judge.skeleton.graph.node for name in node.output[:1]}.get(judge.outputs[0].name)
    judgement = Judgement.of(node) if node else None
    judged = given.get(node.input[0]) if node and judgement and KINDS[judgement.kind].of_classes else None
    if judged is None or judgement is None or judged.shape is None or len(judged.shape) != 1:
        return
    sizes = {size for name in answers for size in (given[name].shape or ())[:1]} - {None, 1}
    if (judged.name in answers and judged.shape[0] != 1) or judged.shape[0] in sizes:
        raise ComposeError(
            "OH208",
            f"{judgement.kind} takes local's {judged} for the classes of one row, and rows=True needs a verdict for "
            f"each row; compare oh.judge.value({judged.name!r}), or give it an axis of classes",
        )


@dataclass(frozen=True)
class _Reach:
    """What is known of a judge's graph.

    Attributes:
        producers: the first output of each node -> the node.
        constants: the constants, and the defaults of inputs.
        given: input -> the declaration of what it is given.
    """

    producers: Mapping[str, NodeProto]
    constants: Mapping[str, TensorProto]
    given: Mapping[str, Declared]

    def check_axis(self, node: NodeProto) -> None:
        """OH208, unless the axis whose size is judged exists, as far as can be known."""
        axis, shape = self._axis(node), self._shape(node)
        if axis is not None and shape is not None and not -len(shape) <= axis < len(shape):
            spec = self.given[node.input[0]]
            axes = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
            raise ComposeError("OH208", f"the judge reads the size of axis {axis}, and local's {spec} has {axes}")

    def problem(self, tensor: str) -> str | None:
        """Why a verdict can hold for no row; None where it can, for all that is known."""
        node = self.producers.get(tensor, NodeProto())
        if judgement := Judgement.of(node):
            return self._of_score(node, judgement)
        if node.domain or node.op_type not in ("And", "Or", "Identity"):
            return None
        problems = [self.problem(name) for name in node.input]
        if node.op_type == "Or" and not all(problems):
            return None
        return next(filter(None, problems), None)

    def _of_score(self, node: NodeProto, judgement: Judgement) -> str | None:
        if unjudged := self._unjudged(node, judgement):
            return unjudged
        threshold = self.constants.get(node.input[-1])
        if threshold is None or KINDS[judgement.kind].holds:
            return None
        values = array_of(threshold)
        if values is None or not values.size:
            return None
        limit = float(values.ravel()[0])
        least, most = self._range(node, judgement)
        if judgement.comparison.startswith("Greater"):
            reached = limit < most or (limit == most and judgement.comparison == "GreaterOrEqual")
            border = f"is never above {most:g}"
        else:
            reached = limit > least or (limit == least and judgement.comparison == "LessOrEqual")
            border = f"is never below {least:g}"
        if reached:
            return None
        name = node.input[0]
        others = f"; compare oh.judge.logit_max({name!r}) if {name!r} holds other numbers than probabilities"
        hint = others if judgement.kind == "max_probability" else ""
        return f"{judgement.read(f'{limit:g}')}, and {judgement.kind} {border}{hint}"

    def _unjudged(self, node: NodeProto, judgement: Judgement) -> str | None:
        """Why no row of such a shape has a score, whatever it holds; None where one can have it."""
        kind, shape = KINDS[judgement.kind], self._shape(node)
        if shape is None or kind.any_rank:
            return None
        rows = shape if kind.of_classes and len(shape) == 1 else shape[1:]
        name = f"local's {self.given[node.input[0]]}"
        if 0 in rows:
            return f"the rows of {name} have no elements"
        classes = (shape or (1,))[-1] if kind.of_classes else None
        if isinstance(classes, int) and classes < kind.fewest:
            return f"{name} has one class, and {judgement.kind} needs {kind.fewest}"
        return None

    def _range(self, node: NodeProto, judgement: Judgement) -> tuple[float, float]:
        kind, shape = KINDS[judgement.kind], self._shape(node)
        axis = self._axis(node)
        size = shape[-1 if axis is None else axis] if shape else None
        if axis is not None and isinstance(size, int):
            return size, size
        if judgement.kind in ("value", "logit_max"):
            return self._numbers(node)
        if isinstance(size, int) and size > 0:
            if judgement.kind == "entropy_of_logits":
                return kind.least, math.log(size) * (1 + _ROUNDING)
            if judgement.kind == "max_probability_of_logits":
                return (1 - _ROUNDING) / size, kind.most
        return kind.least, kind.most

    def _numbers(self, node: NodeProto) -> tuple[float, float]:
        """The range of the numbers of what a judge reads."""
        value = self.given.get(node.input[0])
        if value is None or value.dtype not in INTEGERS:
            return -math.inf, math.inf
        held = np.iinfo(numpy_dtype(value.dtype))
        return float(held.min), float(held.max)

    def _axis(self, node: NodeProto) -> int | None:
        judgement = Judgement.of(node)
        axis = self.constants.get(node.input[1]) if judgement and judgement.kind == "size" else None
        found = None if axis is None else array_of(axis)
        return int(found.ravel()[0]) if found is not None and found.size else None

    def _shape(self, node: NodeProto) -> Shape | None:
        value = self.given.get(node.input[0]) if node.input else None
        return None if value is None else value.shape

"""The kinds of scores: what each is of a tensor of any shape, and in fewer nodes of one whose shape is known.

Both give the same. The way for any shape pads, so that a row without elements has a score too, NaN; the quick one is
for tensors whose rows are known to have elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from onnx import AttributeProto

from onnxhybrid.compose.judge.rows import Scoring, by_sample, classes, flat, probabilities
from onnxhybrid.model.remote_spec import DOMAIN as REMOTE

Generic = Callable[..., str]
"""From the judged tensor and more inputs to its scores, [n, m]."""

Quick = Callable[..., str]
"""From the judged tensor, its rank and more inputs to its scores, row by row: [n, …]."""

FINITE, NUMBERS, NOTHING = "infinities and NaN", "NaN", "nothing"
"""What a quick score may not see by itself, so that the tensor is looked at again: ReduceMax and TopK compare, and pass
over what is compared with NaN."""


@dataclass(frozen=True)
class Kind:
    """One kind of score.

    Attributes:
        generic: the scores of a tensor of any shape.
        quick: the scores of a tensor of known rank, whose rows have elements; of a bool kind, whether each holds.
        of_classes: whether the last axis holds classes, which make one score.
        unseen: what quick scores do not see.
        fewest: the least number of classes that can be judged.
        more: what else it reads.
        attributes: what is said of it beside its inputs.
        holds: whether its scores are 1 for what holds and 0 for what does not.
        any_rank: whether the quick way is one for all ranks, and for tensors without elements.
        least, most: the range of what can be judged; of entropy `most` depends on the number of classes.
    """

    generic: Generic
    quick: Quick
    of_classes: bool = False
    unseen: str = NOTHING
    fewest: int = 1
    more: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    holds: bool = False
    any_rank: bool = False
    least: float = float("-inf")
    most: float = float("inf")


def _of_probabilities(score: Generic, *, softmax: bool) -> Generic:
    def scores(steps: Scoring, name: str) -> str:
        rows, lead = classes(steps, name)
        held, nan = probabilities(steps, rows, softmax)
        return by_sample(steps, steps("Add", score(steps, held), nan), lead)

    return scores


def _of_softmax(quick: Quick) -> Quick:
    """ONNX Runtime's Softmax gives NaN for all classes of a row that has none: of NaN, +inf, or nothing but -inf."""
    return lambda steps, name, rank: quick(steps, steps("Softmax", name, axis=-1), rank)


def _largest(steps: Scoring, rows: str) -> str:
    return steps.column(steps.top(rows, 1), 0)


def _quick_largest(steps: Scoring, tensor: str, rank: int) -> str:
    return steps.reduced("ReduceMax", tensor, [rank - 1], keep=rank == 1)


def _margin(steps: Scoring, rows: str) -> str:
    both = steps.top(rows, 2)
    first, second = steps.column(both, 0), steps.column(both, 1)
    none = steps("Mul", second, steps.number(0))  # NaN where there is no second class, which top gives as -inf
    return steps("Add", steps("Sub", first, second), none)


def _quick_margin(steps: Scoring, tensor: str, rank: int) -> str:
    """TopK of ONNX Runtime before 1.31 divides by the number of rows, so one is added first and dropped afterwards."""
    many = rank > 1
    if many:
        tensor = steps("Pad", tensor, steps.constant([0] * rank + [1] + [0] * (rank - 1)))
    both = steps("TopK", tensor, steps.constant([2]), outputs=2, axis=-1)
    if many:
        both = steps("Slice", both, steps.constant([0]), steps.constant([-1]), steps.constant([0]))
    return steps.sum(steps("Mul", both, steps.number([1, -1])), [rank - 1], keep=not many)


def _entropy(steps: Scoring, rows: str) -> str:
    return steps("Neg", steps.total(_each_entropy(steps, rows)))


def _quick_entropy(steps: Scoring, tensor: str, rank: int) -> str:
    """The logarithm refuses what is negative, and a difference what is infinite."""
    refusing = steps("Sub", tensor, tensor)
    return steps.sum(steps("Sub", refusing, _each_entropy(steps, tensor)), [rank - 1], keep=rank == 1)


def _each_entropy(steps: Scoring, rows: str) -> str:
    zero = steps("Equal", rows, steps.number(0))
    return steps("Mul", rows, steps("Log", steps("Where", zero, steps.number(1), rows)))


def _logit_max(steps: Scoring, name: str) -> str:
    rows, lead = classes(steps, name)
    known = steps("Not", steps("IsNaN", rows))
    clean = steps("Where", known, rows, steps.number(0))
    return by_sample(steps, steps("Add", steps.column(steps.top(clean, 1), 0), steps.nan_unless(known)), lead)


def _size(steps: Scoring, tensor: str, _rank: int | None, axis: str) -> str:
    return steps.cast(steps("Gather", steps("Shape", tensor), axis))


def _equals(steps: Scoring, tensor: str, value: str) -> str:
    return steps("Equal", tensor, value)


def _matches(steps: Scoring, tensor: str) -> str:
    return steps("RegexFullMatch", tensor, given={"pattern": AttributeProto.STRING})


def _holding(holds: Generic) -> Kind:
    return Kind(
        lambda steps, name, *more: flat(steps, steps.cast(holds(steps, name, *more))),
        lambda steps, name, _rank, *more: holds(steps, name, *more),
        holds=True,
    )


def _kind_of_probabilities(
    score: Generic, quick: Quick, *, softmax: bool, unseen: str = NOTHING, fewest: int = 1, most: float = float("inf")
) -> Kind:
    return Kind(
        _of_probabilities(score, softmax=softmax),
        _of_softmax(quick) if softmax else quick,
        of_classes=True,
        unseen=unseen,
        fewest=fewest,
        least=0,
        most=most,
    )


def _learned(name: str, tensors: int) -> Kind:
    """The score that a fitted function of its own gives of so many tensors: a probability, for rows of any shape."""

    def score(steps: Scoring, tensor: str, *more: str) -> str:
        return steps(name, tensor, *more, domain=SCORERS)

    more = tuple(f"tensor_{place}" for place in range(1, tensors))
    quick: Quick = lambda steps, tensor, _rank, *more: score(steps, tensor, *more)  # noqa: E731
    return Kind(score, quick, more=more, any_rank=True, least=0, most=1)


SCORERS = f"{REMOTE}.scorer"
"""The domain of the functions that a fit made, each of which is a kind of its own."""

LEARNED = "learned"
"""What they are called, before a hash of what they compute and the number of tensors that they read."""

_LEARNED = re.compile(rf"{LEARNED}_[0-9a-f]{{12}}_of_(?P<tensors>[1-9]\d*)")


class _Kinds(dict[str, Kind]):
    """The kinds by name; those of learned scores are there by any name of theirs, and are not listed."""

    def __missing__(self, name: str) -> Kind:
        if found := _LEARNED.fullmatch(name):
            return _learned(name, int(found["tensors"]))
        raise KeyError(name)


_EQUALS, _TEXT = _holding(_equals), _holding(_matches)

KINDS = _Kinds(
    {
        "max_probability": _kind_of_probabilities(_largest, _quick_largest, softmax=False, unseen=FINITE, most=1),
        "max_probability_of_logits": _kind_of_probabilities(_largest, _quick_largest, softmax=True, most=1),
        "margin": _kind_of_probabilities(_margin, _quick_margin, softmax=False, unseen=FINITE, fewest=2),
        "margin_of_logits": _kind_of_probabilities(_margin, _quick_margin, softmax=True, fewest=2, most=1),
        "entropy": _kind_of_probabilities(_entropy, _quick_entropy, softmax=False),
        "entropy_of_logits": _kind_of_probabilities(_entropy, _quick_entropy, softmax=True),
        "logit_max": Kind(_logit_max, _quick_largest, of_classes=True, unseen=NUMBERS),
        "value": Kind(flat, lambda _steps, name, _rank: name),
        "size": Kind(_size, _size, more=("axis",), any_rank=True, least=0),
        "equals": Kind(_EQUALS.generic, _EQUALS.quick, more=("value",), holds=True),
        "matches": Kind(_TEXT.generic, _TEXT.quick, attributes=("pattern",), holds=True),
    }
)
"""The kinds by the names that functions have."""

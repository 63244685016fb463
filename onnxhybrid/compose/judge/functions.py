"""Judges as model-local functions: one node says what is judged, and ONNX Runtime inlines what it stands for.

A function's name says all that it does, so that those of two models are the same where their names are, and one can be
made anew from its name: turned around by `~`, or in fewer nodes where the shape of what is judged is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from onnx import FunctionProto, ModelProto, NodeProto, inliner

from onnxhybrid.compose.judge.kinds import FINITE, KINDS, LEARNED, NOTHING, Kind
from onnxhybrid.compose.judge.rows import Scoring, worst
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.axes import input_axes
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.messages import copied
from onnxhybrid.model.messages import replace as replace_entries
from onnxhybrid.model.opsets import opsets_of
from onnxhybrid.model.remote_spec import DOMAIN as REMOTE

DOMAIN = f"{REMOTE}.judge"
"""The domain of the functions."""

VERSION = 1

_WORDS = {"GreaterOrEqual": "at_least", "Greater": "above", "LessOrEqual": "at_most", "Less": "below"}
_SIGNS = {"GreaterOrEqual": "≥", "Greater": ">", "LessOrEqual": "≤", "Less": "<"}
OPPOSITE = {"GreaterOrEqual": "Less", "Less": "GreaterOrEqual", "Greater": "LessOrEqual", "LessOrEqual": "Greater"}
"""What a comparison is turned around to."""

_HALF = 0.5  # tells the 1 of what holds from the 0 of what does not
_AXES_INPUT = 18  # the opset since which all reductions read their axes


@dataclass(frozen=True)
class Judgement:
    """What a function says of a tensor, and for which shapes.

    Attributes:
        kind: the kind of score.
        comparison: the operator that compares it with the threshold.
        every: whether every score of a row has to hold, or one of them.
        dtype: the float type of score and threshold.
        rank: the rank of what is judged, whose rows have elements; None for any shape.
        whole: whether there is one verdict for all rows, instead of one for each and the scores.
    """

    kind: str
    comparison: str
    every: bool = True
    dtype: str = "float32"
    rank: int | None = None
    whole: bool = False

    @property
    def name(self) -> str:
        """What the function is called, such as `max_probability_at_least`; of rows of classes, which most are."""
        name = self.kind if KINDS[self.kind].holds else f"{self.kind}_{_WORDS[self.comparison]}"
        if KINDS[self.kind].holds and self.comparison != "Greater":
            name = f"not_{name}"
        name = f"{name}{'' if self.every else '_somewhere'}{'_in_float64' if self.dtype == 'float64' else ''}"
        if self.rank is None and not KINDS[self.kind].any_rank:
            name = f"{name}_of_any_shape"
        elif self.rank not in (None, 2):
            name = f"{name}_of_rank_{self.rank}"
        return f"all_{name}" if self.whole else name

    @classmethod
    def of(cls, node: NodeProto) -> Judgement | None:
        """What a node judges; None where it is no judge of ours."""
        found = _NAME.fullmatch(node.op_type) if node.domain == DOMAIN else None
        plain = _named(found["plain"]) if found else None
        if found is None or plain is None:
            return None
        rank = None if found["any"] or KINDS[plain.kind].any_rank else int(found["rank"] or 2)
        return replace(plain, rank=rank, whole=found["whole"] is not None)

    @property
    def opposite(self) -> Judgement:
        """What holds where this does not, of what can be judged."""
        return replace(self, comparison=OPPOSITE[self.comparison], every=not self.every)

    def read(self, threshold: str) -> str:
        """What it says, in words for the reader of a graph, as in `max_probability ≥ 0.8`."""
        if KINDS[self.kind].holds:
            return f"{'' if self.comparison == 'Greater' else 'not '}{self.kind} {threshold}"
        kind = LEARNED if self.kind not in KINDS.keys() else self.kind  # noqa: SIM118
        return f"{kind} {_SIGNS[self.comparison]} {threshold}"

    def reread(self, reading: str, before: Judgement) -> str:
        """What `before` was read as, for this one: the sign is another, or the `not`."""
        if KINDS[self.kind].holds:
            plain, turned = (f"{'' if j.comparison == 'Greater' else 'not '}{j.kind}" for j in (before, self))
            return reading.replace(plain, turned, 1)
        return reading.replace(f" {_SIGNS[before.comparison]} ", f" {_SIGNS[self.comparison]} ", 1)

    def function(self, opset: int) -> FunctionProto:
        """The function: tensor, what else the kind reads, threshold -> accepted, and score unless `whole`.

        Args:
            opset: the standard opset of its operators, 14 or later.
        """
        kind = KINDS[self.kind]
        names = ["tensor", *kind.more, *([] if kind.holds else ["threshold"])]
        steps = Scoring(self.dtype, [TensorSpec(name, "undefined", None) for name in names])
        outputs = self._whole(steps, kind) if self.whole else self._by_row(steps, kind)
        function = steps.function(DOMAIN, self.name, outputs, opset, kind.attributes)
        if opset >= _AXES_INPUT:
            input_axes(function)
        return function

    def _by_row(self, steps: Scoring, kind: Kind) -> Sequence[str]:
        if self.rank is None and not kind.any_rank:
            scores = kind.generic(steps, "tensor", *kind.more)
            score = worst(steps, scores, "tensor", largest=not self._smallest)
            return self._compared(steps, score, kind), score
        scores = kind.quick(steps, "tensor", self.rank, *kind.more)
        rank = self.rank or 0
        if kind.holds and rank < 2:
            return self._held(steps, scores), steps.cast(scores)
        if kind.holds:
            scores = steps.cast(scores)
        score = self._extreme_of_row(steps, kind, scores, rank)
        return self._compared(steps, score, kind), score if score != "tensor" else steps("Identity", score)

    def _extreme_of_row(self, steps: Scoring, kind: Kind, scores: str, rank: int) -> str:
        """The score of each row that decides; NaN where the row cannot be judged."""
        inner = list(range(1, rank - 1 if kind.of_classes else rank))
        found = steps.reduced(self._reduction, scores, inner) if inner else scores
        if kind.unseen == NOTHING:
            return steps("Min", found, steps.reduced("ReduceL1", scores, inner)) if inner else found
        axes, keep = (list(range(1, rank)), False) if rank > 1 else ([0], True)
        if kind.unseen == FINITE:
            return steps("Add", found, steps.sum(steps("Sub", "tensor", "tensor"), axes, keep=keep))
        return steps("Min", found, steps.reduced("ReduceL1", "tensor", axes, keep=keep))

    def _whole(self, steps: Scoring, kind: Kind) -> Sequence[str]:
        """One verdict. What cannot be judged is looked for in all rows at once where that takes fewer nodes."""
        scores = kind.quick(steps, "tensor", self.rank, *kind.more)
        if kind.unseen == NOTHING:
            return [steps.all_of(self._held(steps, scores) if kind.holds else self._compared(steps, scores, kind))]
        found = steps.reduced(self._reduction, scores, [])
        if kind.unseen == FINITE:
            score = steps("Add", found, steps.sum(steps("Sub", "tensor", "tensor"), []))
        else:
            score = self._unless_nan(steps, found)
        return [self._compared(steps, score, kind)]

    def _unless_nan(self, steps: Scoring, found: str) -> str:
        """The number, or NaN if the tensor holds NaN: no number is farther from 0 than the sum of all distances is."""
        bound = steps.reduced("ReduceL1", "tensor", [])
        return steps("Max", found, steps("Neg", bound)) if self._smallest else steps("Min", found, bound)

    @property
    def _smallest(self) -> bool:
        """Whether the smallest score of several decides."""
        return self.comparison.startswith("Greater") == self.every

    @property
    def _reduction(self) -> str:
        return "ReduceMin" if self._smallest else "ReduceMax"

    def _compared(self, steps: Scoring, score: str, kind: Kind) -> str:
        return steps(self.comparison, score, steps.number([_HALF]) if kind.holds else "threshold")

    def _held(self, steps: Scoring, holds: str) -> str:
        return holds if self.comparison == "Greater" else steps("Not", holds)


def _judgements(kinds: Iterable[str]) -> dict[str, Judgement]:
    """All that is said of any number of kinds, by its name, without what the name says of shapes."""
    judgements = [
        Judgement(kind, comparison, every, dtype)
        for kind in kinds
        for comparison in (("Greater", "LessOrEqual") if KINDS[kind].holds else _WORDS)
        for every in (True, False)
        for dtype in ("float32", "float64")
    ]
    return {judgement.name.removesuffix("_of_any_shape"): judgement for judgement in judgements}


_PLAIN = _judgements(KINDS)
_LEARNED = re.compile(rf"({LEARNED}_[0-9a-f]{{12}}_of_[1-9]\d*)_\w+")


def _named(plain: str) -> Judgement | None:
    """What a name says, without what it says of shapes."""
    if found := _LEARNED.fullmatch(plain):
        return _judgements([found[1]]).get(plain)
    return _PLAIN.get(plain)


_NAME = re.compile(r"(?P<whole>all_)?(?P<plain>\w+?)(?P<any>_of_any_shape)?(_of_rank_(?P<rank>\d+))?")


def turned_around(node: NodeProto, judgement: Judgement, outputs: Sequence[str]) -> NodeProto:
    """The node that holds where this one does not, and writes `outputs`."""
    turned, opposite = copied(node), judgement.opposite
    turned.op_type = opposite.name
    turned.output[:] = outputs
    turned.name = opposite.reread(node.name, judgement)
    return turned


def without_strangers(model: ModelProto) -> ModelProto:
    """A copy of the model that holds the nodes of judges whose functions go by names that we did not give.

    A prefix does that. What such a function says cannot be told from its name.
    """
    named = [function.name for function in model.functions if function.domain == DOMAIN]
    strangers = [(DOMAIN, name) for name in named if Judgement.of(NodeProto(op_type=name, domain=DOMAIN)) is None]
    return inliner.inline_selected_functions(model, strangers) if strangers else copied(model)


def renew(model: ModelProto) -> None:
    """Let a model hold the functions that its nodes call, and no others of ours, in place.

    One that another release wrote otherwise, and that composing told apart from ours by its name, stays as it is.
    """
    called = {node.op_type: Judgement.of(node) for node in all_nodes(model) if node.domain == DOMAIN}
    told_apart = {name for name, judgement in called.items() if judgement is None}
    others = [function for function in model.functions if function.domain != DOMAIN or function.name in told_apart]
    opset = opsets_of(model.opset_import)[""]
    ours = [judgement.function(opset) for _, judgement in sorted(called.items()) if judgement]
    replace_entries(model.functions, [*others, *ours])

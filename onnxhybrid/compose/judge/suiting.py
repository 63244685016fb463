"""A judge made to suit what it judges: with fewer nodes, where a cascade knows the shapes of what local gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from onnx import GraphProto

from onnxhybrid.compose.build.types import Declared
from onnxhybrid.compose.judge.functions import Judgement, renew
from onnxhybrid.compose.judge.kinds import KINDS
from onnxhybrid.model import Model
from onnxhybrid.model.messages import copied
from onnxhybrid.model.tensor_spec import Shape


@dataclass(frozen=True)
class Suited:
    """A judge of known shapes.

    Attributes:
        model: the judge.
        whole: whether it gives one verdict for all rows.
        counted: the judged tensor that is known to have as many rows as there are verdicts, if there is one.
    """

    model: Model
    whole: bool = False
    counted: str | None = None


def suited(judge: Model, given: Mapping[str, Declared], *, whole: bool) -> Suited:
    """The judge for what local gives.

    Args:
        judge: any judge, on the opsets of the cascade.
        given: input of the judge -> the declaration of what it is given.
        whole: whether one verdict for all rows is enough.
    """
    proto = copied(judge.skeleton)
    shapes = {name: value.shape for name, value in given.items()}
    found = [Judgement.of(node) for node in proto.graph.node]
    fitted = [_fitted(j, shapes.get(n.input[0])) if j else None for j, n in zip(found, proto.graph.node, strict=True)]
    if not any(fitted):
        return Suited(judge)
    united = whole and _unites(proto.graph, fitted)
    for node, judgement in zip(proto.graph.node, fitted, strict=True):
        if judgement:
            node.op_type = replace(judgement, whole=united).name
            if united:
                del node.output[1:]
    if united:
        proto.graph.output[0].type.tensor_type.ClearField("shape")
    renew(proto)
    counted = None
    if len(fitted) == 1 and fitted[0] and fitted[0].rank:
        counted = proto.graph.node[0].input[0] if fitted[0].rank > KINDS[fitted[0].kind].of_classes else None
    return Suited(Model(proto, judge.weights), united, counted)


def _fitted(judgement: Judgement, shape: Shape | None) -> Judgement | None:
    """How a tensor of such a shape is judged in fewer nodes; None where it has to be as one of any shape."""
    kind = KINDS[judgement.kind]
    if kind.any_rank:
        return replace(judgement, every=True)
    if not shape or not _has_elements(shape, kind.fewest if kind.of_classes else 0):
        return None
    single = all(size == 1 for size in shape[1 : -1 if kind.of_classes else None])
    return replace(judgement, rank=len(shape), every=judgement.every or single)


def _has_elements(shape: Shape, classes: int) -> bool:
    """Whether every row of a tensor of such a shape has elements: classes, so many at least, or numbers (0)."""
    sizes = list(shape[0 if classes and len(shape) == 1 else 1 :])
    fewest = [1] * len(sizes)
    if classes:
        fewest[-1] = classes
    return all(isinstance(size, int) and size >= least for size, least in zip(sizes, fewest, strict=True))


def _unites(graph: GraphProto, fitted: list[Judgement | None]) -> bool:
    """Whether all rows hold exactly where each judge of ours says so of all of them."""
    return all(
        judgement.every if judgement else node.op_type in ("And", "Identity") and not node.domain
        for node, judgement in zip(graph.node, fitted, strict=True)
    )

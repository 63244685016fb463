"""What a cascade is made of, read from its graph: local's answers, the verdict, the threshold, and what is asked.

The reader starts at an output, finds the If that chooses between local and remote, and from its verdict goes back
through logic to the comparisons with a threshold that is an input. So it reads files of any release, and those whose
tensors were renamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from onnx import GraphProto, ModelProto, NodeProto, inliner

from onnxhybrid.compose.judge.functions import DOMAIN, OPPOSITE, Judgement, renew, without_strangers
from onnxhybrid.compose.judge.kinds import KINDS
from onnxhybrid.errors import Error
from onnxhybrid.model import Model, TensorSpec, audits
from onnxhybrid.model.functions import called, key_of
from onnxhybrid.model.graphs import attribute_graphs, captured, reads
from onnxhybrid.model.naming import tensor_names
from onnxhybrid.model.opsets import standard

_MIRRORED = {"GreaterOrEqual": "LessOrEqual", "LessOrEqual": "GreaterOrEqual", "Greater": "Less", "Less": "Greater"}
_MOVING = frozenset({"Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_UNITING = frozenset({"ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"})
_LOGIC = frozenset({"And", "Not", "Or", "Xor"})
_FLOATS = ("float16", "float32", "float64")
_MOST_COMPARISONS = 3

_Limits = Mapping[str, tuple[float, float]]
"""Verdict -> between which numbers its scores lie."""


@dataclass(frozen=True)
class Comparison:
    """A comparison of a score with the threshold.

    Attributes:
        verdict: the bool tensor that it gives.
        score, limit: what it compares, the score on the left.
        operator: the ONNX operator.
        least, most: between which numbers a score can lie.
    """

    verdict: str
    score: str
    limit: str
    operator: str
    least: float = float("-inf")
    most: float = float("inf")

    @property
    def opposite(self) -> Comparison:
        """The comparison that holds where this one does not, NaN aside."""
        return replace(self, operator=OPPOSITE[self.operator])


@dataclass(frozen=True)
class Anatomy:
    """A cascade in a graph.

    Attributes:
        proto: a copy of the skeleton in which the judge's functions are nodes of the graph.
        position: where the If stands among its nodes.
        condition: the bool tensor that the If reads.
        decision: the one that this passes on: it says whether all is kept.
        verdict: the bool tensor that says what is kept, by row where `rows`.
        rows: whether refused rows are sent, instead of all.
        threshold: the input that the judge compares with.
        comparisons: where it does.
        answers: output of the If -> local's tensor that it passes on.
    """

    proto: ModelProto
    position: int
    condition: str
    decision: str
    verdict: str
    rows: bool
    threshold: TensorSpec
    comparisons: tuple[Comparison, ...]
    answers: Mapping[str, str]


def anatomy(model: Model, output: str) -> Anatomy:
    """The cascade that answers an output.

    Raises:
        Error: OH600, no cascade answers it; OH601, no judge compares with an input; OH602, several do; OH603, the judge
            uses its threshold otherwise.
    """
    proto, limits = _with_open_judges(model)
    producers = {name: place for place, node in enumerate(proto.graph.node) for name in node.output if name}
    chosen = _choices(proto.graph, producers, output)
    if not chosen:
        raise Error(
            "OH600", f"no cascade answers the output {output!r}; calibrate takes what oh.cascade(local, remote, "
            "accept=judge) gives, or what was made of it"
        )  # fmt: skip
    inputs = {spec.name: spec for spec in model.inputs}
    found = [(place, _thresholds(proto.graph, producers, place, inputs, limits)) for place in chosen]
    judged = [(place, named) for place, named in found if named]
    names = sorted({name for _, named in judged for name in named})
    if not judged:
        raise _no_threshold(inputs)
    if len(judged) > 1 or len(names) > 1:
        raise _several(names)
    (place, named) = judged[0]
    verdict, rows = _verdict(proto.graph, producers, place)
    (threshold, comparisons) = next(iter(named.items()))
    if len(comparisons) > _MOST_COMPARISONS:
        raise Error("OH603", f"the judge compares with {threshold!r} in {len(comparisons)} places; 3 are the most")
    answers = dict(_answers(proto.graph.node[place]))
    condition = proto.graph.node[place].input[0]
    decision = _passed(proto.graph, producers, condition)
    return Anatomy(proto, place, condition, decision, verdict, rows, inputs[threshold], tuple(comparisons), answers)


def _no_threshold(inputs: Mapping[str, TensorSpec]) -> Error:
    known = ", ".join(inputs) or "none"
    return Error(
        "OH601", f"the judge compares with no input, so there is no threshold to choose (inputs: {known}); write "
        "accept=oh.judge.max_probability('probabilities') >= oh.Input('threshold', default=0.5)"
    )  # fmt: skip


def _several(names: list[str]) -> Error:
    return Error(
        "OH602", f"the threshold would be one of {', '.join(map(repr, names))}, and one number is chosen; leave one "
        f"as an input, as in hybrid.bind({names[-1]}=0.5), or give both judges the same oh.Input"
    )  # fmt: skip


def _with_open_judges(model: Model) -> tuple[ModelProto, _Limits]:
    """A copy whose judges are nodes of the main graph, each with a verdict for each row; and the limits of scores."""
    proto = without_strangers(audits.without(model.skeleton))
    names = tensor_names(proto.graph)
    for node in proto.graph.node:
        judgement = Judgement.of(node)
        if judgement and judgement.whole:
            node.op_type = replace(judgement, whole=False).name
            node.output.append(names.take(f"{node.output[0]}/score"))
    if any(Judgement.of(node) for node in proto.graph.node):
        renew(proto)
    kinds = {node.output[0]: KINDS[judgement.kind] for node in proto.graph.node if (judgement := Judgement.of(node))}
    opened = _inlined(proto, {(DOMAIN, function.name) for function in proto.functions if function.domain == DOMAIN})
    while more := _judging(opened):
        opened = _inlined(opened, more)
    return opened, {name: (kind.least, kind.most) for name, kind in kinds.items()}


def _inlined(model: ModelProto, functions: set[tuple[str, str]]) -> ModelProto:
    return inliner.inline_selected_functions(model, sorted(functions)) if functions else model


def _judging(model: ModelProto) -> set[tuple[str, str]]:
    """The functions of the main graph that take one float beside a tensor: judges that are not ours."""
    own = {key_of(function) for function in model.functions}
    single = {value.name for value in model.graph.input if _is_single(TensorSpec.of(value))}
    return {
        (node.domain, node.op_type)
        for node in model.graph.node
        if called(node) in own and single.intersection(node.input)
    }


def _is_single(spec: TensorSpec) -> bool:
    return spec.dtype in _FLOATS and spec.shape in ((), (1,))


def _choices(graph: GraphProto, producers: Mapping[str, int], output: str) -> list[int]:
    """The places of the If nodes of a main graph that a tensor's values come from, from it backwards.

    What decides in them is not followed: it may wait for nodes that choose nothing.
    """
    found, seen, pending = [], set[int](), [output]
    while pending:
        place = producers.get(pending.pop())
        if place is None or place in seen:
            continue
        seen.add(place)
        node = graph.node[place]
        if node.op_type == "If" and not standard(node.domain):
            found.append(place)
            pending += (name for branch in attribute_graphs(node) for name in captured(branch))
        else:
            pending += reads(node)
    return found


def _verdict(graph: GraphProto, producers: Mapping[str, int], place: int) -> tuple[str, bool]:
    """The tensor that says what is kept, and whether it does by row: then the other branch looks for the refused."""
    choice = graph.node[place]
    branch = _branches(choice)["else_branch"]
    written = {tensor: node for node in branch.node for tensor in node.output}
    for node in branch.node:
        source = written.get(node.input[0]) if node.op_type == "NonZero" else None
        if source is not None and source.op_type == "Not" and source.input[0] not in written:
            return source.input[0], True
    return _passed(graph, producers, choice.input[0]), False


def _passed(graph: GraphProto, producers: Mapping[str, int], tensor: str) -> str:
    """The tensor that this one is, where an If passes it on: both branches do, and one does something more."""
    while (node := graph.node[producers[tensor]] if tensor in producers else NodeProto()).op_type == "If":
        place = list(node.output).index(tensor)
        given = {_passing(branch).get(branch.output[place].name) for branch in _branches(node).values()}
        outer = given.pop()
        if given or outer is None or outer not in producers:
            break
        tensor = outer
    return tensor


def _branches(choice: NodeProto) -> dict[str, GraphProto]:
    return {attribute.name: attribute.g for attribute in choice.attribute if attribute.HasField("g")}


def _answers(choice: NodeProto) -> Iterator[tuple[str, str]]:
    """Output of the If -> the outer tensor that its first branch passes on."""
    branch = _branches(choice)["then_branch"]
    passed = _passing(branch)
    for name, value in zip(choice.output, branch.output, strict=True):
        if value.name in passed:
            yield name, passed[value.name]


def _passing(branch: GraphProto) -> dict[str, str]:
    """What a branch gives -> the outer tensor that it is."""
    inner = {name for node in branch.node for name in node.output} | {tensor.name for tensor in branch.initializer}
    passed = {node.output[0]: node.input[0] for node in branch.node if node.op_type == "Identity"}
    found = {value.name: passed.get(value.name, value.name) for value in branch.output}
    return {name: tensor for name, tensor in found.items() if tensor not in inner}


def _thresholds(
    graph: GraphProto, producers: Mapping[str, int], place: int, inputs: Mapping[str, TensorSpec], limits: _Limits
) -> dict[str, list[Comparison]]:
    """The inputs with which the verdict of an If compares, and where."""
    verdict, _ = _verdict(graph, producers, place)
    found: dict[str, list[Comparison]] = {}
    for node in _compared(graph, producers, verdict):
        for position, tensor in enumerate(node.input):
            source = _origin(graph, producers, tensor)
            if source in inputs and _is_single(inputs[source]):
                operator = node.op_type if position else _MIRRORED[node.op_type]
                least, most = limits.get(node.output[0], (float("-inf"), float("inf")))
                comparison = Comparison(node.output[0], node.input[1 - position], tensor, operator, least, most)
                found.setdefault(source, []).append(comparison)
    return found


def _compared(graph: GraphProto, producers: Mapping[str, int], verdict: str) -> Iterator[NodeProto]:
    """The comparisons that a verdict is made of by logic, and by what brings verdicts to other shapes."""
    pending, seen = [verdict], set[str]()
    while pending:
        name = pending.pop()
        if name in seen or name not in producers:
            continue
        seen.add(name)
        node = graph.node[producers[name]]
        if standard(node.domain):
            continue
        if node.op_type in OPPOSITE:
            yield node
        elif node.op_type in _LOGIC:
            pending += node.input
        elif node.op_type in _MOVING or node.op_type in _UNITING or _counts(graph, producers, node):
            pending.append(node.input[0])


def _counts(graph: GraphProto, producers: Mapping[str, int], node: NodeProto) -> bool:
    """Whether a node asks for the number of refused ones: they are summed before."""
    place = producers.get(node.input[0]) if node.op_type == "Equal" else None
    return place is not None and graph.node[place].op_type == "ReduceSum"


def _origin(graph: GraphProto, producers: Mapping[str, int], tensor: str) -> str:
    """The tensor of which this one has the values."""
    while tensor in producers and graph.node[producers[tensor]].op_type in _MOVING:
        tensor = graph.node[producers[tensor]].input[0]
    return tensor

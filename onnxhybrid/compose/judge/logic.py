"""`&`, `|` and `~` of judges: of any Models with one bool output."""

from __future__ import annotations

from onnx import GraphProto, NodeProto, TensorProto, helper

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.part import Part, parts_of
from onnxhybrid.compose.build.steps import Steps
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.judge.functions import DOMAIN, OPPOSITE, Judgement, renew, turned_around, without_strangers
from onnxhybrid.compose.judge.verdict import verdict_of
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.alignment import align, lifted
from onnxhybrid.model.graphs import reads
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import Taken, free_name, injective, rename_tensors, tensor_names

_LOGIC = Combinator("judge")

_PASSED = {"And": "Or", "Or": "And"}

_MOVED = frozenset({"Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that give the values of their first input, as guards of sizes do."""

"""Operators that are negated by negating what they read -> what is in their place then."""

_OPPOSITE = {**OPPOSITE, **_PASSED}
_OPSET = 12  # the first with LessOrEqual and GreaterOrEqual


def combined(operator: str, one: object, other: object) -> Model:
    """The judge that holds where both do ("And"), or where one of them does ("Or"). Inputs of one name are one input.

    Raises:
        ComposeError: OH205, one of them is no Model; OH208, it has not one bool output; OH201, OH202 or OH211, an
            input that they share has two types, shapes or defaults.
    """
    judges = parts_of({"one": one, "other": other})
    for part in judges:
        verdict_of(part.model)
    meeting = Part("both", _meeting(operator, {part.label: _has_one_axis(part) for part in judges}))
    inputs = {name for part in judges for name in part.inputs}
    accepted = free_name("accepted", inputs)
    assembly = Assembly(_LOGIC, [*judges, meeting], inputs, [accepted])
    verdicts = {part.label: tensor for part in judges for tensor in assembly.add(part.label, {}, {}).values()}
    assembly.add("both", verdicts, {"accepted": accepted})
    return assembly.finish([accepted])


def _has_one_axis(part: Part) -> bool:
    """Whether it is sure that a judge gives a verdict for each row, along one axis: of ours it is."""
    (verdict,) = part.outputs
    sure = part.near.get(verdict)
    return len(sure) == 1 if sure is not None else _is_ours(part.model.skeleton.graph, verdict)


def _is_ours(graph: GraphProto, verdict: str) -> bool:
    """Whether judges of ours alone, and logic, give a verdict."""
    producers = {name: node for node in graph.node for name in node.output}
    pending, seen = [verdict], set[str]()
    while pending:
        node = producers.get(pending.pop())
        if node is None:
            return False
        if node.domain != DOMAIN:  # whatever a prefix made of the function's name
            if node.op_type not in ("And", "Or", "Not", "Identity") or node.domain:
                return False
            pending += [name for name in node.input if name not in seen]
            seen.update(node.input)
    return True


def _meeting(operator: str, verdicts: dict[str, bool]) -> Model:
    """Where two verdicts meet, row by row: each is brought to one axis, if it has not one. All of a row hold."""
    steps = Steps(operator, [TensorSpec(label, "bool", None) for label in verdicts])
    steps.write(operator, *(n if flat else _by_row(steps, n) for n, flat in verdicts.items()), output="accepted")
    return steps.model([TensorSpec("accepted", "bool", (None,))])


def _by_row(steps: Steps, verdict: str) -> str:
    wide = steps("Flatten", steps("Unsqueeze", verdict, steps.constant([-1])), axis=1)
    refused = steps("Cast", steps("Not", wide), to=TensorProto.INT64)
    count = steps("ReduceSum", refused, steps.constant([1]), keepdims=0)
    return steps("Equal", count, steps.constant(0))


def negated(judge: Model) -> Model:
    """The judge that holds where this one does not. What cannot be judged is refused by both.

    Comparisons are turned around instead of negated, through `&`, `|` and `~`, and inside of judges whose functions got
    other names: so a row whose score is NaN stays refused. Whatever else makes the verdict gets a Not.

    Raises:
        ComposeError: OH208, it has not one bool output.
    """
    verdict_of(judge)
    (aligned,) = align([lifted(judge)], _OPSET)
    proto = without_strangers(aligned.skeleton)
    if not aligned.opsets.get(""):
        proto.opset_import.add(domain="", version=_OPSET)
    _negate(proto.graph)
    renew(proto)
    return Model(proto, aligned.weights)


def _negate(graph: GraphProto) -> None:
    """Negate the one output of a graph, in place."""
    output = graph.output[0].name
    names = tensor_names(graph)
    scores: dict[str, str] = {}
    if output in {value.name for value in graph.input}:
        graph.output[0].name = negation = free_name("accepted", names)
        turned = [helper.make_node("Not", [output], [negation], name=negation)]
    else:
        inner = free_name(f"{output}/before", names)
        rename_tensors(graph, injective({output: inner}, names))
        graph.output[0].name = output
        turned, scores = _turned(graph, inner, output)
    graph.node.extend(turned)
    _drop_dead(graph)
    written = {name for node in graph.node for name in node.output}
    rename_tensors(graph, {new: old for new, old in scores.items() if old not in written})
    known = Taken()
    for node in graph.node:  # files name a node like what it writes, as the new ones are named
        node.name = known.take(node.name) if node.name else ""


def _turned(graph: GraphProto, tensor: str, negation: str) -> tuple[list[NodeProto], dict[str, str]]:
    """Nodes that give the negation of a tensor, as far as its producers are logic, comparisons or judges of ours.

    Returns:
        The nodes; and the tensors in which they give scores -> those in which their producers gave them.
    """
    producers = {name: (place, node) for place, node in enumerate(graph.node) for name in node.output}
    names, turned, pending = {tensor: negation}, {}, [tensor]
    taken = tensor_names(graph)
    taken.add(negation)
    scores: dict[str, str] = {}
    while pending:
        current = pending.pop()
        place, node = producers.get(current, (-1, NodeProto()))
        if (judgement := Judgement.of(node)) and len(node.output) > 1:
            score = taken.take(f"{node.output[1]}/not")
            scores[score] = node.output[1]
            turned[place, current] = turned_around(node, judgement, [names[current], score])
            continue
        operator = node.op_type if not node.domain else ""
        if operator in _MOVED:
            source = node.input[0]
            if source not in names:
                names[source] = taken.take(f"{source}/not")
                pending.append(source)
            turned[place, current] = _moved(node, names[source], names[current])
            continue
        inputs = [current] if operator not in (*_OPPOSITE, "Not") else list(node.input)
        if operator in _PASSED:
            pending += [name for name in inputs if name not in names]
            for name in inputs:
                if name not in names:
                    names[name] = taken.take(f"{name}/not")
            inputs = [names[name] for name in inputs]
        kind = "Identity" if operator == "Not" else _OPPOSITE.get(operator, "Not")
        turned[place, current] = helper.make_node(kind, inputs, [names[current]], name=names[current])
    return [turned[key] for key in sorted(turned)], scores


def _moved(node: NodeProto, source: str, output: str) -> NodeProto:
    """The node that does to the negation of a tensor what this one does to the tensor."""
    moved = copied(node)
    moved.input[0], moved.output[0], moved.name = source, output, output
    return moved


def _drop_dead(graph: GraphProto) -> None:
    """Drop logic and comparisons that nothing reads any more."""
    read = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        is_logic = node.op_type in (*_OPPOSITE, *_MOVED, "Not") or Judgement.of(node) is not None
        if not is_logic or read.intersection(node.output):
            read.update(reads(node))
            kept.append(node)
    replace(graph.node, reversed(kept))

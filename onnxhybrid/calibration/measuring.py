"""The graphs that a calibration runs, made of a cascade's: what local answers, how it is judged, what remote answers.

Local and remote stand side by side in them, without the choice between: so one run gives both answers, and no row is
asked twice. Instead of the verdict they give the scores, and what the verdict would be for each outcome of the
comparisons.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper, numpy_helper

from onnxhybrid.compose.cascade.anatomy import Anatomy
from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.editing import prune
from onnxhybrid.model.graphs import reads
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import GraphTree, Names, rename_tensors
from onnxhybrid.model.opsets import standard
from onnxhybrid.model.remote_spec import is_remote
from onnxhybrid.model.sequential import make_sequential


@dataclass(frozen=True)
class Measuring:
    """What is run.

    Attributes:
        both: gives all of what follows.
        alone: gives it without remote's part, and calls nothing that local does not call itself.
        local, remote: the outputs that hold the two answers.
        scores: those that hold what is compared, in the order of the anatomy's comparisons.
        verdicts: those that say what would be kept, for each outcome of the comparisons: all false first, then with
            the first one true, and so on as the bits of their place.
        succeeded: the one that says whether remote answered; None where its failures are errors.
    """

    both: Model
    alone: Model
    local: str
    remote: str
    scores: tuple[str, ...]
    verdicts: tuple[str, ...]
    succeeded: str | None

    @property
    def all(self) -> list[str]:
        """The outputs of `both`, in order."""
        return [*self.judged, self.remote, *([self.succeeded] if self.succeeded else [])]

    @property
    def judged(self) -> list[str]:
        """The outputs of `alone`, in order."""
        return [self.local, *self.scores, *self.verdicts]


def measuring(hybrid: Model, cascade: Anatomy, output: str) -> Measuring:
    """The graphs that measure the cascade which answers `output`.

    Raises:
        Error: OH603, the threshold decides more than the judge does.
    """
    proto = copied(cascade.proto)
    flat = _Flattening(proto, cascade)
    local, succeeded = flat.side_by_side(output)
    declared = {value.name: value for value in proto.graph.output}[output]
    kinds = {spec.name: spec.dtype for spec in hybrid.outputs}
    if kinds[output] == "undefined":
        raise Error("OH608", f"the output {output!r} is no tensor and cannot be compared")
    outputs = {local: declared.type, **flat.judged, output: declared.type}
    if succeeded:
        outputs[succeeded] = _BOOL
    make_sequential(proto.graph)  # else local would wait for calls that begin before it
    both = _giving(proto, hybrid, outputs, cascade.threshold.name)
    judged = {name: kind for name, kind in outputs.items() if name not in (output, succeeded)}
    alone = _giving(proto, hybrid, judged, cascade.threshold.name)
    return Measuring(both, alone, local, output, flat.scores, flat.verdicts, succeeded)


_BOOL = helper.make_tensor_type_proto(TensorProto.BOOL, None)
_FALSE, _TRUE = (numpy_helper.from_array(np.array(value)) for value in (False, True))


def _giving(proto: ModelProto, hybrid: Model, outputs: Mapping[str, TypeProto], threshold: str) -> Model:
    """A Model that gives these, and has what they need."""
    made = copied(proto)
    replace(made.graph.output, [ValueInfoProto(name=name, type=_open(kind)) for name, kind in outputs.items()])
    given = set(outputs)
    replace(made.graph.value_info, [value for value in made.graph.value_info if value.name not in given])
    prune(made.graph)
    if any(value.name == threshold for value in made.graph.input):
        raise Error("OH603", f"the threshold {threshold!r} is read elsewhere, too, and not by the judge alone")
    return Model(made, hybrid.weights)


def _open(kind: TypeProto) -> TypeProto:
    """The type without sizes."""
    left = copied(kind)
    if left.HasField("tensor_type"):
        left.tensor_type.ClearField("shape")
    return left


class _Flattening:
    """Puts both branches of a cascade's If into the graph around it, in place."""

    def __init__(self, proto: ModelProto, cascade: Anatomy) -> None:
        self._graph, self._cascade = proto.graph, cascade
        self._names = Names.of(proto)
        self._choice = copied(proto.graph.node[cascade.position])
        self._new: list[NodeProto] = []
        self.judged: dict[str, TypeProto] = {}
        self.scores: tuple[str, ...] = ()
        self.verdicts: tuple[str, ...] = ()

    def side_by_side(self, output: str) -> tuple[str, str | None]:
        """Do it: the tensor of local's answer, and the one that says whether remote answered."""
        before = list(self._graph.node[: self._cascade.position])
        after = list(self._graph.node[self._cascade.position + 1 :])
        self._judge(before)
        mine = {name: self._names.tensor(f"{name}/local") for name in self._choice.output if name}
        branches = {attribute.name: attribute.g for attribute in self._choice.attribute}
        self._put(branches["then_branch"], mine, {})
        forced = {self._cascade.verdict: self.verdicts_of_none} if self._cascade.rows else {}
        inner = self._put(branches["else_branch"], {name: name for name in mine}, forced)
        succeeded = self._succeeded(branches["else_branch"], inner)
        replace(self._graph.node, [*before, *self._new, *after])
        return self._downstream(after, mine, output), succeeded

    def _put(self, branch: GraphProto, outputs: Mapping[str, str], outside: Mapping[str, str]) -> dict[str, str]:
        """Add a branch's nodes, which give the If's outputs under these names; the new names of its tensors."""
        graph = copied(branch)
        own = {name for node in graph.node for name in node.output if name}
        own.update(tensor.name for tensor in graph.initializer)
        renamed = {name: self._names.tensor(name) for name in sorted(own)}
        nested = GraphTree(graph)
        nested.rename_nodes(lambda name: self._names.node(name) if name else name)
        rename_tensors(graph, {**outside, **renamed})
        self._graph.initializer.extend(graph.initializer)
        self._graph.sparse_initializer.extend(graph.sparse_initializer)
        self._graph.value_info.extend([*graph.value_info, *(v for v in graph.output if v.name in renamed.values())])
        self._new += graph.node
        for name, value in zip(self._choice.output, graph.output, strict=True):
            if name:
                self._add("Identity", [value.name], outputs[name])
        return renamed

    def _add(self, operator: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        name = self._names.node(f"measured/{output}")
        self._new.append(helper.make_node(operator, list(inputs), [output], name=name, **attributes))
        return output

    def _constant(self, value: TensorProto, wanted: str) -> str:
        tensor = copied(value)
        tensor.name = self._names.tensor(wanted)
        self._graph.initializer.append(tensor)
        return tensor.name

    def _judge(self, before: list[NodeProto]) -> None:
        """Add the scores, and the verdict for each outcome of the comparisons."""
        one = self._constant(numpy_helper.from_array(np.array([1], np.int64)), "one_score")
        fixed = {False: self._constant(_FALSE, "refused"), True: self._constant(_TRUE, "kept")}
        kind = _limit_type(self._cascade.proto, self._cascade)
        scores, held = [], []
        for comparison in self._cascade.comparisons:
            score = self._add("Expand", [comparison.score, one], self._names.tensor(f"{comparison.score}/measured"))
            holds = self._add("Cast", [score], self._names.tensor(f"{score}/bool"), to=TensorProto.BOOL)
            held.append(holds)
            scores.append(score)
            self.judged[score] = kind
        between = _between(before, [c.verdict for c in self._cascade.comparisons], self._cascade.verdict)
        verdicts = []
        for outcome in itertools.product((False, True), repeat=len(held)):
            given = {}
            for comparison, holds, value in zip(self._cascade.comparisons, held, reversed(outcome), strict=True):
                wanted = self._names.tensor(f"{comparison.verdict}/{int(value)}")
                given[comparison.verdict] = self._add("Or" if value else "And", [holds, fixed[value]], wanted)
            verdicts.append(self._again(between, given).get(self._cascade.verdict, ""))
        self.scores, self.verdicts = tuple(scores), tuple(verdicts)
        self.judged.update(dict.fromkeys(verdicts, _BOOL))
        if self._cascade.rows:
            none = self._names.tensor("measured/none")
            self.verdicts_of_none = self._add("And", [verdicts[0], fixed[False]], none)

    def _again(self, nodes: Iterable[NodeProto], given: Mapping[str, str]) -> dict[str, str]:
        """Add copies of nodes that read other tensors in place of the given ones; what is called how there."""
        names = dict(given)
        for node in nodes:
            if not names.keys() & set(reads(node)):
                continue
            names.update({name: self._names.tensor(f"{name}/again") for name in node.output if name})
            again = GraphProto(node=[node])
            rename_tensors(again, names)
            again.node[0].name = self._names.node(f"measured/{node.name}")
            self._new += again.node
        return names

    def _downstream(self, after: list[NodeProto], mine: Mapping[str, str], output: str) -> str:
        """Let what comes after the choice be computed of local's answers, too; what the output is called there."""
        self._new = []
        names = self._again(_between(after, mine, output), mine)
        if any(is_remote(node) for node in self._new):
            raise Error(
                "OH603", "a remote call reads what the cascade answers: calibrate the cascade before it is chained"
            )
        self._graph.node.extend(self._new)
        return names[output]

    def _succeeded(self, branch: GraphProto, names: Mapping[str, str]) -> str | None:
        """What chooses between remote's answer and local's inside of a branch that flags its failures."""
        written = {name: node for node in branch.node for name in node.output}
        local = set(self._cascade.answers.values())
        for value in branch.output:
            node = written.get(value.name)
            if node is None or node.op_type != "If" or standard(node.domain):
                continue
            other = next((a.g for a in node.attribute if a.name == "else_branch"), GraphProto())
            if any(inner.op_type == "Identity" and inner.input[0] in local for inner in other.node):
                return str(names.get(node.input[0], node.input[0]))
        return None


def _between(nodes: Iterable[NodeProto], starts: Iterable[str], end: str) -> list[NodeProto]:
    """The nodes that depend on one of `starts`, and on which `end` depends."""
    reached, later = set(starts), []
    for node in nodes:
        if reached.intersection(reads(node)):
            reached.update(node.output)
            later.append(node)
    needed, kept = {end}, []
    for node in reversed(later):
        if needed.intersection(node.output):
            needed.update(reads(node))
            kept.append(node)
    return kept[::-1]


def _limit_type(proto: ModelProto, cascade: Anatomy) -> TypeProto:
    """The type of what is compared: the threshold's, or that to which it is cast."""
    writers = {name: node for node in proto.graph.node for name in node.output}
    tensor = cascade.comparisons[0].limit
    while tensor in writers:
        node = writers[tensor]
        if node.op_type == "Cast":
            return helper.make_tensor_type_proto(next(a.i for a in node.attribute if a.name == "to"), None)
        tensor = node.input[0]
    return cascade.threshold.to_value_info().type

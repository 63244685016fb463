"""What is done with each model: compositions that must give what their parts give when run by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, TypeProto, ValueInfoProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.graphs import reads
from tests.corpus.case import Case, Values, run, same

IDENTITY_OPSET = 17


@dataclass(frozen=True)
class Outcome:
    """What became of a composition: `equal`, `refused` with a code, or `failed`."""

    case: str
    composition: str
    result: str
    detail: str = ""


@dataclass(frozen=True)
class Composition:
    """A composition, what it is fed and what it has to give; it is made when it is needed."""

    name: str
    make: Callable[[], oh.Model]
    feeds: Values
    expected: Values

    def outcome(self, case: str) -> Outcome:
        """Compose, run and compare."""
        try:
            composed = self.make()
        except oh.ComposeError as refusal:
            return Outcome(case, self.name, "refused", str(refusal))
        except Exception as problem:  # noqa: BLE001  # whatever it is, it is told
            return Outcome(case, self.name, "failed", f"{type(problem).__name__}: {problem}")
        try:
            given = run(composed.to_proto(), self.feeds)
        except Exception as problem:  # noqa: BLE001
            return Outcome(case, self.name, "failed", f"{type(problem).__name__}: {problem}")
        if same(given, self.expected):
            return Outcome(case, self.name, "equal")
        return Outcome(case, self.name, "failed", f"{_short(given)} instead of {_short(self.expected)}")


def _short(values: Values) -> str:
    return " ".join(str(values).split())[:150]


def outcomes(
    case: Case, expected: Values, other: Case, others: Values, kinds: Collection[str] = ()
) -> Iterator[Outcome]:
    """What becomes of every composition of a model, one of them with another model.

    Args:
        case, other: the models.
        expected, others: what they give when they are run by hand.
        kinds: only compositions of these names; all if there are none.
    """
    try:
        model, second = oh.Model.from_proto(case.proto), oh.Model.from_proto(other.proto)
    except oh.Error as problem:
        yield Outcome(case.name, "load", "failed", str(problem))
        return
    both = _side_by_side(model, second, case, other, expected, others)
    for composition in (both, *_whole(model, case.feeds, expected), *_cuts(model, case.feeds, expected)):
        if not kinds or composition.name in kinds:
            yield composition.outcome(case.name)


def _whole(model: oh.Model, feeds: Values, expected: Values) -> Iterator[Composition]:
    yield Composition("prefix", lambda: model.prefix("p/"), _prefixed(feeds, "p/"), _prefixed(expected, "p/"))
    maps = {value.name for value in model.skeleton.graph.output if is_map(value)}
    renamed = {name: expected[name] for name in expected if name in maps}
    renamed |= {f"id/{name}": value for name, value in expected.items() if name not in maps}
    yield Composition("chain", lambda: oh.chain(model, identity(model)), feeds, renamed)
    for chosen in (True, False):
        condition = {**feeds, "switch/condition": np.array(chosen)}
        yield Composition("switch", lambda: oh.switch("switch/condition", then=model, else_=model), condition, expected)
    if model.skeleton.graph.output[0].type.HasField("tensor_type"):
        for operator in ("GreaterOrEqual", "Less"):
            yield Composition(
                "cascade",
                lambda operator=operator: oh.cascade(model, model, accept=judge(model, operator)),  # type: ignore[misc]
                feeds,
                expected,
            )


def _side_by_side(
    model: oh.Model, second: oh.Model, case: Case, other: Case, expected: Values, others: Values
) -> Composition:
    feeds = case.feeds | _prefixed(other.feeds, "other/")
    both = _prefixed(expected, "a/") | _prefixed(others, "b/other/")
    return Composition("parallel", lambda: oh.parallel(a=model, b=second.prefix("other/")), feeds, both)


_MOST_CUTS = 4


def _cuts(model: oh.Model, feeds: Values, expected: Values) -> Iterator[Composition]:
    """Cut at the inputs, the outputs and after some nodes; and with its own tail spliced into the place of its tail."""
    nodes = len(model.skeleton.graph.node)
    for cut in sorted({nodes * part // _MOST_CUTS for part in range(_MOST_CUTS + 1)}):
        if at := _frontier(model, cut):
            yield Composition("split", functools.partial(_split, model, at), feeds, expected)
    at = _frontier(model, nodes // 2)
    if at and not set(at) & {spec.name for spec in model.outputs}:
        yield Composition("splice", lambda: _spliced(model, at), feeds, expected)


def _frontier(model: oh.Model, count: int) -> list[str]:
    """What the first nodes, and the inputs, hand over to the other nodes and to the outputs."""
    graph = model.skeleton.graph
    weights = {tensor.name for tensor in graph.initializer}
    before = dict.fromkeys(value.name for value in graph.input if value.name not in weights)
    before.update(dict.fromkeys(name for node in graph.node[:count] for name in node.output if name))
    read = {name for node in graph.node[count:] for name in reads(node)} | {spec.name for spec in model.outputs}
    return [name for name in before if name in read]


def _split(model: oh.Model, at: list[str]) -> oh.Model:
    return oh.chain(*oh.split(model, at=at))


def _spliced(model: oh.Model, at: list[str]) -> oh.Model:
    _, tail = oh.split(model, at=at)
    return oh.splice(model, inputs=at, outputs=[spec.name for spec in model.outputs], replacement=tail)


def _prefixed(values: Values, prefix: str) -> Values:
    return {prefix + name: value for name, value in values.items()}


def identity(model: oh.Model) -> oh.Model:
    """A model that gives each output of another one again, as `id/…`, but for maps, which no operator passes on."""
    given = {value.name: value for value in model.skeleton.graph.output if not is_map(value)}
    nodes = [helper.make_node("Identity", [name], [f"id/{name}"]) for name in given]
    inputs = [_declared(name, value.type) for name, value in given.items()]
    outputs = [_declared(f"id/{name}", value.type) for name, value in given.items()]
    return _of(helper.make_graph(nodes, "identity", inputs, outputs))


def is_map(value: ValueInfoProto) -> bool:
    """Whether it is a map, or a sequence of maps."""
    return "map(" in type_name(value.type)


def judge(model: oh.Model, operator: str) -> oh.Model:
    """Whether the first output has at least (GreaterOrEqual) or fewer (Less) than zero elements."""
    first = model.skeleton.graph.output[0]
    nodes = [  # the elements are counted by the shape, since there is no kernel of Size for some types
        helper.make_node("Shape", [first.name], ["judge shape"]),
        helper.make_node("ReduceProd", ["judge shape"], ["judge size"], keepdims=0),
        helper.make_node(operator, ["judge size", "judge zero"], ["judge verdict"]),
    ]
    zero = numpy_helper.from_array(np.array(0), "judge zero")
    verdict = helper.make_tensor_value_info("judge verdict", TensorProto.BOOL, [])
    return _of(helper.make_graph(nodes, "judge", [_declared(first.name, first.type)], [verdict], [zero]))


def _declared(name: str, kind: TypeProto) -> ValueInfoProto:
    value = ValueInfoProto(name=name)
    value.type.CopyFrom(kind)
    return value


def _of(graph: Any) -> oh.Model:
    imports = [helper.make_opsetid("", IDENTITY_OPSET)]
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=imports, ir_version=8))

"""If, Loop and Scan: which branch, how often, and what is carried along."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from onnxhybrid.model.flows.calls import rows_of
from onnxhybrid.model.flows.operators import Given
from onnxhybrid.model.flows.scope import Scope, Walker
from onnxhybrid.model.flows.steps import Body, Step
from onnxhybrid.model.flows.tensor import (
    NOTHING,
    Flow,
    Names,
    Size,
    chosen,
    everything,
    joined,
    known,
    of_sizes,
    opaque,
    shaped,
)

MOST_TURNS = 16
"""Iterations of a loop that are walked one by one, where their number is known."""

Taken = Sequence[Flow | None]


def chosen_branch(walk: Walker, step: Step, flows: Taken, scope: Scope, when: Names) -> list[Flow]:
    """An If."""
    condition = flows[0] if flows and flows[0] is not None else Flow()
    branches = [step.bodies[name] for name in ("then_branch", "else_branch")]
    if condition.truth is not None:
        return walk.body(branches[not condition.truth], scope.inner({}), when)
    deciding = condition.all
    known_inside = [_decided(step.inputs[0], condition, truth) for truth in (1, 0)]
    results = [
        walk.body(branch, scope.inner(inside), when | deciding)
        for branch, inside in zip(branches, known_inside, strict=True)
    ]
    return [chosen(one, other, deciding) for one, other in zip(*results, strict=False)]


def _decided(name: str, condition: Flow, truth: int) -> dict[str, Flow]:
    """What a branch knows of the condition by which it runs."""
    if condition.sizes is None or any(size.value != 1 for size in condition.sizes):
        return {}
    return {name: shaped(NOTHING, condition.sizes, condition.dtype, known([truth]))}


class _Turns:
    """The iterations of a Loop or Scan: what is carried along, and what each of them gives."""

    def __init__(self, states: Sequence[Flow], deciding: Names) -> None:
        self.first = list(states)
        self.states = _apart(states)
        self.given: list[Flow] | None = None
        self.deciding = deciding
        self.passed = [True] * len(self.first)

    def add(self, states: Sequence[Flow], given: Sequence[Flow], *, exact: bool) -> bool:
        """Add an iteration that ended in these states; whether one more could tell anything new."""
        before = self.states
        self.passed = [p and new is old for p, new, old in zip(self.passed, states, self.states, strict=False)]
        self.given = list(given) if self.given is None else list(map(joined, self.given, given))
        self.states = _apart(states if exact else map(joined, self.states, states))
        return exact or before != self.states

    def final(self, *, exact: bool) -> list[Flow]:
        """What the states are in the end."""
        if exact:
            return self.states
        pairs = zip(self.first, self.states, self.passed, strict=False)
        ended = [(first, joined(first, last).plus(self.deciding), passed) for first, last, passed in pairs]
        return [first if passed else last for first, last, passed in ended]

    def stacked(self, count: Size, outputs: int, axis: Sequence[int] = ()) -> list[Flow]:
        """What is given, one slice for each iteration; of no iteration so many empty tensors."""
        if self.given is None:
            return [Flow() for _ in range(outputs)]
        rows = Size(count.value, NOTHING if count.value is not None else count.names | self.deciding)
        axes = [*axis, *[0] * len(self.given)]
        return [_stacked(flow, rows, place) for flow, place in zip(self.given, axes, strict=False)]


def _apart(states: Iterable[Flow]) -> list[Flow]:
    """The same, each a Flow of its own: tensors that are equal in one iteration need not be in the next."""
    return [replace(flow) for flow in states]


def _stacked(flow: Flow, rows: Size, axis: int) -> Flow:
    data = flow.all | rows.names
    if flow.sizes is None:
        return Flow(data, flow.shape | rows.names, None, None, None, flow.dtype)
    place = axis if axis >= 0 else axis + len(flow.sizes) + 1
    return shaped(data, (*flow.sizes[:place], rows, *flow.sizes[place:]), flow.dtype)


def loop(walk: Walker, step: Step, flows: Taken, scope: Scope, when: Names) -> list[Flow]:
    """A Loop."""
    body = step.bodies["body"]
    limit, going = (flows[place] if len(flows) > place else None for place in (0, 1))
    count = limit.number if limit is not None else None
    carried = [flow or Flow() for flow in flows[2:]]
    turns = _Turns(carried, everything((limit, going)))
    going = going or shaped(NOTHING, (), "bool", known([1]))
    exact = count is not None and count <= MOST_TURNS and going.truth is True
    turn = 0
    while going.truth is not False and (count is None or turn < count):
        number = shaped(NOTHING, (), "int64", known([turn]) if exact else (Size(None),))
        results = walk.body(body, _inside(body, scope, [number, going, *turns.states]), when | turns.deciding)
        after, before = results[0], (going, turns.deciding)
        ends = exact and after.truth is False
        exact = exact and after.truth is not None
        turns.deciding |= after.all
        going = after if exact else joined(going, after)
        more = turns.add(results[1 : 1 + len(carried)], results[1 + len(carried) :], exact=exact)
        turn += 1
        if ends or not (exact or more or before != (going, turns.deciding)):
            break
    rows = Size(turn) if exact else Size(None)
    return [*turns.final(exact=exact or not turn), *turns.stacked(rows, len(step.outputs) - len(carried))]


def scan(walk: Walker, step: Step, flows: Taken, scope: Scope, when: Names) -> list[Flow]:
    """A Scan, as it is since opset 9; the one of opset 8 is told of as of an operator that nobody knows."""
    body = step.bodies["body"]
    given = Given(step, flows, scope.attributes, 0)
    sliced = given.integer("num_scan_inputs", 0)
    if len(body.inputs) != len(flows) or not 0 < sliced <= len(flows):
        return unknown(walk, step, flows, scope, when)
    states = [flow or Flow() for flow in flows[: len(flows) - sliced]]
    through = [flow or Flow() for flow in flows[len(flows) - sliced :]]
    axes = given.integers("scan_input_axes") or [0] * sliced
    slices = [_slice(flow, axis) for flow, axis in zip(through, axes, strict=False)]
    rows = [_length(flow, axis) for flow, axis in zip(through, axes, strict=False)]
    count = next((row for row in rows if row.value is not None), Size(None, of_sizes(rows)))
    turns, turn = _Turns(states, count.names), 0
    exact = count.value is not None and count.value <= MOST_TURNS
    while count.value is None or turn < count.value:
        results = walk.body(body, _inside(body, scope, [*turns.states, *slices]), when | turns.deciding)
        more = turns.add(results[: len(states)], results[len(states) :], exact=exact)
        turn += 1
        if not more:
            break
    stacked = turns.stacked(count, len(step.outputs) - len(states), given.integers("scan_output_axes") or ())
    return [*turns.final(exact=exact), *stacked]


def _slice(flow: Flow, axis: int) -> Flow:
    """One slice of what a Scan goes through."""
    if not flow.sizes:
        return Flow(flow.all, flow.shape, None, None, None, flow.dtype)
    place = axis % len(flow.sizes)
    return shaped(flow.all, (*flow.sizes[:place], *flow.sizes[place + 1 :]), flow.dtype)


def _length(flow: Flow, axis: int) -> Size:
    if not flow.sizes:
        return rows_of(flow)
    return flow.sizes[axis % len(flow.sizes)]


def unknown(walk: Walker, step: Step, flows: Taken, scope: Scope, when: Names) -> list[Flow]:
    """An operator that holds graphs and of which nothing else is known: any of them may run, on anything, any time."""
    reached = everything(flows)
    while True:
        found = reached
        for body in step.bodies.values():
            inside = _inside(body, scope, [opaque(reached) for _ in body.inputs])
            found = found | everything(walk.body(body, inside, when | reached))
        if found == reached:
            return [opaque(reached) for _ in step.outputs]
        reached = found


def _inside(body: Body, scope: Scope, flows: Sequence[Flow]) -> Scope:
    """The scope of a body that takes these tensors."""
    return scope.inner(dict(zip(body.inputs, flows, strict=False)))


KINDS = {"If": chosen_branch, "Loop": loop, "Scan": scan}
"""What follows each operator that holds graphs."""


def is_whole(step: Step) -> bool:
    """Whether an operator holds the graphs that it needs, with as many outputs as it takes; nothing else runs."""
    if step.operator == "If":
        return bool(step.inputs) and {"then_branch", "else_branch"} <= step.bodies.keys()
    carried = len(step.inputs) - 2 if step.operator == "Loop" else 0
    return "body" in step.bodies and len(step.bodies["body"].outputs) > carried

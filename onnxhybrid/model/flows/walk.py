"""Walks a model as a run would, with what is known of each tensor in the place of its value."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto

from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.flows import control, operators
from onnxhybrid.model.flows.calls import Call
from onnxhybrid.model.flows.scope import Scope
from onnxhybrid.model.flows.sending import Bound, most_bytes
from onnxhybrid.model.flows.steps import Body, Prepared, Step, prepared
from onnxhybrid.model.flows.tensor import NOTHING, UNDEFINED, Flow, Names, everything, joined, opaque
from onnxhybrid.model.remote_spec import AWAIT, DOMAIN
from onnxhybrid.model.unfolding import require_bounded

MOST_STEPS = 150_000
"""Nodes and inputs of graphs that are visited in a model of any size: loops in loops take several visits each."""

MOST_TIMES = 10
"""How many times as many visits as there are nodes a larger one may take."""

_AUDIT = "Audit"


@dataclass
class Reach:
    """Which inputs reach a remote call.

    Attributes:
        call: the call.
        content: the inputs that can change what is sent.
        decides: the inputs that can change whether it is sent, or how often.
        bytes: the most bytes of a request's body, 0 where nothing is ever sent; None where no bound is known.
    """

    call: Call
    content: Names = NOTHING
    decides: Names = NOTHING
    bytes: int | None = 0

    def add(self, flows: Sequence[Flow | None], when: Names) -> None:
        """Add a visit of its node, which takes these tensors and is computed when these inputs say so."""
        self.content |= self.call.content(flows)
        self.decides |= when | self.call.counted(flows)
        most: Bound = most_bytes(self.call, flows)
        self.bytes = None if most is None or self.bytes is None else max(most, self.bytes)


def reaches(model: ModelProto) -> list[Reach]:
    """For each remote call of a model, the inputs that reach it, in the order of `all_nodes`.

    Where a walk would take too long, or cannot follow, each call is told to depend on all inputs.

    Raises:
        ModelError: OH131, functions of the model call each other without an end, or nearly so.
        ValueError: a remote node is malformed.
    """
    ready = prepared(model)
    if not ready.calls:
        return []
    require_bounded(model)
    walk = Walk(ready)
    with contextlib.suppress(_TooLongError, RecursionError):
        walk.body(ready.main, Scope(dict(ready.inputs)), NOTHING)
        if ready.plain:
            return [walk.found[id(call)] for call in ready.calls]
    names = frozenset(ready.inputs)
    return [Reach(call, names, names, None) for call in ready.calls]


class _TooLongError(Exception):
    """A walk that visits too many nodes."""


class Walk:
    """One walk through a model."""

    def __init__(self, ready: Prepared) -> None:
        self._functions = ready.functions
        self._left = max(MOST_STEPS, MOST_TIMES * ready.steps)
        self._fed = frozenset(ready.inputs)
        self.found = {id(call): Reach(call) for call in ready.calls}

    def body(self, body: Body, scope: Scope, when: Names) -> list[Flow]:
        """What is known of the outputs of a graph.

        Args:
            body: the graph.
            scope: its scope, which holds its inputs.
            when: the inputs that can change whether it is computed, or how often.
        """
        tensors = scope.tensors
        for name, flow in body.constants.items():
            tensors.setdefault(name, flow)
        self._left -= len(body.steps) + len(body.inputs)
        if self._left < 0:
            raise _TooLongError
        for step in body.steps:
            for name, flow in zip(step.outputs, self._outputs(step, body, scope, when), strict=False):
                tensors[name] = flow if flow.dtype != UNDEFINED or name not in body.types else _typed(flow, body, name)
        tensors.pop("", None)
        return [self._read(name, scope) or self._unknown() for name in body.outputs]

    def _read(self, name: str, scope: Scope) -> Flow | None:
        if not name:
            return None
        return scope.get(name) or self._unknown()

    def _unknown(self) -> Flow:
        """A tensor that nothing writes, as none of a model that runs is."""
        return opaque(self._fed)

    def _outputs(self, step: Step, body: Body, scope: Scope, when: Names) -> Sequence[Flow]:
        flows = [self._read(name, scope) for name in step.inputs]
        if step.call is not None:
            return self._called(step, step.call, flows, when)
        if step.domain == DOMAIN and step.operator == AWAIT:
            return _awaited(step, flows)
        if step.function is not None and not step.bodies:
            return self._function(step, flows, scope, when)
        if step.bodies:
            return self._nested(step, flows, scope, when)
        return operators.outputs(operators.Given(step, flows, scope.attributes, body.version))

    def _called(self, step: Step, call: Call, flows: Sequence[Flow | None], when: Names) -> Sequence[Flow]:
        self.found[id(call)].add(flows, when)
        if call.begins:
            return [Flow(call.content(flows), NOTHING, (), None, tuple(call.answer(flows)), "int64")]
        if step.operator == _AUDIT:  # passes on what comes last, and its answer goes nowhere
            return [flows[-1] if flows and flows[-1] is not None else self._unknown()]
        return call.answer(flows)

    def _function(self, step: Step, flows: Sequence[Flow | None], scope: Scope, when: Names) -> Sequence[Flow]:
        assert step.function is not None
        body = self._functions[step.function]
        given = {name: operators.resolved(attribute, scope.attributes) for name, attribute in step.attributes().items()}
        known = {name: attribute for name, attribute in given.items() if attribute is not None}
        tensors = {name: flow for name, flow in zip(body.inputs, flows, strict=False) if flow is not None}
        absent = {name: _ABSENT for name in body.inputs if name not in tensors}
        inner = Scope({**tensors, **absent}, None, {**body.defaults, **known})
        outputs = self.body(body, inner, when)
        if not operators.is_built_in(step.domain):
            return outputs
        # ONNX Runtime computes its own kernel of that name, if it has one.
        other = operators.outputs(operators.Given(step, flows, scope.attributes, body.version))
        return [joined(one, two) for one, two in zip(outputs, other, strict=False)]

    def _nested(self, step: Step, flows: Sequence[Flow | None], scope: Scope, when: Names) -> Sequence[Flow]:
        follow = control.KINDS.get(step.operator) if not step.domain and step.function is None else None
        if follow is not None and control.is_whole(step):
            return follow(self, step, flows, scope, when)
        outputs = control.unknown(self, step, flows, scope, when)
        if step.function is None:
            return outputs
        names = everything(outputs) | everything(flows)  # what the function makes of its graphs is not followed
        inner = self._function(step, [opaque(names) for _ in flows], scope, when | names)
        return [opaque(names | everything(inner)) for _ in step.outputs]


def _typed(flow: Flow, body: Body, name: str) -> Flow:
    """The same with the element type that is declared, to which ONNX Runtime holds a model."""
    dtype = type_name(body.types[name])
    return flow if dtype == UNDEFINED else flow.of(dtype)


_ABSENT = Flow()
"""An input of a function that its call leaves out."""


def _awaited(step: Step, flows: Sequence[Flow | None]) -> Sequence[Flow]:
    """What a call brought that was begun before; all inputs but the ticket are only waited for."""
    ticket = flows[0] if flows else None
    if ticket is None:
        return [Flow() for _ in step.outputs]
    answers = ticket.items or ()
    missing = len(step.outputs) - len(answers)
    return [*answers, *(opaque(ticket.all) for _ in range(missing))]

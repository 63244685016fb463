"""`overlap`: remote calls go on while local nodes and other remote calls do; and `sequential`, its inverse."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import GraphProto, ModelProto, NodeProto

from onnxhybrid.compose.overlap.enforcing import Enforcing
from onnxhybrid.compose.overlap.halves import halves
from onnxhybrid.compose.overlap.schedule import Role, Step, scheduled
from onnxhybrid.compose.overlap.tensors import Tensors, inferred
from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ComposeError, ValidationError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import GLUE_OPSET
from onnxhybrid.model.certificate import drop_certificate
from onnxhybrid.model.check import check
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import Names
from onnxhybrid.model.opsets import opsets_of, set_opsets
from onnxhybrid.model.remote_spec import AWAIT, BEGIN, CANCEL, INVOKE
from onnxhybrid.model.sequential import is_operator, is_overlapped, make_sequential, ticket_of


def overlap(model: Model) -> Model:
    """Let remote calls start as early as their inputs allow, and be awaited as late as possible.

    An Invoke node becomes a Begin and an Await where anything can run between them: local nodes that do not need its
    answer, or other calls. Each graph is looked at by itself: a call in a branch or in a body stays there, and one in a
    model-local function stays as it is. It holds in ONNX Runtime's default executor, in the caller's one thread.

    Values never change, nor what is sent in a run that succeeds, nor the error of a run in which one node fails. Where
    several would fail, which of them a run meets first is as little promised as before; and a call that is under way
    when another node fails was sent, and is dropped with the run. Under the run option
    `only_execute_path_to_fetches` what is asked for also computes what it was put behind.

    Args:
        model: any model. The overlapped form of an overlapped model is the same.

    Returns:
        The model with its calls in two nodes each, or the model itself where nothing can overlap.

    Raises:
        ComposeError: OH205, it is no Model.
        ValidationError: it is not valid.
    """
    if not isinstance(model, Model):
        raise ComposeError(
            "OH205", f"overlap takes a Model, not {type(model).__name__}; load a file with oh.load(path)"
        )
    report = Report.of(check(model.skeleton))
    if not report:
        raise ValidationError(report, context="overlap was given a model that is not valid")
    return overlapped(model)


def sequential(model: Model) -> Model:
    """The inverse of `overlap`: Invoke for each Begin and Await of one graph, without the barriers between them.

    It computes the same. A call that is begun in one graph and awaited in another stays as it is. Whatever rewrites
    remote calls starts from this form.
    """
    if not is_overlapped(model.skeleton):
        return model
    proto = copied(model.skeleton)
    drop_certificate(proto)
    make_sequential(proto.graph)
    return Model(proto, model.weights)


def overlapped(model: Model) -> Model:
    """`overlap`, of a model that is valid."""
    plain = sequential(model)
    if not any(is_operator(node, INVOKE, BEGIN) for node in nodes_of(plain.skeleton.graph.node)):
        return plain
    proto = copied(plain.skeleton)
    drop_certificate(proto)
    if not _Pass(proto).over(Tensors(proto.graph, inferred(proto).graph)):
        return plain
    set_opsets(proto, {"": GLUE_OPSET, **plain.opsets})
    return Model(proto, plain.weights)


class _Pass:
    """The pass over the graphs of a model, which it changes."""

    def __init__(self, model: ModelProto) -> None:
        self._opset = opsets_of(model.opset_import).get("", GLUE_OPSET)
        self._names = Names.of(model)

    def over(self, tensors: Tensors) -> bool:
        """Rewrite a graph, after the graphs inside of it; whether any was changed."""
        changed = [self.over(inner) for inner in tensors.inner()]
        steps = [Step.of(node, role) for node, role in self._roles(tensors)]
        if any(step.role in (Role.BEGIN, Role.WAIT) for step in steps):
            enforced = Enforcing.of(scheduled(steps), tensors, self._names, self._opset)
            changed.append(_written(tensors.graph, enforced))
        return any(changed)

    def _roles(self, tensors: Tensors) -> Iterator[tuple[NodeProto, Role]]:
        """The nodes of a graph with their roles in a schedule; each Invoke is a Begin and an Await."""
        tickets: set[str] = set()
        for node in tensors.graph.node:
            types = [tensors.kind(name) for name in node.output]
            if is_operator(node, INVOKE) and all(types):
                begin, wait = halves(node, [kind for kind in types if kind], self._names)
                yield from ((begin, Role.BEGIN), (wait, Role.WAIT))
            elif is_operator(node, BEGIN, CANCEL):
                tickets.update(node.output)
                yield node, Role.BEGIN
            else:
                waits = any(is_operator(inner, AWAIT) and ticket_of(inner) in tickets for inner in nodes_of([node]))
                constant = Role.CONSTANT if tensors.is_fixed(node) else Role.LOCAL
                yield node, Role.WAIT if waits or is_operator(node, AWAIT) else constant


def _written(graph: GraphProto, enforced: Enforcing) -> bool:
    """Give the graph these nodes, if calls of them overlap; whether they do."""
    if not any(is_operator(node, BEGIN, AWAIT) for node in enforced.nodes):
        return False
    replace(graph.node, enforced.nodes)
    graph.value_info.extend(enforced.values)
    return True

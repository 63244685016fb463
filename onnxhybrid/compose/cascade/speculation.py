"""Begins remote calls of a branch before it is known whether the branch runs."""

from __future__ import annotations

from onnx import GraphProto, ModelProto, NodeProto, helper

from onnxhybrid.compose.build.assembly import Choice
from onnxhybrid.compose.overlap.halves import halves
from onnxhybrid.model.graphs import nodes_of, reads, value_infos
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import Names
from onnxhybrid.model.remote_spec import AWAIT, BEGIN, CANCEL, DOMAIN, INVOKE
from onnxhybrid.model.sequential import is_operator, make_sequential


def start_early(choice: Choice, model: ModelProto) -> None:
    """Begin the calls of an If node's else branch before the node, and cancel them where the other branch runs.

    What starts is what needs no other remote answer: the first calls of the branch, and the local nodes before them.
    The rest of the branch stays there. A call that fails is an error where it is awaited, so never in the other branch.

    Args:
        choice: the If node, in the model's main graph.
        model: the model, which is changed where the branch has a call that can start.
    """
    branch = copied(choice.else_)
    make_sequential(branch)
    names = Names.of(model)
    tickets, early = _start(model.graph, branch, names)
    if not tickets:
        return
    choice.else_.CopyFrom(branch)
    for ticket in tickets:
        dropped = names.tensor(f"{ticket}/dropped")
        cancel = helper.make_node(CANCEL, [ticket], [dropped], name=names.node(f"{ticket}/cancel"), domain=DOMAIN)
        choice.then.node.append(cancel)
    nodes = list(model.graph.node)
    replace(model.graph.node, [*nodes[: choice.position], *early, *nodes[choice.position :]])


def _start(graph: GraphProto, branch: GraphProto, names: Names) -> tuple[list[str], list[NodeProto]]:
    """Take the nodes that can run early out of a branch; the tickets of their calls, and the nodes.

    What is declared of their outputs goes to the graph around the branch.
    """
    moved = _early(branch)
    types = {name: value.type for name, value in value_infos(branch).items()}
    tickets: list[str] = []
    early: list[NodeProto] = []
    left: list[NodeProto] = []
    for index, node in enumerate(branch.node):
        if index not in moved:
            left.append(node)
        elif is_operator(node, INVOKE):
            begin, wait = halves(node, [types[name] for name in node.output], names)
            early.append(begin)
            left.append(wait)
        else:
            early.append(node)
    tickets = [name for node in early if is_operator(node, BEGIN) for name in node.output[:1]]
    gone = {name for node in early for name in node.output}
    graph.value_info.extend(value for value in branch.value_info if value.name in gone)
    replace(branch.value_info, [value for value in branch.value_info if value.name not in gone])
    replace(branch.node, left)
    return tickets, early


def _early(branch: GraphProto) -> set[int]:
    """The indexes of the calls that need no remote answer, and of what they need."""
    makers = {name: index for index, node in enumerate(branch.node) for name in node.output if name}
    before = [{makers[name] for name in reads(node) if name in makers} for node in branch.node]
    waiting: set[int] = set()  # what gives, or comes after, a remote answer
    pending: list[int] = []
    for index, node in enumerate(branch.node):
        blocked = not waiting.isdisjoint(before[index])
        if is_operator(node, INVOKE, BEGIN) and not blocked:
            pending.append(index)
        if blocked or _answers(node):
            waiting.add(index)
    early: set[int] = set()
    while pending:
        index = pending.pop()
        if index not in early:
            early.add(index)
            pending += before[index]
    return early


def _answers(node: NodeProto) -> bool:
    """Whether the node, or one inside of it, gives what a server answered."""
    return any(is_operator(inner, INVOKE, AWAIT) for inner in nodes_of([node]))

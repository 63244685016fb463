"""Remote calls of a branch that start before it is known whether the branch runs."""

from __future__ import annotations

from onnx import GraphProto, ModelProto, NodeProto, helper

from onnxhybrid.compose.build.part import Names
from onnxhybrid.compose.overlap import overlapped, sequential
from onnxhybrid.compose.overlap.halves import halves
from onnxhybrid.model import Model
from onnxhybrid.model.graphs import nodes_of, reads
from onnxhybrid.model.model import value_infos
from onnxhybrid.model.remote_spec import AWAIT, BEGIN, CANCEL, DOMAIN, INVOKE
from onnxhybrid.model.sequential import is_operator


def speculative(model: Model, output: str) -> Model:
    """The model with the calls of an If node's else branch begun at once, and cancelled where the other branch runs.

    What starts is what needs no other remote answer: the first calls of the branch, and the local nodes before them.
    The rest of the branch stays there. A call that fails is told where it is awaited, so never in the other branch.

    Args:
        model: the model.
        output: an output of the If node, in the main graph.

    Returns:
        The model, overlapped; as it was where the branch has no call that can start.
    """
    plain = sequential(model)
    proto = ModelProto()
    proto.CopyFrom(plain.skeleton)
    names = Names.of(proto)
    position, node = next((i, node) for i, node in enumerate(proto.graph.node) if output in node.output)
    branches = {attribute.name: attribute.g for attribute in node.attribute}
    tickets, early = _start(proto.graph, branches["else_branch"], names)
    if not tickets:
        return model
    for ticket in tickets:
        dropped = names.tensor(f"{ticket}/dropped")
        cancel = helper.make_node(CANCEL, [ticket], [dropped], name=names.node(f"{ticket}/cancel"), domain=DOMAIN)
        branches["then_branch"].node.append(cancel)
    nodes = list(proto.graph.node)
    nodes[position:position] = early
    _set_nodes(proto.graph, nodes)
    return overlapped(Model(proto, plain.weights))


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
    tickets = [node.output[0] for node in early if is_operator(node, BEGIN)]
    gone = {name for node in early for name in node.output}
    graph.value_info.extend(value for value in branch.value_info if value.name in gone)
    kept = [value for value in branch.value_info if value.name not in gone]
    del branch.value_info[:]
    branch.value_info.extend(kept)
    _set_nodes(branch, left)
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


def _set_nodes(graph: GraphProto, nodes: list[NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)

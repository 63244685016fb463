"""What the graph says of its calls: whether a call's rows are decided one by one, and which tensor tells what is sent.

A cascade with rows=True decides each row; one without decides a call as a whole, so that a call is given one row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from onnx import GraphProto, NodeProto

from onnxhybrid.compose.cascade.flags import is_flag
from onnxhybrid.model import Model, audits
from onnxhybrid.model.graphs import all_nodes, nodes_of, reads
from onnxhybrid.model.opsets import standard
from onnxhybrid.model.remote_spec import attributes_of, is_remote

_PASSING = frozenset(
    {"And", "Cast", "Equal", "Expand", "Flatten", "Identity", "Not", "Or", "ReduceMax", "ReduceMin", "ReduceProd",
     "ReduceSum", "Reshape", "Squeeze", "Unsqueeze", "Xor"}
)  # fmt: skip


@dataclass(frozen=True)
class Deciding:
    """How a model's calls are decided.

    Attributes:
        whole: whether something is decided for all rows of a call together, by what they hold.
        verdict: a bool tensor that is false where a row, or all of the call, is sent; None where there is none.
        always: whether all that is fed is sent, however it comes out.
        calls: whether it makes remote calls.
    """

    whole: bool
    verdict: str | None
    always: bool
    calls: bool


def deciding(model: Model, fed: Collection[str]) -> Deciding:
    """How the calls of a model are decided.

    Args:
        model: the model.
        fed: the inputs that rows are fed to.
    """
    skeleton = audits.without(model.skeleton)
    graph = skeleton.graph
    choices = [node for node in graph.node if node.op_type == "If" and not standard(node.domain)]
    whole = any(_by_row(choice) is None and _by_content(choice.input[0], graph, fed) for choice in choices)
    sent = sum(map(is_remote, all_nodes(skeleton)))
    outer = sum(map(is_remote, graph.node))
    written = {name for node in model.skeleton.graph.node for name in node.output}
    verdicts = [verdict for choice in choices if (verdict := _verdict(choice, sent)) in written]
    return Deciding(whole, verdicts[0] if verdicts else None, 0 < sent == outer, sent > 0)


def secret_inputs(model: Model) -> set[str]:
    """The inputs that hold tokens, which results do not depend on."""
    found = set()
    for node in all_nodes(model.skeleton):
        if is_remote(node) and attributes_of(node).get("auth") == b"input" and node.input:
            found.add(node.input[0])
    return found


def _verdict(choice: NodeProto, sent: int) -> str | None:
    """The tensor that decides whether the only calls there are are made; they stand in the second branch."""
    branch = _branch(choice, "else_branch")
    if not sent or branch is None or sum(map(is_remote, branch.node)) != sent:
        return None
    return _by_row(choice) or str(choice.input[0])


def _by_row(choice: NodeProto) -> str | None:
    """The verdict by which a branch looks for the rows that are sent; None where it takes all rows together."""
    branch = _branch(choice, "else_branch")
    nodes = branch.node if branch is not None else []
    written = {tensor: node for node in nodes for tensor in node.output}
    for node in nodes:
        source = written.get(node.input[0]) if node.op_type == "NonZero" else None
        if source is not None and source.op_type == "Not" and source.input[0] not in written:
            return str(source.input[0])
    return None


def _branch(choice: NodeProto, name: str) -> GraphProto | None:
    return next((entry.g for entry in choice.attribute if entry.name == name and entry.HasField("g")), None)


def _by_content(condition: str, graph: GraphProto, fed: Collection[str]) -> bool:
    """Whether a condition is computed from what rows hold, and is no flag of a call, as a fallback looks at."""
    producers = {name: node for node in graph.node for name in node.output if name}
    leaves = list(_leaves(condition, producers))
    if any(_tells_of_a_call(producers[leaf], leaf, graph) for leaf in leaves if leaf in producers):
        return False
    pending, seen = leaves, set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in fed:
            return True
        if name in producers:
            pending += reads(producers[name])
    return False


def _tells_of_a_call(node: NodeProto, tensor: str, graph: GraphProto) -> bool:
    """Whether a condition is a flag, or comes out of a choice that calls, of whose outputs flags alone decide."""
    return is_flag(tensor, graph) or (node.op_type == "If" and any(map(is_remote, nodes_of([node]))))


def _leaves(tensor: str, producers: Mapping[str, NodeProto]) -> Iterator[str]:
    """The tensors that logic makes a condition of."""
    pending, seen = [tensor], set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        node = producers.get(name)
        if node is not None and node.op_type in _PASSING and not standard(node.domain):
            pending += node.input
        else:
            yield name

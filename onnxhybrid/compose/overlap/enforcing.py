"""Makes a graph keep to a schedule: by edges between its nodes, since ONNX Runtime keeps to no other order."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import NodeProto, ValueInfoProto

from onnxhybrid.compose.overlap.barrier import barrier, gate
from onnxhybrid.compose.overlap.schedule import Role, Step
from onnxhybrid.compose.overlap.tensors import Tensors
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.naming import Names
from onnxhybrid.model.remote_spec import AWAIT, BEGIN
from onnxhybrid.model.sequential import is_operator, ticket_of, whole

_ENDLESS = ("Loop", "Scan")
"""What ONNX Runtime computes in each run, also where all of its inputs are constant."""


class Enforcing:
    """The nodes of a graph in the order of a schedule, with edges that keep them in it.

    A local node that could run before the calls under way have begun gets a barrier before one of its inputs. An Await
    gets the outputs of the nodes scheduled before it as further inputs, so that it runs after them.
    """

    def __init__(self, tensors: Tensors, names: Names, opset: int) -> None:
        """Begin with no node."""
        self._tensors, self._names, self._opset = tensors, names, opset
        self.nodes: list[NodeProto] = []
        self.values: list[ValueInfoProto] = []
        """The declarations of the tensors that barriers give."""
        self._makers: dict[str, int] = {}
        self._tickets: list[str] = []
        self._awaited: set[str] = set()
        self._gate: str | None = None
        self._gated = 0  # how many tickets the gate is made of
        self._late: dict[str, str] = {}  # tensor -> what the last barrier before it gives
        self._level: dict[str, int] = {}  # tensor -> how many tickets are there whenever it is
        self._open: dict[int, list[str]] = {}  # node that nothing reads yet -> its signs

    @classmethod
    def of(cls, order: Iterable[Step], tensors: Tensors, names: Names, opset: int) -> Enforcing:
        """The nodes of a schedule, whose steps are used up."""
        made = cls(tensors, names, opset)
        ways = {Role.BEGIN: made._begin, Role.LOCAL: made._local, Role.WAIT: made._wait}
        for step in order:
            ways.get(step.role, made._put)(step)
        return made

    def _put(self, step: Step) -> None:
        for name in step.reads:
            self._open.pop(self._makers.get(name, -1), None)
        self._makers.update(dict.fromkeys(step.node.output, len(self.nodes)))
        self.nodes.append(step.node)

    def _ran(self, step: Step, level: int) -> None:
        """Add a node, and what an Await can read to come after it."""
        self._put(step)
        self._open[len(self.nodes) - 1] = self._signs(step.node)
        self._level.update(dict.fromkeys(step.node.output, level))

    def _begin(self, step: Step) -> None:
        self._ran(step, 0)
        if is_operator(step.node, BEGIN):
            self._tickets.extend(step.node.output[:1])

    def _local(self, step: Step) -> None:
        given = set(step.node.input)
        read = [self._late.get(name, name) if name in given else name for name in step.reads]
        level = max((self._level.get(name, 0) for name in read), default=0)
        if not self._awaited.issuperset(self._tickets[level:]):
            level = self._hold(step.node) or level
        for position, name in enumerate(step.node.input):
            step.node.input[position] = self._late.get(name, name)
        self._ran(step, level)

    def _wait(self, step: Step) -> None:
        mine = [name for name in self._tickets if name in step.reads]
        after = [name for signs in self._open.values() for name in signs if name not in mine]
        if not after and self._unites(step.node):
            return
        for node in nodes_of([step.node]):
            if is_operator(node, AWAIT) and (node is step.node or ticket_of(node) in mine):
                node.input.extend(after)
        self._awaited.update(mine)
        self._open.clear()
        self._ran(step, len(self._tickets))

    def _unites(self, node: NodeProto) -> bool:
        """Whether nothing runs between the last node, a Begin, and this Await of it; then both become one Invoke."""
        begin = self.nodes[-1] if self.nodes else node
        if not is_operator(node, AWAIT) or not is_operator(begin, BEGIN) or ticket_of(node) != ticket_of(begin):
            return False
        self._tickets.pop()
        self._open.clear()
        self._ran(Step.of(whole(self.nodes.pop(), node), Role.WAIT), len(self._tickets))
        return True

    def _hold(self, node: NodeProto) -> int:
        """Put a barrier before the smallest input of a node; the number of tickets it waits for, 0 for no barrier."""
        possible = [name for name in dict.fromkeys(node.input) if self._tensors.can_be_late(name, self._opset)]
        moving = [name for name in possible if not self._tensors.is_constant(name)]
        choice = moving or (possible if node.op_type in _ENDLESS else [])
        if not choice:
            return 0
        tensor = min(choice, key=self._tensors.size)
        value = ValueInfoProto(type=self._tensors.kind(tensor))
        self.nodes += barrier(tensor, value.type, self._opened(), self._names)
        value.name = self._late[tensor] = self.nodes[-1].output[0]
        self.values.append(value)
        self._level[value.name] = len(self._tickets)
        if self._tensors.is_plain(tensor):
            # A second reader, since ONNX Runtime merges a Reshape into another one that is its only reader.
            self._open[len(self.nodes) - 1] = [value.name]
        return len(self._tickets)

    def _opened(self) -> str:
        """The tensor of a gate that waits for all tickets so far."""
        if self._gate is None or self._gated < len(self._tickets):
            made, self._gate = gate(self._tickets[self._gated :], self._gate, self._names)
            self.nodes += made
            self._gated = len(self._tickets)
        return self._gate

    def _signs(self, node: NodeProto) -> list[str]:
        """Tensors that an Await reads to run after the node: of types that every version of ONNX Runtime passes to it.

        A node that writes none of these types is stood for by the nodes that it reads from.
        """
        signs, pending, seen = [], [node], {id(node)}
        while pending:
            maker = pending.pop()
            if is_operator(maker, BEGIN):
                signs.extend(maker.output[:1])
            elif plain := next((name for name in maker.output if self._tensors.is_plain(name)), None):
                signs.append(plain)
            else:
                before = [self.nodes[self._makers[name]] for name in maker.input if name and name in self._makers]
                pending += [node for node in before if id(node) not in seen]
                seen.update(map(id, before))
        return signs

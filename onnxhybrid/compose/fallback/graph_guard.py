"""Guards the calls of a graph, and of those nested in it: a failure becomes a bool instead of an error.

Every call that could fail gets `on_error="flag"`. The nodes that need its answer move into a branch that runs only if
the call succeeded, since the empty answer of a failed call could make them fail. Calls that do not need each other's
answers stay in one graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from onnx import GraphProto, NodeProto, ValueInfoProto, helper

from onnxhybrid.compose.fallback.placeholder import placeholder, truth
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.graphs import attribute_graphs, nodes_of, reads
from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import rename_tensors, tensor_names
from onnxhybrid.model.remote_spec import BEGIN, FLAGS, INVOKE, RemoteSpec, gives_results, is_remote

MOST_IN_A_ROW = 16
"""The most calls of which each needs the answer of the one before: each nests a graph deeper, up to protobuf's 100."""


class GraphGuard:
    """Guards the graphs of one model, in place."""

    def __init__(self, graph: GraphProto) -> None:
        self._names = tensor_names(graph)
        self._read = _read_names(graph)
        self._begun = {node.output[0]: node for node in nodes_of(graph.node) if _is(node, BEGIN) and node.output}
        self._raising = {ticket for ticket, node in self._begun.items() if _spec(node).on_error == "raise"}
        for ticket in self._raising:
            _set_flag(self._begun[ticket])
        self._oks: set[str] = set()
        self._depth = 0
        self.spread: set[str] = set()

    def name(self, wanted: str) -> str:
        """A free name, which is taken from now on."""
        return self._names.take(wanted)

    def guard(self, graph: GraphProto) -> str | None:
        """Guard a graph; the tensor that says whether all calls succeeded, None if none can fail."""
        nodes = [new for node in graph.node for new in (*self._data(node, graph), node)]
        passed = [n for n in nodes if n.op_type == "Identity" and n.input and n.output]
        self.spread.update(n.output[0] for n in passed if n.input[0] in self.spread)
        return self._layer(graph, nodes)

    def _data(self, node: NodeProto, graph: GraphProto) -> Iterator[NodeProto]:
        """Guard a node, in place; the nodes to be put before it."""
        if gives_results(node):
            self._call(node, graph)
        inner = list(attribute_graphs(node))
        if not any(self._can_fail(nested) for each in inner for nested in nodes_of(each.node)):
            return
        if node.op_type == "If":
            self._if(node, inner)
        elif node.op_type == "Loop":
            yield from self._loop(node, inner[0])
        else:
            raise ComposeError("OH214", f"{node.name!r}, a {node.op_type}, calls out in its body; only If and Loop can")

    def _can_fail(self, node: NodeProto) -> bool:
        """Whether the node gives a call's answer, and its own graph does not handle the failure."""
        if not gives_results(node):
            return False
        return self._raises(node) or not any(map(self._is_read, node.output[-3:]))

    def _raises(self, node: NodeProto) -> bool:
        if node.op_type == INVOKE:
            return _spec(node).on_error == "raise"
        if not node.input or node.input[0] not in self._begun:
            raise ComposeError("OH214", f"{node.name!r} awaits a ticket that no {BEGIN} of the model writes directly")
        return node.input[0] in self._raising

    def _is_read(self, name: str) -> bool:
        """Whether a node reads the tensor, other than to pass it on."""
        return any(self._is_read(then) if then else True for then in self._read.get(name, ()))

    def _call(self, node: NodeProto, graph: GraphProto) -> None:
        if not self._can_fail(node):
            return
        if self._raises(node):
            if node.op_type == INVOKE:
                _set_flag(node)
            names = [self.name(f"{node.name or node.op_type}/{spec.name}") for spec in FLAGS]
            node.output.extend(names)
            graph.value_info.extend(
                TensorSpec(name, spec.dtype, spec.shape).to_value_info()
                for name, spec in zip(names, FLAGS, strict=True)
            )
        if not node.output[-3]:
            node.output[-3] = self.name(f"{node.name or node.op_type}/ok")
        self.spread.update(node.output[-3:])
        self._oks.add(node.output[-3])

    def _if(self, node: NodeProto, branches: Sequence[GraphProto]) -> None:
        for branch in branches:
            ok = self.told(branch, self.guard(branch))
            self.spread.update(
                outer for outer, value in zip(node.output, branch.output, strict=False) if value.name in self.spread
            )
            branch.output.append(ok)
        node.output.append(self.name(f"{node.name}/ok"))
        self._oks.add(node.output[-1])

    def told(self, graph: GraphProto, ok: str | None) -> ValueInfoProto:
        """A new output of the graph, which says whether all calls in it succeeded."""
        output = TensorSpec(self.name(f"{graph.name}/ok"), "bool", ()).to_value_info()
        graph.node.append(
            helper.make_node("Identity", [ok], [output.name], name=output.name) if ok else truth(output.name, True)
        )
        return output

    def _loop(self, node: NodeProto, body: GraphProto) -> Iterator[NodeProto]:
        """End a Loop after the iteration that fails.

        All iterations have to give scan outputs of one shape. So those of the last iteration that succeeded are carried
        along, and the one that fails gives them again.
        """
        carried = len(node.input) - 2
        shaped = [self._like(value, sizes=True) for value in list(body.output)[1 + carried :]]
        ok = self.guard(body)
        assert ok is not None  # the caller saw a call in it
        going, *given = (self._like(value) for value in (body.output[0], *shaped))
        states = [TensorSpec(self.name(f"{node.name}/ok"), "bool", ()).to_value_info(), *map(self._like, shaped)]
        last = [helper.make_node("Identity", [s.name], [self.name(s.name)]) for s in states[1:]]
        answers = [body.output[0], *list(body.output)[1 + carried :]]
        body.node.append(self._chosen(ok, answers, [truth(self.name("stopped"), False), *last], [going, *given]))
        body.node.extend(helper.make_node("Identity", [g.name], [a.name]) for g, a in zip(given, shaped, strict=True))
        body.value_info.extend(answers)
        after = [TensorSpec(ok, "bool", ()).to_value_info(), *given]
        replace(body.output, [going, *list(body.output)[1 : 1 + carried], *after, *shaped])
        body.input.extend(states)
        yield from self._started(node, states, shaped)

    def _started(
        self, node: NodeProto, states: Sequence[ValueInfoProto], shaped: Sequence[ValueInfoProto]
    ) -> Iterator[NodeProto]:
        """Give a Loop the states that its body carries along; the nodes that write their first values."""
        starts = [self.name(f"{value.name}/start") for value in states]
        yield truth(starts[0], True)
        for start, value in zip(starts[1:], shaped, strict=True):
            yield from placeholder(value, start)
        carried = len(node.input) - 2
        results = [*node.output, *[""] * (carried + len(shaped) - len(node.output))]
        finals = [self.name(f"{value.name}/final") for value in states]
        node.input.extend(starts)
        replace(node.output, [*results[:carried], *finals, *results[carried:]])
        self._oks.add(finals[0])

    def _like(self, value: ValueInfoProto, *, sizes: bool = False) -> ValueInfoProto:
        """Another tensor of the same type: of any shape, or of one that has the same fixed sizes."""
        other = _named(value, self.name(value.name))
        if sizes:
            other.type.CopyFrom(value.type)
            for dim in other.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
                dim.ClearField("dim_param")
        return other

    def _chosen(
        self, ok: str, good: Iterable[ValueInfoProto], bad: Sequence[NodeProto], results: Sequence[ValueInfoProto]
    ) -> NodeProto:
        """An If that gives the tensors `good` where `ok` holds, otherwise what the nodes `bad` write."""
        handed = [helper.make_node("Identity", [value.name], [self.name(value.name)]) for value in good]
        branches = []
        for label, nodes in (("good", handed), ("bad", bad)):
            values = [_named(result, node.output[0]) for node, result in zip(nodes, results, strict=True)]
            branches.append(helper.make_graph(nodes, label, [], values))
        names = [value.name for value in results]
        return helper.make_node(
            "If", [ok], names, name=f"{ok}/or last", then_branch=branches[0], else_branch=branches[1]
        )

    def _layer(self, graph: GraphProto, nodes: Sequence[NodeProto]) -> str | None:
        """Keep the nodes that need no answer of a call that can fail, and move the others into a branch."""
        outside, inside, risky, oks = [], [], set[str](), list[str]()
        for node in nodes:
            if risky.intersection(reads(node)):
                inside.append(node)
                risky.update(node.output)
                continue
            outside.append(node)
            if own := [name for name in node.output if name in self._oks]:
                oks += own
                flags = {*own, *node.output[-3:]} if gives_results(node) else set(own)
                risky.update(set(node.output) - flags)
        risky.discard("")
        if not oks:
            replace(graph.node, nodes)
            return None
        replace(graph.node, outside)
        ok = oks[0]
        for other in oks[1:]:
            both = self.name(f"{other}/and before")
            graph.node.append(helper.make_node("And", [ok, other], [both], name=both))
            ok = both
        if inside:
            ok = self._behind(graph, ok, inside)
        for value in (*graph.value_info, *graph.output):
            if value.name in risky:
                _any_shape(value)
        return ok

    def _behind(self, graph: GraphProto, ok: str, nodes: Sequence[NodeProto]) -> str:
        """Move nodes into a branch that runs where `ok` holds; the tensor that says whether all calls succeeded."""
        written = {name for node in nodes for name in node.output}
        needed = list({value.name: value for value in graph.output if value.name in written}.values())
        then = helper.make_graph([], "succeeded", [], needed)
        then.value_info.extend(value for value in graph.value_info if value.name in written)
        replace(graph.value_info, [value for value in graph.value_info if value.name not in written])
        self._depth += 1
        if self._depth > MOST_IN_A_ROW:
            raise ComposeError(
                "OH214",
                f"more than {MOST_IN_A_ROW} remote calls wait for one before them, which needs graphs too deep for a "
                "file; put a fallback around each half of them",
            )
        then.output.append(self.told(then, self._layer(then, nodes)))
        self._depth -= 1
        rename_tensors(then, {value.name: self.name(value.name) for value in needed})
        results = [*needed, TensorSpec(self.name(f"{ok}/all"), "bool", ()).to_value_info()]
        values = [_named(value, self.name(f"{value.name}/none")) for value in results]
        stopped = [node for value in values[:-1] for node in placeholder(value, value.name)]
        stopped.append(truth(values[-1].name, False))
        branches = {"then_branch": then, "else_branch": helper.make_graph(stopped, "failed", [], values)}
        names = [value.name for value in results]
        graph.node.append(helper.make_node("If", [ok], names, name=f"{ok}/then", **branches))
        return str(names[-1])


def _read_names(graph: GraphProto) -> dict[str, list[str]]:
    """The readers of each tensor: the tensor that it is passed on as, or an empty text for a node that computes."""
    readers: dict[str, list[str]] = {}
    for node in nodes_of(graph.node):
        for name in node.input:
            passed = node.op_type == "Identity" and node.output
            readers.setdefault(name, []).append(node.output[0] if passed else "")
        for inner in attribute_graphs(node):
            for position, value in enumerate(inner.output):
                handed = node.op_type == "If" and position < len(node.output)
                readers.setdefault(value.name, []).append(node.output[position] if handed else "")
    return readers


def _is(node: NodeProto, operator: str) -> bool:
    return is_remote(node) and node.op_type == operator


def _spec(node: NodeProto) -> RemoteSpec:
    try:
        return RemoteSpec.of(node)
    except ValueError as problem:
        raise ComposeError("OH214", f"node {node.name!r}: {problem}") from None


def _set_flag(node: NodeProto) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != "on_error"]
    replace(node.attribute, [*kept, helper.make_attribute("on_error", "flag")])


def _named(value: ValueInfoProto, name: str) -> ValueInfoProto:
    other = ValueInfoProto(name=name)
    other.type.CopyFrom(value.type)
    _any_shape(other)
    return other


def _any_shape(value: ValueInfoProto) -> None:
    if value.type.WhichOneof("value") == "tensor_type":
        value.type.tensor_type.ClearField("shape")

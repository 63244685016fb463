"""One domain of a model brought to a newer version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

from onnxhybrid.errors import ComposeError
from onnxhybrid.model.alignment.converting import Unconverted, converted
from onnxhybrid.model.alignment.scope import Scope, Unproven
from onnxhybrid.model.alignment.steps import steps, taken
from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.graphs import attribute_graphs, nodes_of
from onnxhybrid.model.inference import certain_types
from onnxhybrid.model.kernels import installed, loses_kernel
from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import tensor_names
from onnxhybrid.model.opsets import opsets_of, set_opsets, standard
from onnxhybrid.model.schemas import keeps_meaning, since_version

_OLD = "onnxhybrid.old/"
"""Before the domain of a node that is still of the old version."""


def raise_opset(model: ModelProto, domain: str, version: int, wanted_by: str) -> None:
    """Bring one domain of a model to a newer version, in place.

    Args:
        model: the skeleton.
        domain: the domain.
        version: the version.
        wanted_by: who needs it, as in "the part 'b'".

    Raises:
        ComposeError: OH102, that does not provably keep what the model means.
    """
    imports = opsets_of(model.opset_import)
    own = {key_of(function) for function in model.functions}
    try:
        _raise_nodes(model, _Lift(domain, imports[domain], version, own))
        for function in model.functions:
            _raise_function(model, function, domain, version, own)
    except _Refused as refused:
        operators, reason = refused.args
        raise ComposeError(
            "OH102",
            f"the part {model.graph.name!r} imports {domain or 'ai.onnx'} {imports[domain]} and {wanted_by} {version}; "
            f"between them changed {', '.join(operators)}, and {reason}",
        ) from None
    set_opsets(model, imports | {domain: version})


class _Refused(Exception):  # it becomes a ComposeError
    """The operators for which a step is not proven, and why."""


class _Lift:
    """A step of a domain from one version to another one, in a scope with its own functions."""

    def __init__(self, domain: str, old: int, new: int, functions: set[Key]) -> None:
        self.domain, self.old, self.new, self._functions = domain, old, new, functions

    def changed(self, nodes: Iterable[NodeProto]) -> list[NodeProto]:
        """Those of the nodes, inner ones included, that do not mean the same in the new version as they stand.

        Raises:
            _Refused: the runtime has no kernel for one of them in the new version.
        """
        own = [n for n in nodes_of(nodes) if standard(n.domain) == self.domain and called(n) not in self._functions]
        moved = [n for n in own if self._is_another(n.op_type)]
        if lost := sorted({n.op_type for n in moved if loses_kernel(n, self.old, self.new, installed())}):
            raise _Refused(lost, "the installed ONNX Runtime has no kernel for the newer one")
        return [n for n in own if not keeps_meaning(n, self.old, self.new)]

    def _is_another(self, operator: str) -> bool:
        old, new = (since_version(self.domain, operator, version) for version in (self.old, self.new))
        return old != new

    def is_known(self, node: NodeProto) -> bool:
        """Whether there are steps for such a node."""
        return not self.domain and steps(node.op_type, self.old, self.new) is not None


def _raise_nodes(model: ModelProto, lift: _Lift) -> None:
    """The main graph and those inside of it."""
    changed = lift.changed(model.graph.node)
    if not changed:
        return
    rest = sorted({node.op_type for node in changed if not lift.is_known(node)})
    types = {name: value.type for name, value in certain_types(model).items()} if not lift.domain else {}
    for node in changed:
        if lift.is_known(node):
            node.domain = _OLD + node.domain
    if rest and lift.domain:
        raise _Refused(rest, "the version converter knows the standard domain only")
    if rest:
        try:
            converted(model, lift.new, rest)
        except Unconverted as reason:
            raise _Refused(rest, str(reason)) from None
    _take(model.graph, Scope(tensor_names(model.graph), types), lift)


def _raise_function(model: ModelProto, function: FunctionProto, domain: str, version: int, own: set[Key]) -> None:
    """A function has imports of its own; ONNX Runtime wants them to agree with the model's."""
    old = opsets_of(function.opset_import).get(domain)
    if old is None or old >= version:
        return
    lift = _Lift(domain, old, version, own)
    inside = f"the function {function.name!r} uses it"
    try:
        changed = lift.changed(function.node)
        if rest := sorted({node.op_type for node in changed if not lift.is_known(node)}):
            raise _Refused(rest, inside)
        for node in changed:
            node.domain = _OLD + node.domain
        names = {*function.input, *function.output}
        names.update(name for node in nodes_of(function.node) for name in (*node.input, *node.output))
        _take(function, Scope(names, {}), lift)
    except _Refused as refused:
        operators, reason = refused.args
        raise _Refused(operators, reason if reason == inside else f"{inside}: {reason}") from None
    for entry in function.opset_import:
        if standard(entry.domain) == domain:
            entry.version = version


def _take(body: GraphProto | FunctionProto, scope: Scope, lift: _Lift) -> None:
    """Take the steps of all nodes that were put aside, in graphs inside of others, too."""
    scope.learn(body.node, body if isinstance(body, GraphProto) else None)
    nodes: list[NodeProto] = []
    for node in body.node:
        for graph in attribute_graphs(node):
            _take(graph, Scope(scope.taken, {}, scope), lift)
        nodes += _after(node, scope, lift)
    if len(nodes) > len(body.node):
        replace(body.node, nodes)


def _after(node: NodeProto, scope: Scope, lift: _Lift) -> Iterator[NodeProto]:
    if not node.domain.startswith(_OLD):
        yield node
        return
    node.domain = node.domain.removeprefix(_OLD)
    operator = node.op_type
    try:
        yield from taken(node, steps(operator, lift.old, lift.new) or [], scope)
    except Unproven as reason:
        raise _Refused([operator], str(reason)) from None

"""Whether a runtime has a kernel for a node, or for all that the node consists of.

ONNX Runtime looks for a kernel by the operator's version and by the types of what the node reads and writes. Where it
finds none it puts the nodes of the operator's function in its place, if the standard defines it by one; what is left,
it computes in float32 where it reads float16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from onnx import FunctionProto, ModelProto, NodeProto, TypeProto, defs

from onnxhybrid.model.functions import called, key_of
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.schemas import is_deprecated, since_version
from onnxhybrid.validation.kernels.bodies import body, instance
from onnxhybrid.validation.kernels.kinds import Kinds, spelled, typed, walk
from onnxhybrid.validation.kernels.refusals import has_tensors_of, refusal
from onnxhybrid.validation.kernels.signature import mismatches
from onnxhybrid.validation.kernels.table import Formals, Kernel, Table

_WITHOUT_KERNEL = frozenset({("", "Constant")})
"""What a session replaces before it looks for kernels."""

_CASTS = 6
"""The opset whose Cast a session inserts before what it computes in float32."""

Spelled = tuple[str, ...]
"""Types as schemas spell them, in the order of inputs or outputs; empty where one is not known."""

_HALF, _SINGLE = "tensor(float16)", "tensor(float)"


@dataclass(frozen=True)
class Lack:
    """A node of a model for which there is no kernel.

    Attributes:
        node: the node.
        since: the opset that brought this version of its operator; 0 where onnx does not define it.
        kinds: the types that it reads or writes, where it is for these alone that there is none.
        inner: the operator inside of its function that has none; empty where it is the node's own.
        function: the model's function that the node is in; empty for the main graph.
    """

    node: NodeProto
    since: int
    kinds: tuple[str, ...] = ()
    inner: str = ""
    function: str = ""


@dataclass(frozen=True)
class _Choice:
    """What there is for an operator and the types that it reads and writes.

    Attributes:
        unknown: those of the types that the runtime has no tensors of.
        fitting: the kernels of the operator's version.
        parameters: what its type parameters, inputs and outputs stand for.
        is_met: whether a kernel takes these.
    """

    unknown: Spelled
    fitting: Sequence[Kernel]
    parameters: Mapping[str, str]
    is_met: bool


def lacking(model: ModelProto, table: Table) -> Iterator[Lack]:
    """The nodes of a model, those inside of others and of functions that it calls included, without a kernel.

    Args:
        model: the model.
        table: what the runtime has.
    """
    return _Search(table, model.functions).of_model(model)


class _Search:
    def __init__(self, table: Table, functions: Iterable[FunctionProto]) -> None:
        self._table = table
        own = {key_of(function): function for function in functions}
        self._own = {key: function for key, function in own.items() if not self._is_operator(*key[:2])}
        self._known: dict[object, tuple[Lack, ...]] = {}
        self._choices: dict[object, _Choice] = {}

    def of_model(self, model: ModelProto, function: str = "") -> Iterator[Lack]:
        opsets = opsets_of(model.opset_import)
        for node, kinds in walk(typed(model).graph):
            yield from self._of(node, kinds, opsets, function)

    def _is_known(self, domain: str, name: str, version: int) -> bool:
        is_standard = since_version(domain, name, version) > 0 and not is_deprecated(domain, name, version)
        return is_standard or (domain, name) in self._table.operators

    def _is_operator(self, domain: str, name: str) -> bool:
        """Whether an operator of the runtime has the name, which then runs in the place of the model's function."""
        return domain in ("", "ai.onnx.ml") or (domain, name) in self._table.operators

    def _of(self, node: NodeProto, kinds: Kinds, opsets: Mapping[str, int], function: str) -> Iterator[Lack]:
        reads = [kinds.get(name, TypeProto()) if name else TypeProto() for name in node.input]
        if (own := self._own.get(called(node))) is not None:
            key = called(node), *_said(node, reads)
            if key not in self._known:
                self._known[key] = ()  # what calls itself ends here
                body = instance(own, node, reads, opsets_of(own.opset_import), [*self._own.values()])
                self._known[key] = tuple(self.of_model(body, own.name))
            yield from self._known[key]
        elif (lack := self._of_operator(node, kinds, opsets, reads)) is not None:
            yield replace(lack, function=function)

    def _of_operator(
        self, node: NodeProto, kinds: Kinds, opsets: Mapping[str, int], reads: list[TypeProto]
    ) -> Lack | None:
        domain = standard(node.domain)
        version = opsets.get(domain, 0)
        since = self._table.since(domain, node.op_type, version)
        if (domain, node.op_type) in _WITHOUT_KERNEL or not self._is_known(domain, node.op_type, version):
            return None  # what nobody knows is another rule's finding
        if since and not _fits(node, since, since_version(domain, node.op_type, version)):
            return Lack(node, since_version(domain, node.op_type, version))
        given = tuple(spelled(kind) for kind in reads)
        if (refused := refusal(node, since, self._table.release, given)) is not None:
            return Lack(node, since, (refused,))
        writes = tuple(spelled(kinds[name]) if name in kinds else "" for name in node.output)
        call = domain, node.op_type, since, given, writes
        choice = self._choices.get(call)
        if choice is None:  # most nodes of a large model are like others of it
            choice = self._choices[call] = self._choice(*call)
        if choice.is_met:
            return None
        if choice.unknown:
            return Lack(node, since, choice.unknown)
        fitting, parameters = choice.fitting, choice.parameters
        if since and (model := body(node, version, reads)) is not None:
            return self._inside(node, since, version, reads, writes, model)
        if _is_folded(node, reads):
            return None
        if (
            _HALF in given
            and opsets.get("", 0) >= _CASTS
            and any(_takes(kernel, _widened(parameters)) for kernel in fitting)
        ):
            return None
        return Lack(node, since, tuple(dict.fromkeys(filter(None, (*given, *writes)))) if fitting else ())

    def _choice(self, domain: str, name: str, since: int, given: Spelled, writes: Spelled) -> _Choice:
        release = self._table.release
        unknown = tuple(kind for kind in (*given, *writes) if not has_tensors_of(kind, release))
        fitting = [kernel for kernel in self._table.of(domain, name) if not since or kernel.covers(since)]
        parameters = _parameters(self._formals(domain, name, since), given, writes)
        is_met = not unknown and any(_takes(kernel, parameters) for kernel in fitting)
        return _Choice(unknown, fitting, parameters, is_met)

    def _inside(
        self, node: NodeProto, since: int, version: int, reads: list[TypeProto], writes: Spelled, model: ModelProto
    ) -> Lack | None:
        key = standard(node.domain), node.op_type, version, *_said(node, reads), *writes
        if key not in self._known:
            found = [
                replace(lack, inner=lack.inner or f"{lack.node.op_type} {lack.since}") for lack in self.of_model(model)
            ]
            if not found and not _is_typed(model, version, writes):
                found = [Lack(node, since, tuple(dict.fromkeys(filter(None, (*map(spelled, reads), *writes)))))]
            self._known[key] = tuple(found)
        return next((replace(lack, node=node, since=since) for lack in self._known[key]), None)

    def _formals(self, domain: str, name: str, since: int) -> Formals:
        if not since:
            return self._table.operators.get((domain, name), Formals())
        schema = defs.get_schema(name, since, domain)
        return Formals(
            *(tuple((each.name, each.type_str) for each in side) for side in (schema.inputs, schema.outputs))
        )


def _is_typed(model: ModelProto, version: int, writes: Sequence[str]) -> bool:
    """Whether the nodes of a function's body take what they read, and give what the call is declared to."""
    graph = typed(model).graph
    for inner, kinds in walk(graph):
        if since_version("", inner.op_type, version) and any(mismatches(inner, kinds, version)):
            return False
    given = [spelled(value.type) for value in graph.output]
    return all(one == two or not one or not two for one, two in zip(given, writes, strict=False))


def _is_folded(node: NodeProto, reads: Sequence[TypeProto]) -> bool:
    """Whether a session replaces a node by its value: a Shape of what has fixed sizes."""
    if standard(node.domain) or node.op_type != "Shape" or not reads or not reads[0].tensor_type.HasField("shape"):
        return False
    return all(size.HasField("dim_value") for size in reads[0].tensor_type.shape.dim)


def _fits(node: NodeProto, since: int, newest: int) -> bool:
    """Whether a node says nothing that the version of its operator does not know that the runtime has."""
    if since == newest:
        return True
    schema = defs.get_schema(node.op_type, since, standard(node.domain))
    return len(node.input) <= schema.max_input and all(entry.name in schema.attributes for entry in node.attribute)


def _said(node: NodeProto, reads: Sequence[TypeProto]) -> tuple[object, ...]:
    """What makes two calls of a function alike."""
    attributes = tuple(entry.SerializeToString() for entry in node.attribute)
    return (
        tuple(kind.SerializeToString() for kind in reads),
        tuple(map(bool, node.input)),
        tuple(map(bool, node.output)),
        attributes,
    )


def _parameters(formals: Formals, *given: Sequence[str]) -> dict[str, str]:
    """The types that type parameters, and inputs and outputs by name, stand for in a node, as far as they are known."""
    found: dict[str, str] = {}
    for side, kinds in zip((formals.inputs, formals.outputs), given, strict=True):
        for position, kind in enumerate(kinds):
            if kind and side:
                name, parameter = side[min(position, len(side) - 1)]
                found.setdefault(parameter, kind)
                found.setdefault(name, kind)
    return found


def _takes(kernel: Kernel, parameters: Mapping[str, str]) -> bool:
    return all(parameters.get(name) is None or parameters[name] in kinds for name, kinds in kernel.types.items())


def _widened(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: _SINGLE if kind == _HALF else kind for name, kind in parameters.items()}

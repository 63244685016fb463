"""Rules about the files that a model reads, which a stranger's model may have chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from onnx import NodeProto, TensorProto

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.graphs import nested_tensors_of, nodes_of
from onnxhybrid.model.remote_spec import call_inputs, is_remote
from onnxhybrid.model.storage.sources import InFile, Weights
from onnxhybrid.model.storage.weights import source_of
from onnxhybrid.model.storage.wire import THRESHOLD
from onnxhybrid.validation.subject import Scope, Subject, captured, is_standard, place

_Finder = Callable[[TensorProto], str | None]


def named_files(subject: Subject) -> Iterator[Finding]:
    """OH320: external data is named after the model, or after the tensor whose data it is."""
    for path in sorted(_strays(subject)):
        yield Finding("OH320", f"the data is read from {path}, which is named after neither the model nor a tensor")


def files_sent(subject: Subject) -> Iterator[Finding]:
    """OH321: no remote call is given what lies in a file beside the model, and nothing else."""
    for sending in sendings(subject):
        yield Finding("OH321", f"it is sent what lies in the file {sending.path}", place(sending.node, sending.scope))


@dataclass(frozen=True)
class Sending:
    """A node that sends what lies in a file, and whether that is named after neither the model nor a tensor."""

    node: NodeProto
    scope: Scope
    path: str
    stray: bool


def sendings(subject: Subject) -> Iterator[Sending]:
    """The nodes that are given what lies in a file beside the model, as it is or mixed with other constants.

    Of a file that is named after neither the model nor a tensor it is whatever was made of it.
    """
    if not (file := _files(subject.model.weights)):
        return
    senders, strays = _senders(subject), _strays(subject)
    sent: dict[int, dict[str, str]] = {}
    fixed: dict[int, set[str]] = {}
    for scope in subject.scopes:
        tables = [sent[id(outer)] for outer in scope.around if outer is not scope]
        tables.insert(0, sent.setdefault(id(scope), dict(_given(scope, file))))
        constants = [fixed[id(outer)] for outer in scope.around if outer is not scope]
        constants.insert(0, fixed.setdefault(id(scope), set(scope.constants)))
        for node in scope.nodes:
            found = _found(captured([node]), tables) or _inside(node, file)
            is_fixed = all(any(name in names for names in (*tables, *constants)) for name in _read_by(node))
            sends = is_remote(node) or (node.domain, node.op_type) in senders
            leaves = _found(call_inputs(node), tables) if is_remote(node) else found if sends else None
            if leaves:
                yield Sending(node, scope, leaves, leaves in strays)
            if found and (found in strays or is_fixed):
                tables[0].update(dict.fromkeys(node.output, found))
            if is_fixed and not sends:
                constants[0].update(node.output)


def _given(scope: Scope, file: _Finder) -> Iterator[tuple[str, str]]:
    """The initializers and Constants of a scope that lie in files of their own, with these."""
    for tensor in scope.initializers:
        if path := file(tensor):
            yield tensor.name, path
    for node in scope.nodes:
        if is_standard(node, "Constant") and (path := _inside(node, file)):
            yield from ((name, path) for name in node.output)


def _read_by(node: NodeProto) -> set[str]:
    """What a node reads, but for what is made within it."""
    return captured([node]) - {name for inner in nodes_of([node]) if inner is not node for name in inner.output} - {""}


def _inside(node: NodeProto, file: _Finder) -> str | None:
    """A file that a tensor inside of a node lies in."""
    return next((path for tensor in nested_tensors_of([node]) if (path := file(tensor))), None)


def _files(weights: Weights) -> _Finder | None:
    """Tells the file in which a tensor's data lies or, of small ones, lay; None where all are in the model's own."""
    external = [source for source in weights.values() if isinstance(source, InFile) and source.tensor is not None]
    read = {source.tensor: source.path for source in external if source.length < THRESHOLD}

    def file(tensor: TensorProto) -> str | None:
        source = source_of(tensor, weights)
        if source is None:
            return read.get(tensor.name)
        return source.path if isinstance(source, InFile) and source.tensor is not None else None

    return file if external else None


def _found(names: Iterable[str], tables: Iterable[dict[str, str]]) -> str | None:
    """A file that one of the tensors comes from."""
    return next((table[name] for name in names for table in tables if name in table), None)


def _strays(subject: Subject) -> frozenset[str]:
    """The files that are named after neither the model nor a tensor."""
    sources = subject.model.weights.values()
    return frozenset(source.path for source in sources if isinstance(source, InFile) and source.stray)


def _senders(subject: Subject) -> set[tuple[str, str]]:
    """The functions that make remote calls, themselves or through others."""
    functions = [((f.domain, f.name), list(nodes_of(f.node))) for f in subject.skeleton.functions]
    senders = {key for key, nodes in functions if any(map(is_remote, nodes))}
    while more := {
        key
        for key, nodes in functions
        if key not in senders and any((node.domain, node.op_type) in senders for node in nodes)
    }:
        senders |= more
    return senders

"""Rules about the runtime that a model is meant for."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from onnx import NodeProto, defs

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.functions import called, key_of
from onnxhybrid.model.old_operators import DOMAIN as OLD_DOMAIN
from onnxhybrid.model.old_operators import old_nodes
from onnxhybrid.model.opsets import Opsets, opsets_of, standard
from onnxhybrid.model.remote_spec import DOMAIN
from onnxhybrid.model.runtime_operators import runtime_operators
from onnxhybrid.model.schemas import is_deprecated, since_version
from onnxhybrid.validation.kernels import lacking
from onnxhybrid.validation.subject import Subject, label

_DEFINED = ("", "ai.onnx.ml")
_EXTENSIONS = ("ai.onnx.contrib", OLD_DOMAIN)  # registered by oh.Session itself


def file_format(subject: Subject) -> Iterator[Finding]:
    """OH103: the runtime reads the file's IR version."""
    model, target = subject.model, subject.target
    if model.ir_version > target.ir_version:
        yield Finding("OH103", f"the IR version is {model.ir_version}; {target} accepts up to {target.ir_version}")


def standard_opset(subject: Subject) -> Iterator[Finding]:
    """OH106: the runtime knows the opsets of the standard domains."""
    for domain, newest in (("ai.onnx", subject.target.opset), ("ai.onnx.ml", subject.target.ml_opset)):
        imported = subject.model.opsets.get(standard(domain), 0)
        if imported > newest:
            yield Finding("OH106", f"the model imports {domain} {imported}; {subject.target} knows up to {newest}")


def known_operators(subject: Subject) -> Iterator[Finding]:
    """OH124: each operator of a standard domain exists in the version that is imported."""
    for where, node, opsets in _nodes(subject):
        domain = standard(node.domain)
        if domain not in _DEFINED or not 0 < (version := opsets.get(domain, 0)) <= _newest(domain):
            continue
        if not _is_defined(domain, node.op_type, version):
            name = domain or "ai.onnx"
            yield Finding("OH124", f"{name} {version} has no operator {node.op_type!r} ({label(node)})", where)


def with_kernels(subject: Subject) -> Iterator[Finding]:
    """OH128: the runtime computes each operator in the version that is imported, for the types that it is given."""
    table = subject.target.kernels
    if table is None:
        return
    told = set()
    for lack in lacking(subject.skeleton, table):
        what = lack.inner or f"{lack.node.op_type} {lack.since or ''}".strip()
        kinds = f" with {', '.join(lack.kinds)}" if lack.kinds else ""
        inner = f", which {lack.node.op_type} consists of" if lack.inner else ""
        where = f"the function {lack.function!r}" if lack.function else "the graph"
        text = f"{subject.target} has no kernel for {what}{kinds}{inner} ({label(lack.node)})"
        if (text, where) not in told:
            told.add((text, where))
            yield Finding("OH128", text, where)


def known_domains(subject: Subject) -> Iterator[Finding]:
    """OH126: operators of other domains come with the runtime, or the model brings them as functions."""
    own = {key_of(function) for function in subject.skeleton.functions}
    missing: dict[str, set[str]] = {}
    for _, node, _ in _nodes(subject):
        domain = standard(node.domain)
        if domain in (*_DEFINED, DOMAIN, *_EXTENSIONS) or called(node) in own:
            continue
        if node.op_type not in runtime_operators().get(domain, ()):
            missing.setdefault(domain, set()).add(node.op_type)
    for domain, operators in sorted(missing.items()):
        yield Finding("OH126", f"the runtime itself has no {', '.join(sorted(operators))} of the domain {domain!r}")


def old_operators(subject: Subject) -> Iterator[Finding]:
    """OH401: no operator of onnxruntime-extensions 0.9 to 0.14."""
    for node in old_nodes(subject.skeleton):
        yield Finding("OH401", f"{node.op_type} no longer exists; oh.legacy.upgrade replaces it", label(node))


def _nodes(subject: Subject) -> Iterator[tuple[str, NodeProto, Opsets]]:
    """Every node with where it is and which opsets hold there: a function has its own imports."""
    functions = {f"the function {function.name!r}": function for function in subject.skeleton.functions}
    opsets = subject.model.opsets
    for scope in subject.scopes:
        if scope.owner is None:
            function = functions.get(scope.where)
            opsets = opsets_of(function.opset_import) if function is not None else subject.model.opsets
        for node in scope.nodes:
            yield scope.where, node, opsets


@functools.cache
def _newest(domain: str) -> int:
    return (
        defs.onnx_opset_version()
        if not domain
        else max(schema.since_version for schema in defs.get_all_schemas_with_history() if schema.domain == domain)
    )


@functools.cache
def _is_defined(domain: str, operator: str, version: int) -> bool:
    return since_version(domain, operator, version) > 0 and not is_deprecated(domain, operator, version)

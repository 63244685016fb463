"""Rules about remote calls."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto

from onnxhybrid import library
from onnxhybrid.diagnostics import Finding
from onnxhybrid.model import RemoteSpec
from onnxhybrid.model.remote_spec import gives_results, is_remote
from onnxhybrid.validation.subject import Scope, Subject, is_standard, label, place

LONG = 600.0
"""Seconds above which a deadline is none for whoever waits."""


def protected_tokens(subject: Subject) -> Iterator[Finding]:
    """OH305: no token travels over plain http, but to this machine."""
    for node, remote in _remotes(subject):
        if _sends_token(remote) and _is_open(remote):
            yield Finding("OH305", f"a token travels unencrypted to {remote.shown}", label(node))


def protected_data(subject: Subject) -> Iterator[Finding]:
    """OH307: no data travels over plain http, but to this machine; where a token does, OH305 says it."""
    for node, remote in _remotes(subject):
        if not _sends_token(remote) and _is_open(remote):
            yield Finding("OH307", f"data travels unencrypted to {remote.shown}", label(node))


def keys_in_urls(subject: Subject) -> Iterator[Finding]:
    """OH324: no key stands in the query of an endpoint, which is part of the file."""
    for node, remote in _remotes(subject):
        if keys := library.endpoint(remote.endpoint).get("keys"):
            listed = ", ".join(map(repr, keys))
            yield Finding("OH324", f"the query of its endpoint holds what looks like a key: {listed}", label(node))


def patience(subject: Subject) -> Iterator[Finding]:
    """OH308: a call ends before whoever waits has gone."""
    for node, remote in _remotes(subject):
        if remote.timeout > LONG:
            yield Finding("OH308", f"its deadline is {remote.timeout:.0f} s", label(node))


def outputs_used(subject: Subject) -> Iterator[Finding]:
    """OH309: what travels is used."""
    for node, scope in _results(subject):
        unread = [name for name in _tensors(node, subject) if name and name not in subject.read]
        if unread:
            listed = ", ".join(map(repr, unread))
            yield Finding("OH309", f"nothing uses its output {listed}", place(node, scope))


def flags_read(subject: Subject) -> Iterator[Finding]:
    """OH310: a failure that becomes data is looked at."""
    for node, scope in _results(subject):
        flags = _flags(node, subject)
        if flags and flags[0] not in subject.read:
            text = "its on_error is 'flag', and nothing reads its output ok: a failure would pass for an answer"
            yield Finding("OH310", text, place(node, scope))


def no_loops(subject: Subject) -> Iterator[Finding]:
    """OH311: no call goes out for each iteration."""
    for node, scope in subject.remote_nodes():
        loop = next((owner for owner in scope.owners if is_standard(owner, "Loop", "Scan", "SequenceMap")), None)
        if loop is not None:
            yield Finding("OH311", f"it calls out in each iteration of the {loop.op_type} {loop.name!r}", label(node))


def _sends_token(remote: RemoteSpec) -> bool:
    return remote.auth != "none" or bool(remote.credentials)


def _remotes(subject: Subject) -> Iterator[tuple[NodeProto, RemoteSpec]]:
    """The remote nodes that can be read; of the others OH301 tells."""
    for node, _ in subject.remote_nodes():
        try:
            yield node, RemoteSpec.of(node)
        except ValueError:
            continue


def _results(subject: Subject) -> Iterator[tuple[NodeProto, Scope]]:
    return ((node, scope) for scope in subject.scopes for node in scope.nodes if gives_results(node))


def _call_of(node: NodeProto, subject: Subject) -> RemoteSpec | None:
    """What a node's results come from: itself, or the Begin whose ticket it awaits."""
    call = node if is_remote(node) else subject.begun.get(node.input[0] if node.input else "")
    try:
        return None if call is None else RemoteSpec.of(call)
    except ValueError:
        return None


def _tensors(node: NodeProto, subject: Subject) -> list[str]:
    call = _call_of(node, subject)
    return list(node.output)[: len(call.outputs)] if call is not None else []


def _flags(node: NodeProto, subject: Subject) -> list[str]:
    call = _call_of(node, subject)
    return list(node.output)[len(call.outputs) :] if call is not None and call.on_error == "flag" else []


def _is_open(remote: RemoteSpec) -> bool:
    found = library.endpoint(remote.endpoint)  # of one that is none OH301 tells
    return found.get("scheme") in ("http", "grpc") and not found["loopback"]

"""Rules that ask the servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from onnxhybrid.diagnostics import Finding
from onnxhybrid.errors import Error
from onnxhybrid.library import protocols
from onnxhybrid.model import RemoteSpec, TensorSpec
from onnxhybrid.model.remote_spec import AUDIT, BEGIN, blobs_of, call_inputs
from onnxhybrid.remote.auth import Credential
from onnxhybrid.remote.invoke import CallSettings, Target, describe
from onnxhybrid.remote.named_endpoint import Endpoint
from onnxhybrid.validation.subject import Scope, Subject, label


def agrees(subject: Subject) -> Iterator[Finding]:
    """OH312 and OH313: wire names and types are those that the server's metadata gives."""
    for node, scope in subject.remote_nodes():
        try:
            remote = RemoteSpec.of(node)
        except ValueError:
            continue  # OH301
        if not protocols().get(remote.protocol, {}).get("describes"):
            continue
        try:
            taken, given = _asked(remote)
        except Error as problem:
            yield Finding("OH313", f"the server could not be asked: {problem}", label(node))
            continue
        given_inputs = call_inputs(node)
        travelling = given_inputs[len(given_inputs) - len(remote.inputs) :]
        results = [] if node.op_type in (BEGIN, AUDIT) else list(node.output)
        sides: tuple[tuple[str, Sequence[str], list[str], tuple[TensorSpec, ...]], ...] = (
            ("input", remote.inputs, travelling, taken),
            ("output", remote.outputs, results, given),
        )
        blobs = blobs_of(node)
        for side, names, tensors, specs in sides:
            declared = [_dtype(tensor, scope) for tensor in tensors]
            # A flag has no name on the wire.
            sent = ["str" if name in blobs else dtype for name, dtype in zip(names, declared, strict=False)]
            for text in _differences(side, names, sent, specs):
                yield Finding("OH312", text, label(node))
        for spec in taken:
            if spec.name not in remote.inputs and not spec.optional:
                yield Finding("OH312", f"the server's model takes {spec}, which the node does not send", label(node))


def _asked(remote: RemoteSpec) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    scheme: Any = remote.auth_scheme or None
    auth = Credential(remote.credential, scheme) if remote.credential else None
    headers = {name: _header(value) for name, value in remote.headers if value != "input"}
    seconds = {name: getattr(remote, name) for name in ("timeout", "connect_timeout", "attempt_timeout")}
    settings = CallSettings(auth=auth, headers=headers, **seconds)
    order: Any = remote.endpoint_order
    endpoint = (
        Endpoint(remote.endpoint_name, remote.endpoint or None, order) if remote.endpoint_name else remote.endpoint
    )
    return describe(Target(remote.protocol, endpoint, remote.model, remote.version), settings)


def _header(value: str) -> str | Credential:
    kind, _, text = value.partition(":")
    return Credential(text) if kind == "credential" else text


def _differences(
    side: str, names: Sequence[str], dtypes: Sequence[str | None], specs: Iterable[TensorSpec]
) -> Iterator[str]:
    known: Mapping[str, TensorSpec] = {spec.name: spec for spec in specs}
    for number, name in enumerate(names):
        if name not in known:
            yield f"the server's model has no {side} {name!r}; it has {', '.join(map(str, known.values()))}"
        elif number < len(dtypes) and dtypes[number] not in (None, known[name].dtype):
            yield f"the {side} {name!r} is {dtypes[number]} in the graph and {known[name].dtype} on the server"


def _dtype(tensor: str, scope: Scope) -> str | None:
    """The declared type of a tensor in the scope or one around it."""
    current: Scope | None = scope
    while current is not None:
        if tensor in current.declared:
            return TensorSpec.of(current.declared[tensor]).dtype
        current = current.outer
    return None

"""`validate`: every rule over a model, as a report."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from onnxhybrid.diagnostics import Finding, Report
from onnxhybrid.errors import Error, ModelError
from onnxhybrid.model import Model, RemoteSpec, load
from onnxhybrid.model.check import check
from onnxhybrid.model.opsets import standard
from onnxhybrid.validation.target import Target

Rule = Callable[[Model, Target], Iterator[Finding]]


def validate(model: Model | str | os.PathLike[str], *, target: str | None = None) -> Report:
    """Check a model, or the file of one.

    Args:
        model: a Model or the path of an .onnx file.
        target: the runtime that it has to run in, such as "onnxruntime==1.18"; the installed one by default.

    Returns:
        A Report: true without errors, with `.errors`, `.warnings`, `str()` and `.to_json()`. A file that cannot be
        loaded is a report of one error.

    Raises:
        ModelError: OH304, the target is not understood.
    """
    runtime = Target.parse(target) if target is not None else Target.installed()
    if not isinstance(model, Model):
        try:
            model = load(model)
        except ModelError as problem:
            return Report.of([Finding(problem.code, problem.message)])
    return Report.of(finding for rule in RULES for finding in rule(model, runtime))


def _structure(model: Model, target: Target) -> Iterator[Finding]:
    """What must hold for every model, wherever it runs."""
    yield from check(model.skeleton)


def _file_format(model: Model, target: Target) -> Iterator[Finding]:
    """OH103: the runtime reads the file's IR version."""
    if model.ir_version > target.ir_version:
        yield Finding("OH103", f"the IR version is {model.ir_version}; {target} accepts up to {target.ir_version}")


def _opsets(model: Model, target: Target) -> Iterator[Finding]:
    """OH106: the runtime knows the opsets of the standard domains."""
    for domain, newest in (("ai.onnx", target.opset), ("ai.onnx.ml", target.ml_opset)):
        imported = model.opsets.get(standard(domain), 0)
        if imported > newest:
            yield Finding("OH106", f"the model imports {domain} {imported}; {target} knows up to {newest}")


def _open_credentials(model: Model, target: Target) -> Iterator[Finding]:
    """OH305: no token travels over plain http, but to this machine."""
    try:
        remotes = model.remotes
    except Error:
        return  # a malformed node is another rule's finding
    for remote in remotes:
        if remote.auth != "none" and _plain(remote) and not _loopback(remote):
            yield Finding("OH305", f"a token travels unencrypted to {remote.endpoint}", f"node {remote.node!r}")


def _plain(remote: RemoteSpec) -> bool:
    return urlsplit(remote.endpoint).scheme.lower() in ("http", "grpc")


def _loopback(remote: RemoteSpec) -> bool:
    host = urlsplit(remote.endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


RULES: tuple[Rule, ...] = (_structure, _file_format, _opsets, _open_credentials)
"""Every rule, in the order of a report."""

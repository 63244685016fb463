"""`validate`: every rule over a model, as a report."""

from __future__ import annotations

import os
from collections.abc import Iterator

from onnxhybrid.diagnostics import Finding, Report
from onnxhybrid.errors import ModelError
from onnxhybrid.model import Model, load
from onnxhybrid.validation.rules import ONLINE, RULES
from onnxhybrid.validation.subject import Subject
from onnxhybrid.validation.suppression import unsuppressed
from onnxhybrid.validation.target import Target


def validate(model: Model | str | os.PathLike[str], *, target: str | None = None, online: bool = False) -> Report:
    """Check a model, or the file of one.

    Warnings that the model's metadata entry `onnxhybrid.noqa` names (`"OH307 OH309@node name"`) are left out; what it
    names and is not there is a finding itself.

    Args:
        model: a Model or the path of an .onnx file.
        target: the runtime that it is for, such as "onnxruntime==1.18" or "opset 17"; the installed one by default.
        online: ask the servers of its remote nodes what they take and give, and compare; only then is anything sent.

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
    subject = Subject(model, runtime)
    nodes = {node.name for scope in subject.scopes for node in scope.nodes}
    return Report.of(unsuppressed(model.metadata, _findings(subject, online), nodes))


def _findings(subject: Subject, online: bool) -> Iterator[Finding]:
    for rule in (*RULES, *(ONLINE if online else ())):
        yield from rule(subject)

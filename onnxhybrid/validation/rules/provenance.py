"""Rules about what a file says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.annotation import PARTS, REMOTES
from onnxhybrid.validation.subject import Subject


def described(subject: Subject) -> Iterator[Finding]:
    """OH314: a file of which a part is in the cloud says what leaves the device."""
    count = sum(1 for _ in subject.remote_nodes())
    told = {PARTS, REMOTES} & set(subject.model.metadata)
    if count and not told and len(subject.skeleton.graph.node) > count:
        yield Finding("OH314", f"the metadata has neither {PARTS!r} nor {REMOTES!r}, which tell what leaves the device")

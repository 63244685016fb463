"""Rules about what a file says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from onnxhybrid.compose.finish import PARTS
from onnxhybrid.diagnostics import Finding
from onnxhybrid.validation.subject import Subject


def described(subject: Subject) -> Iterator[Finding]:
    """OH314: a file of which a part is in the cloud says which parts it has."""
    count = sum(1 for _ in subject.remote_nodes())
    if count and PARTS not in subject.model.metadata and len(subject.skeleton.graph.node) > count:
        yield Finding("OH314", f"the metadata has no entry {PARTS!r} that tells what leaves the device")

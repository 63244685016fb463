"""What must hold for every model, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.check import check
from onnxhybrid.validation.subject import Subject


def sound(subject: Subject) -> Iterator[Finding]:
    """OH101, OH104, OH105, OH114, OH301, OH303, OH306: what is checked at every composition and at `save`."""
    yield from check(subject.skeleton)

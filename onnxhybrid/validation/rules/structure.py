"""What must hold for every model, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator

from onnxhybrid.diagnostics import Finding
from onnxhybrid.model.attributes import flaws
from onnxhybrid.model.check import check
from onnxhybrid.model.dtypes import type_name
from onnxhybrid.validation.subject import Subject


def sound(subject: Subject) -> Iterator[Finding]:
    """OH101, OH104, OH105, OH114, OH301, OH303, OH306: what is checked at every composition and at `save`."""
    yield from check(subject.skeleton)


def tensors_only(subject: Subject) -> Iterator[Finding]:
    """OH127: outputs are no maps."""
    for value in subject.skeleton.graph.output:
        if "map(" in (name := type_name(value.type)):
            yield Finding("OH127", f"the output {value.name!r} is {name}", "the graph")


def fits_operators(subject: Subject) -> Iterator[Finding]:
    """OH130: each node says what its operator takes."""
    for text, where in flaws(subject.skeleton):
        yield Finding("OH130", text, where)

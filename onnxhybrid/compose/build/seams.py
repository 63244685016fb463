"""Where one part's output becomes another part's input: what is sure to fit, what cannot, and what a run must show."""

from __future__ import annotations

from collections.abc import Mapping

from onnxhybrid.compose.build.guard import GUARDED
from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.types import Declared, corrected, enforced, fulfils, mismatch
from onnxhybrid.model.dtypes import is_container


class Seams:
    """The outputs of parts that tensors of a composition are."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[Part, str]] = {}
        self._read: set[str] = set()

    def give(self, part: Part, outputs: Mapping[str, str]) -> None:
        """Tensors are outputs of a part: output -> tensor."""
        self._sources.update({tensor: (part, name) for name, tensor in outputs.items()})

    def same(self, tensor: str, other: str) -> None:
        """A tensor has the shape of another one."""
        if other in self._sources:
            self._sources[tensor] = self._sources[other]

    def given(self, tensor: str, value: Declared, wanted: Declared) -> tuple[Declared, bool | None]:
        """The declaration of a tensor, right where it is sure, and whether it has the shape that an input takes.

        None where that depends on the run. What a part declares of its outputs may be stale: where it contradicts the
        input, all of the part is looked at to see what is true.
        """
        shape = enforced(wanted)
        self._read.add(tensor)
        if tensor not in self._sources or shape is None:
            return value, True
        part, output = self._sources[tensor]
        sure = part.near.get(output)
        fits = fulfils(sure, shape)
        contradicts = (mismatch(value, wanted) or ("", ""))[0] == "OH202"
        if fits is None and (contradicts or value.dtype not in GUARDED):
            sure = part.sure.get(output)
            fits = fulfils(sure, shape)
        if value.dtype == "undefined":
            return value, fits or None
        if fits is False:
            return value.shaped(corrected(value.shape, sure)), fits
        return value.shaped(sure) if contradicts else value, fits

    def published(self, value: Declared) -> Declared:
        """The declaration of an output of the composition: of one that another part reads, only what is sure.

        ONNX Runtime believes it where it computes that part's sizes beforehand.
        """
        if value.name not in self._read or value.name not in self._sources or is_container(value.dtype):
            return value
        part, output = self._sources[value.name]
        own, sure = part.outputs[output].shape, part.near.get(output)
        if own is None or sure is None or value.shape is None or len(own) != len(sure):
            return value.shaped(sure and tuple(size if isinstance(size, int) else None for size in sure))
        sizes = zip(value.shape, own, sure, strict=True)  # a name may be another one here than in the part
        return value.shaped(tuple(b if isinstance(b, int) else name if a == b else None for name, a, b in sizes))

    def describe(self, tensor: str) -> str:
        """Which output of which part a tensor is, for a message."""
        part, output = self._sources[tensor]
        return f"the output {output!r} of the part {part.label!r}"

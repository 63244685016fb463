"""The edits of a `Model`, as its methods: each gives a new model, and nothing changes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from typing_extensions import Self

from onnxhybrid.model import editing, interface
from onnxhybrid.model.declaring import declare
from onnxhybrid.model.dtypes import Dtype
from onnxhybrid.model.retargeting import retarget
from onnxhybrid.model.tensor_spec import Dim

M = TypeVar("M", bound="Edits")


class Edits(ABC):
    """What a Model can be made into without another one."""

    __slots__ = ()

    @abstractmethod
    def _edited(self: M, edit: Any, argument: Any, *, certified: bool = False) -> M:
        """A new model: a copy of this one's skeleton that `edit` changed as `argument` says.

        Its certificate is dropped, unless what it speaks of is still the same.
        """

    def rename(self, names: Mapping[str, str]) -> Self:
        """The model with tensors renamed, all at once, so that names can swap. Wire names of remote nodes stay.

        Args:
            names: old name -> new name, of inputs, outputs or tensors between them.

        Raises:
            ModelError: OH109, no such tensor; OH113, two tensors would get one name.
        """
        return self._edited(editing.rename, names, certified=True)

    def prefix(self, prefix: str, *, inputs: bool = True, outputs: bool = True, functions: bool = False) -> Self:
        """The model with `prefix` before the name of each inner tensor and node.

        Args:
            prefix: the text.
            inputs, outputs: whether these get it, too; an inner tensor makes way for one that keeps its name.
            functions: whether model-local functions get it.

        Raises:
            ModelError: OH113, the prefix is no text, or a switch no bool.
        """
        edit = partial(editing.add_prefix, inputs=inputs, outputs=outputs, functions=functions)
        return self._edited(edit, prefix, certified=True)

    def expose(self, names: Iterable[str]) -> Self:
        """The model with these tensors as outputs, too, behind those that it has.

        Args:
            names: tensors of the main graph: inner ones (`tensors()` lists them), weights, and outputs that a chain
                consumed.

        Raises:
            ModelError: OH109, no such tensor, or one of a branch; OH115, its type is not known, or it is an input.
        """
        return self._edited(interface.expose, names)

    def cast(self, dtypes: Mapping[str, Dtype]) -> Self:
        """The model with inputs and outputs of other element types: `model.cast({"probabilities": "float32"})`.

        An operator Cast goes between, with its rules: fractions are cut off towards whole numbers, and texts are
        written and read as numbers are. The default of an input is cast where its new dtype can hold it.

        Args:
            dtypes: input or output -> a numpy dtype or its name.

        Raises:
            ModelError: OH109, no such input or output; OH110, no such dtype; OH111, a default does not fit its new
                dtype; OH115, the model's opset has no such Cast, or what is named is a token or no tensor.
        """
        return self._edited(interface.cast, dtypes)

    def declare(self, shapes: Mapping[str, Iterable[Dim] | None]) -> Self:
        """The model with other sizes declared for inputs and outputs: `model.declare({"x": ("n", 3, None, None)})`.

        What is declared of outputs that are not named, and of tensors between, follows where it can be inferred, and is
        dropped where it may have become stale. No value changes; ONNX Runtime holds callers to the fixed sizes.

        Args:
            shapes: input or output -> its sizes: numbers, names, and None for a size that is not known; None for a
                shape of which nothing is known.

        Raises:
            ModelError: OH109, no such input or output; OH110, that is no shape; OH118, it cannot be true: the rank is
                another, the operators and weights take or give other sizes, or a name stands for different ones.
        """
        return self._edited(declare, shapes)

    def expand_dims(self, axis: int, names: Iterable[str] | None = None) -> Self:
        """The model with one more axis of size 1 in its outputs, as numpy.expand_dims gives it.

        Args:
            axis: where it stands in the new shape; a negative one counts from the end, -1 for the last.
            names: the outputs; None means all of them.

        Raises:
            ModelError: OH109, no such output; OH115, an output has no such place, or is no tensor.
        """
        return self._edited(partial(interface.expand_dims, names=names), axis)

    def retarget(self, urls: Mapping[str, str]) -> Self:
        """The model with its remote calls moved to other base URLs, and what the metadata says of them.

        Args:
            urls: base URL -> the one in its place, of the same kind (http and https, or grpc and grpcs). A path behind
                a base URL stays: `https://a/v2/x` moves with `https://a`; where two fit, the longer one counts.

        Raises:
            ModelError: OH116, no remote call goes to such a URL; OH301 or OH303, the new one is no base URL of the
                call's protocol, or holds a credential.
        """
        return self._edited(retarget, urls)

    def bind(self, /, **values: Any) -> Self:
        """The model with inputs made constant: `model.bind(threshold=0.5)`.

        Raises:
            ModelError: OH109, no such input; OH111, the value does not fit it; OH303, the input is a token.
        """
        return self._edited(editing.bind, values)

    def select(self, outputs: Iterable[str]) -> Self:
        """The model with these outputs only, in this order, without the nodes and inputs that none of them needs.

        Args:
            outputs: outputs, or tensors that `expose` could make outputs.

        Raises:
            ModelError: OH109, no such tensor; OH113, one is named twice; OH115, it cannot become an output.
        """
        return self._edited(interface.select, [outputs] if isinstance(outputs, str) else outputs)

    def with_metadata(self, metadata: Mapping[str, str]) -> Self:
        """The model with these entries added to, or put in the place of, its metadata_props."""
        return self._edited(editing.set_metadata, metadata, certified=True)

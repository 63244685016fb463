"""`Model`: an ONNX model as an immutable value. Everything that onnxhybrid takes or gives is one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, NoReturn

from onnx import ModelProto

from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ComposeError, ModelError, ValidationError
from onnxhybrid.model import metadata
from onnxhybrid.model.certificate import drop_certificate
from onnxhybrid.model.check import check
from onnxhybrid.model.edits import Edits
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.inference import tensor_types
from onnxhybrid.model.messages import copied
from onnxhybrid.model.opsets import Opsets, imported, opsets_of, unite_opsets
from onnxhybrid.model.remote_spec import DOMAIN, RemoteSpec, is_remote
from onnxhybrid.model.storage import saving
from onnxhybrid.model.storage.external import resolve
from onnxhybrid.model.storage.holders import hold
from onnxhybrid.model.storage.reading import parsed, read
from onnxhybrid.model.storage.sources import Weights
from onnxhybrid.model.storage.weights import make_whole, used
from onnxhybrid.model.storage.wire import detach
from onnxhybrid.model.tensor_spec import TensorSpec
from onnxhybrid.model.texts import file_path, shown
from onnxhybrid.model_operators import logic


class Model(Edits):
    """An ONNX model whose weights are kept by reference. Methods return new models; nothing changes a Model.

    Get one from `oh.load`, `Model.from_proto`, `oh.remote` or a combinator.
    """

    __slots__ = ("__weakref__", "_checked", "_skeleton", "_weights")

    def __init__(self, skeleton: ModelProto, weights: Weights, *, checked: bool = False) -> None:
        """Take over a skeleton and the table of its weights (see `onnxhybrid.model.storage.weights`).

        Args:
            skeleton: the model, which nobody changes from now on.
            weights: the table; it may hold more than the skeleton refers to.
            checked: whether the skeleton passed `onnxhybrid.model.check`, so that `save` need not ask again.
        """
        unite_opsets(skeleton)
        self._skeleton = skeleton
        self._weights: Weights = MappingProxyType(dict(weights))
        self._checked = checked
        hold(self)

    @classmethod
    def from_proto(cls, proto: ModelProto) -> Model:
        """A Model of an onnx.ModelProto, which is not changed and may be changed afterwards.

        Raises:
            ModelError: OH100, it is no model; OH107, it refers to external data, whose folder a proto does not know.
        """
        if not isinstance(proto, ModelProto):
            raise ModelError("OH100", f"from_proto takes an onnx.ModelProto, not {type(proto).__name__}")
        try:
            data = proto.SerializeToString(deterministic=True)
        except ValueError:  # EncodeError: a message of 2 GiB or more
            raise ModelError(
                "OH108", "the proto is larger than 2 GiB; onnx.save it with external data and use oh.load"
            ) from None
        skeleton = parsed(detach(data))
        return cls(skeleton, resolve(skeleton, itself=data))

    def to_proto(self) -> ModelProto:
        """The model as an onnx.ModelProto with all of its weights, a copy of the caller's own.

        Files that its nodes name (EPContext) are named as they were, and stay where they are.

        Raises:
            ModelError: OH107, weights cannot be read; OH108, the model does not fit one message of 2 GiB.
        """
        if not saving.fits_one_message(self._skeleton, self._weights):
            raise ModelError("OH108", "the model is larger than 2 GiB; use save(path)")
        proto = copied(self._skeleton)
        metadata.update(proto)
        make_whole(proto, self._weights)
        return proto

    @property
    def skeleton(self) -> ModelProto:
        """The model without its large weights. For combinators: whoever reads it must not change it."""
        return self._skeleton

    @property
    def weights(self) -> Weights:
        """Where the large weights lie, by the key that the skeleton's tensors name."""
        return self._weights

    @property
    def name(self) -> str:
        """The graph's name."""
        return self._skeleton.graph.name

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The graph's inputs; one with a default has `.optional` set."""
        defaults = {tensor.name for tensor in self._skeleton.graph.initializer}
        constant = defaults if self.ir_version < 4 else set()
        return tuple(
            TensorSpec.of(value, optional=value.name in defaults)
            for value in self._skeleton.graph.input
            if value.name not in constant
        )

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The graph's outputs."""
        return tuple(TensorSpec.of(value) for value in self._skeleton.graph.output)

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Every tensor of the main graph, to find where to cut: inputs, weights, then what nodes write, in order.

        Types and shapes are those that can be inferred from the inputs, or that the file declares; the dtype is
        "undefined" and the shape None where nothing is known. No weight is read.
        """
        return tuple(TensorSpec.of(value) for value in tensor_types(self._skeleton).values())

    @property
    def opsets(self) -> Opsets:
        """The opset imports, domain -> version; the standard domain is `""`."""
        return opsets_of(self._skeleton.opset_import)

    @property
    def ir_version(self) -> int:
        """The version of the file format."""
        return self._skeleton.ir_version

    @property
    def metadata(self) -> dict[str, str]:
        """The model's metadata_props; bytes that are no UTF-8 are written as escapes here, and stay in the model."""
        return {shown(entry.key): shown(entry.value) for entry in self._skeleton.metadata_props}

    @property
    def remotes(self) -> tuple[RemoteSpec, ...]:
        """Every remote call, in the main graph, in branches and in functions.

        Raises:
            ModelError: OH301, a remote node is malformed.
        """
        specs: list[RemoteSpec] = []
        if DOMAIN not in imported(self._skeleton):
            return ()
        for node in filter(is_remote, all_nodes(self._skeleton)):
            try:
                specs.append(RemoteSpec.of(node))
            except ValueError as problem:
                raise ModelError("OH301", f"node {node.name!r}: {problem}") from None
        return tuple(specs)

    def save(self, path: str | os.PathLike[str], *, external_data: saving.ExternalData = "auto") -> None:
        """Validate the model and write it; the file is there whole, or as it was before.

        Files that its nodes name (EPContext) are copied beside it; where other files have their names they get new
        ones. A file that is overwritten gives the new ones its permissions; where the path is a symbolic link, it stays
        one, and what it names is replaced. When `save` returns, the new model is on the disk.

        Args:
            path: the .onnx file.
            external_data: True writes the weights to `<path>.data` beside it, False into the file, "auto" into the
                file if it stays below 2 GiB. Data that is there already is never overwritten, since a model that
                somebody reads may need it: where the weights differ the new ones go to `<path>.<hash>.data`, and the
                old ones are removed once the .onnx file is replaced, if no other file in the folder names them, and no
                Model of this process reads them: then they go away with that Model.

        Raises:
            ValidationError: the model breaks a rule; nothing was written.
            ModelError: OH107, weights cannot be read, or a file that a node names is not there; OH108, too large for
                one file; OH112, the system refused.
        """
        if external_data not in (True, False, "auto"):
            raise ModelError("OH112", f"external_data is True, False or 'auto', not {external_data!r}")
        target = file_path(path, "OH112")
        self._check()
        saving.write(self._skeleton, self._weights, target, external_data)

    def _check(self) -> None:
        if self._checked:
            return
        report = Report.of(check(self._skeleton))
        if not report:
            raise ValidationError(report)

    def _edited(self, edit: Any, argument: Any, *, certified: bool = False) -> Model:
        proto = copied(self._skeleton)
        edit(proto, argument)
        if not certified:
            drop_certificate(proto)
        metadata.update(proto)
        return Model(proto, used(proto, self._weights))

    def __and__(self, other: Model) -> Model:
        """Of two judges: the one that accepts what both accept."""
        judge: Model = logic().combined("And", self, other)
        return judge

    def __or__(self, other: Model) -> Model:
        """Of two judges: the one that accepts what at least one of them accepts."""
        judge: Model = logic().combined("Or", self, other)
        return judge

    def __rand__(self, other: object) -> NoReturn:
        """Of a number and a judge: `a >= 0.8 & b`, which Python reads as `a >= (0.8 & b)`."""
        raise ComposeError("OH208", "put each comparison of a score into parentheses, as in (a >= 0.8) & (b <= 0.3)")

    __ror__ = __rand__

    def __invert__(self) -> Model:
        """Of a judge: the one that accepts what it refuses; what cannot be judged is refused by both."""
        judge: Model = logic().negated(self)
        return judge

    def __bool__(self) -> bool:
        """A Model has no truth value: `a <= score <= b` and `judge and judge` would drop a condition in silence."""
        raise ComposeError(
            "OH208",
            "a Model has no truth value, and a chain of comparisons or `and` would drop a condition of a judge; "
            "write (a >= 0.8) & (b <= 0.3)",
        )

    def __copy__(self) -> Model:
        """The Model itself: nothing changes it."""
        return self

    def __deepcopy__(self, memo: object) -> Model:
        """The Model itself: nothing changes it."""
        return self

    def __reduce__(self) -> NoReturn:
        """A Model refers to files and arrays of this process."""
        raise TypeError("a Model cannot be pickled: save it, and load the file where it is needed")

    def __repr__(self) -> str:
        def listed(specs: Iterable[TensorSpec]) -> str:
            return ", ".join(map(str, specs))

        return f"<Model {self.name!r} ({listed(self.inputs)}) -> ({listed(self.outputs)})>"


def load(path: str | os.PathLike[str]) -> Model:
    """Load an .onnx file, weights inside or external.

    No weight is read: they stay where they are until they are needed.

    Raises:
        ModelError: OH100, the file cannot be read or is no model; OH107, its external data is not there.
    """
    file = file_path(path, "OH100")
    skeleton = read(file)
    return Model(skeleton, resolve(skeleton, itself=file))

"""A model that the endpoint serves: a session, and what it takes and gives in the protocol's terms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from onnxhybrid.endpoint.discretion import discreet_outputs, insides, places, told
from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.log import LOG
from onnxhybrid.endpoint.returning import ArenalessSession
from onnxhybrid.endpoint.runs import Runs
from onnxhybrid.endpoint.slices import Batch, Cutting, batch_of
from onnxhybrid.endpoint.tensors import BY_DTYPE, Array, TensorHeader
from onnxhybrid.errors import Error
from onnxhybrid.model import Model, TensorSpec, load
from onnxhybrid.runtime import Session
from onnxhybrid.runtime.statistics import Statistics

ModelLike = Model | str | os.PathLike[str]


class Runner(Protocol):
    """What runs a model: a session, or what hands requests on to one."""

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any]) -> list[Any]:
        """As `Session.run`."""

    def stats(self) -> Statistics:
        """As `Session.stats`."""


@dataclass(frozen=True)
class ServedModel:
    """A model under its name on the endpoint. Any number of threads may run it.

    Attributes:
        name: the name.
        inputs, outputs: what it takes and gives, by name.
        session: what runs it.
        inside: what no caller is told: where its file is, and which servers it calls.
        flagged: whether an output may say what befell a remote call.
        runs: how long it ran, and how often in vain.
        cutting: how large batches are cut; None where they are not.
    """

    name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    session: Runner
    inside: tuple[str, ...] = ()
    flagged: bool = False
    runs: Runs = field(default_factory=Runs)
    cutting: Cutting | None = None

    @classmethod
    def of(cls, name: str, given: ModelLike, batch: Batch = None, runner: Runner | None = None) -> ServedModel:
        """Load a model, or the file of one, to be served as `name`, its requests cut as `batch` says.

        `runner` runs it; without one a session of its own does.

        Raises:
            Error: OH552, the name cannot stand in a URL, the protocol has no form for an input or output, or it is to
                be cut and has no rows; or what loading the model raised.
        """
        if not name or not name.isprintable() or "/" in name:
            raise Error("OH552", f"{name!r} cannot be a model's name: it has to be printable, without a slash")
        model = given if isinstance(given, Model) else load(given)
        for spec in (*model.inputs, *model.outputs):
            if spec.dtype not in BY_DTYPE:
                raise Error("OH552", f"model {name!r} cannot be served: KServe v2 has no datatype for {spec}")
        inside = (*insides(model.remotes), *places(None if isinstance(given, Model) else os.fspath(given)))
        flagged = any(remote.on_error == "flag" for remote in model.remotes)
        rows, meant = batch_of(batch, name)
        cutting = Cutting.of(name, model, rows, meant=meant)
        inputs, outputs = _by_name(model.inputs), _by_name(model.outputs)
        if runner is None:
            runner = Session(given) if cutting else ArenalessSession(given)  # slices bound the arena
        return cls(name, inputs, outputs, runner, inside, flagged, cutting=cutting)

    def check(self, headers: Iterable[TensorHeader]) -> None:
        """Hold the inputs of a request against what the model takes.

        Raises:
            RequestError: one is unknown, missing, or of another datatype or shape.
        """
        given = {header.name: header for header in headers}
        for name, header in given.items():
            if name not in self.inputs:
                raise RequestError(f"unexpected inference input {quoted(name)} for model '{self.name}'")
            self._check_one(header, self.inputs[name])
        missing = [name for name, spec in self.inputs.items() if name not in given and not spec.optional]
        if missing:
            raise RequestError(
                f"expected {len(self.inputs)} inputs but got {len(given)} inputs for model '{self.name}'. "
                f"Got input(s) {sorted(given)}, but missing required input(s) {missing}."
            )

    def check_feeds(self, feeds: Mapping[str, Array]) -> None:
        """Hold arrays of the declared types against what the model takes.

        Raises:
            RequestError: one is unknown, missing, or of another shape.
        """
        self.check(TensorHeader(name, BY_DTYPE[self.inputs[name].dtype], feeds[name].shape) for name in feeds)

    def _check_one(self, header: TensorHeader, spec: TensorSpec) -> None:
        expected = BY_DTYPE[spec.dtype].name
        if header.datatype.name != expected:
            raise RequestError(
                f"inference input {quoted(header.name)} data-type is '{header.datatype.name}', "
                f"but model '{self.name}' expects '{expected}'"
            )
        if not _fits(header.shape, spec):
            raise RequestError(
                f"unexpected shape for input {quoted(header.name)} for model '{self.name}'. "
                f"Expected {wire_shape(spec)}, got {list(header.shape)}"
            )

    def check_outputs(self, names: Iterable[str]) -> None:
        """Hold the names of requested outputs against what the model gives.

        Raises:
            RequestError: one is unknown.
        """
        for name in names:
            if name not in self.outputs:
                raise RequestError(f"unexpected inference output {quoted(name)} for model '{self.name}'")

    def run(self, names: Iterable[str], feeds: dict[str, Array]) -> dict[str, Array]:
        """The outputs `names` (all when there are none) for inputs that `check` has passed.

        Raises:
            RequestError: status 500, the model failed.
        """
        wanted = list(names) or list(self.outputs)
        each = self.cutting.each(feeds) if self.cutting else None

        def run(inputs: dict[str, Array]) -> dict[str, Array]:
            return dict(zip(wanted, self.session.run(wanted, inputs), strict=True))

        try:
            with self.runs:
                outputs = self.cutting.run(run, feeds, each) if self.cutting and each else run(feeds)
        except RequestError as problem:
            LOG.error("model %r failed: %s", self.name, problem.message)
            raise
        except Exception as problem:  # whatever a model does, it is an answer to this client and not the server's end
            LOG.error("model %r failed: %s", self.name, problem)
            raise RequestError(f"model '{self.name}' failed: {told(problem, self.inside)}", 500) from problem
        return discreet_outputs(outputs, self.inside) if self.flagged else outputs

    def metadata(self) -> dict[str, Any]:
        """What KServe v2 calls model metadata."""
        return {
            "name": self.name,
            "versions": [VERSION],
            "platform": "onnxruntime_onnx",
            "inputs": [_tensor_metadata(spec) for spec in self.inputs.values() if not spec.optional],
            "outputs": [_tensor_metadata(spec) for spec in self.outputs.values()],
        }


VERSION = "1"
"""The version that every served model has."""


def wire_shape(spec: TensorSpec) -> list[int]:
    """A declared shape as the protocol writes it: -1 for a size that varies, and [-1] for an unknown rank."""
    return [-1] if spec.shape is None else [dim if isinstance(dim, int) else -1 for dim in spec.shape]


def _by_name(specs: Iterable[TensorSpec]) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in specs}


def _tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": BY_DTYPE[spec.dtype].name, "shape": wire_shape(spec)}


def _fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    if spec.shape is None:
        return True
    return len(shape) == len(spec.shape) and all(
        not isinstance(declared, int) or declared == size for declared, size in zip(spec.shape, shape, strict=True)
    )

"""What a session gives InferenceSession: a path as it is, a Model as bytes with its weights beside them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import onnxruntime
from onnx import ModelProto

from onnxhybrid import legacy
from onnxhybrid.errors import Error, ModelError
from onnxhybrid.model import Model, load
from onnxhybrid.model.attributes import require_equations
from onnxhybrid.model.check import require_single_names
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.remote_spec import RemoteSpec
from onnxhybrid.model.storage.external import nested_places
from onnxhybrid.model.storage.glancing import glance, may_loop
from onnxhybrid.model.storage.weights import external_nested, require_unrepeated
from onnxhybrid.runtime import extensions
from onnxhybrid.runtime.artifact import Artifact

_ERROR = 3
_OLD = (
    "[OH401] the model holds operators of the domain com.microsoft.extensions, which no longer exist; the session "
    "upgraded them. oh.legacy.upgrade(model).save(path) does so once and for all"
)


@dataclass(frozen=True)
class Source:
    """A model on its way to ONNX Runtime.

    Attributes:
        graph: a path, or the graph as bytes.
        operators: the operators of onnxruntime-extensions that it needs.
        loops: whether it may hold an operator that computes a graph again and again.
        weights: what has to outlive the session; None where nothing has to.
        model: the model, where it had to be loaded.
    """

    graph: str | bytes
    operators: Sequence[str]
    loops: bool
    weights: Artifact | None = None
    model: Model | None = None

    def calls(self) -> tuple[RemoteSpec, ...]:
        """The remote calls that it makes.

        Raises:
            ModelError: OH301, a remote node is malformed.
        """
        if self.model is not None:
            return self.model.remotes
        return load(self.graph).remotes if isinstance(self.graph, str) else ()


def source_of(model: Model | str | os.PathLike[str], options: onnxruntime.SessionOptions, *, ours: bool) -> Source:
    """The source for a session with these options.

    Weights are mapped only through options of our own, since options keep what was attached to them.

    Args:
        model: a Model, or the path of an .onnx file.
        options: the session's options; where they are ours, weights are attached to them.
        ours: whether nobody else has the options.

    Raises:
        ModelError: OH100, it is no model; OH108, it would fill the memory; or what is wrong with the file.
        ValidationError: OH104, a Model has two initializers, or inputs, of one name.
        Error: OH540, a model of 2 GiB or more together with options of the user's.
    """
    if isinstance(model, (ModelProto, bytes)):
        raise ModelError("OH100", "a Session takes a Model or the path of a file; use oh.Model.from_proto(proto)")
    path = None
    if not isinstance(model, Model):
        seen = glance(model)  # whose errors say what is wrong with a file
        if not (seen.external or seen.unreadable) and seen.domains.isdisjoint(extensions.DOMAINS):
            _hush(options, ours and seen.defaults)
            return Source(os.fspath(model), [], seen.loops)
        path = None if seen.small or seen.unreadable else os.fspath(model)
        model = load(model)
    require_equations(model.skeleton)
    if (upgraded := legacy.upgrade(model)) is not model:
        warnings.warn(_OLD, UserWarning, stacklevel=3)  # at the line that made the session
        model, path = upgraded, None
    operators, loops = extensions.used(model), may_loop(model.skeleton.SerializeToString())
    _hush(options, ours and any(spec.optional for spec in model.inputs))
    if path is not None:
        _require_mappable(model)
        return Source(path, operators, loops, model=model)
    require_single_names(model.skeleton)
    if not ours:
        return Source(_whole(model), operators, loops, model=model)
    artifact = Artifact.mapped(model)
    artifact.attach(options)
    return Source(artifact.graph, operators, loops, artifact, model)


def _require_mappable(model: Model) -> None:
    """Check that what ONNX Runtime reads into memory, as it does with attributes of nodes, is no more than a file."""
    mapped = list(nested_places(all_nodes(model.skeleton))) if model.weights else []
    known = set(map(id, mapped))
    require_unrepeated([t for t in external_nested(model.skeleton) if id(t) not in known], model.weights)


def _hush(options: onnxruntime.SessionOptions, defaults: bool) -> None:
    if defaults:
        options.log_severity_level = _ERROR  # ONNX Runtime warns of each input that has a default


def _whole(model: Model) -> bytes:
    try:
        data: bytes = model.to_proto().SerializeToString()
        return data
    except ModelError as problem:
        if problem.code != "OH108":
            raise
        raise Error(
            "OH540",
            "a model of 2 GiB or more cannot be given together with sess_options; save it and give the path",
        ) from None

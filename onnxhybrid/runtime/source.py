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
from onnxhybrid.model.storage.glancing import glance, may_loop
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
    """

    graph: str | bytes
    operators: Sequence[str]
    loops: bool
    weights: Artifact | None = None


def source_of(model: Model | str | os.PathLike[str], options: onnxruntime.SessionOptions, *, ours: bool) -> Source:
    """The source for a session with these options.

    Weights are mapped only through options of our own, since options keep what was attached to them.

    Args:
        model: a Model, or the path of an .onnx file.
        options: the session's options; where they are ours, weights are attached to them.
        ours: whether nobody else has the options.

    Raises:
        ModelError: OH100, it is no model; or what is wrong with the file.
        Error: OH540, a model of 2 GiB or more together with options of the user's.
    """
    if isinstance(model, (ModelProto, bytes)):
        raise ModelError("OH100", "a Session takes a Model or the path of a file; use oh.Model.from_proto(proto)")
    path = None
    if not isinstance(model, Model):
        seen = glance(model)  # whose errors say what is wrong with a file
        if not seen.external and seen.domains.isdisjoint(extensions.DOMAINS):
            _hush(options, ours and seen.defaults)
            return Source(os.fspath(model), [], seen.loops)
        path = None if seen.small else os.fspath(model)
        model = load(model)
    if (upgraded := legacy.upgrade(model)) is not model:
        warnings.warn(_OLD, UserWarning, stacklevel=3)  # at the line that made the session
        model, path = upgraded, None
    operators, loops = extensions.used(model), may_loop(model.skeleton.SerializeToString())
    _hush(options, ours and any(spec.optional for spec in model.inputs))
    if path is not None:
        return Source(path, operators, loops)
    if not ours:
        return Source(_whole(model), operators, loops)
    artifact = Artifact.mapped(model)
    artifact.attach(options)
    return Source(artifact.graph, operators, loops, artifact)


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

"""What ONNX Runtime is given for a Model: the graph as bytes, and the weights where they are.

Weights in files become external data, which ONNX Runtime maps: none is read before it is needed. Weights in memory, and
those that lie unaligned in a file, are attached to the options instead, and ONNX Runtime copies them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, TensorProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model import Model
from onnxhybrid.model.audits import agree
from onnxhybrid.model.dtypes import name_of, numpy_dtype
from onnxhybrid.model.editing import drop_unused
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.storage.companions import named, rename_files
from onnxhybrid.model.storage.external import nested_places
from onnxhybrid.model.storage.sources import InFile
from onnxhybrid.model.storage.weights import (
    external_nested,
    materialize,
    materialize_nested,
    place,
    require_unrepeated,
    source_of,
)
from onnxhybrid.model.storage.wire import THRESHOLD
from onnxhybrid.runtime.hoisting import hoist
from onnxhybrid.runtime.values import to_value

_FOLDER = "session.model_external_initializers_file_folder_path"
_CONTEXT = "ep.context_file_path"
"""The path that a model given as bytes would have: files that EPContext nodes name are looked up beside it."""
_MOST_SIZES = 32  # of an array of numpy 1


@dataclass(frozen=True)
class Artifact:
    """A graph as bytes, and where its weights are.

    Attributes:
        graph: the graph.
        folder: what the locations of its external data are relative to; None when there is none.
        context: the same for files that its nodes name.
        arrays: the weights that are attached, by initializer; they have to outlive the session.
    """

    graph: bytes
    folder: Path | None
    context: Path | None
    arrays: dict[str, npt.NDArray[Any]]

    @classmethod
    def mapped(cls, model: Model) -> Artifact:
        """The model's graph, with its weights mapped from where they lie.

        Raises:
            ModelError: OH107, weights cannot be read; OH108, the graph does not fit one message.
        """
        proto = ModelProto()
        proto.CopyFrom(model.skeleton)
        agree(proto)
        drop_unused(proto.graph)  # ONNX Runtime does so too, before it looks for what is attached
        folder = _common_folder(source.path for source in model.weights.values() if isinstance(source, InFile))
        nested = bool(model.weights and external_nested(proto))
        if nested:
            hoist(proto.graph, lambda tensor: _refer(tensor, model, folder))
        require_unrepeated((t for t in proto.graph.initializer if not _is_mappable(t, model)), model.weights)
        arrays = {}
        for tensor in proto.graph.initializer:
            if _refer(tensor, model, folder):
                continue
            if (array := _array(tensor, model)) is None:
                materialize(tensor, model.weights)
            else:
                arrays[tensor.name] = array
        functions = (node for function in proto.functions for node in nodes_of(function.node))
        for tensor in nested_places(functions) if nested else ():
            _refer(tensor, model, folder, aligned=False)  # what lies there cannot be attached
        materialize_nested(proto, model.weights)
        context = _name_companions(proto, model)
        return cls(_serialized(proto), folder, context, arrays)

    def attach(self, options: onnxruntime.SessionOptions) -> None:
        """Give the weights to the session that will be made with these options, and only to that one."""
        if self.folder is not None:
            options.add_session_config_entry(_FOLDER, str(self.folder))
        if self.context is not None:
            options.add_session_config_entry(_CONTEXT, str(self.context / "model.onnx"))
        if self.arrays:
            options.add_external_initializers(list(self.arrays), [to_value(array) for array in self.arrays.values()])


def _common_folder(paths: Iterable[str]) -> Path | None:
    """The innermost folder of all files, links resolved; None where they have none (no file, or several drives)."""
    folders = {Path(path).resolve().parent for path in set(paths)}
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        return None


def _name_companions(proto: ModelProto, model: Model) -> Path | None:
    """Name the files that nodes name by their place in the folder of all of them, and return that."""
    files = {key: os.path.realpath(companion.file.path) for key, companion in named(proto, model.weights).items()}
    folder = _common_folder(files.values())
    if folder is not None:
        names = {key: os.path.relpath(path, folder) for key, path in files.items()}
        rename_files(proto, lambda text, _: names.get(text))
    return folder


def _serialized(model: ModelProto) -> bytes:
    try:
        data: bytes = model.SerializeToString()
    except ValueError:  # EncodeError: a message of 2 GiB or more
        raise ModelError(
            "OH108",
            "the graph is larger than 2 GiB even without its initializers: its nodes hold weights as attributes, which "
            "have to be initializers or Constants",
        ) from None
    return data


def _is_mappable(tensor: TensorProto, model: Model) -> bool:
    """Whether ONNX Runtime can map a tensor's data from where it lies, and need not copy it."""
    source = source_of(tensor, model.weights)
    name = name_of(tensor.data_type)
    if not isinstance(source, InFile) or name == "undefined":
        return False
    return source.offset % numpy_dtype(name).itemsize == 0


def _refer(tensor: TensorProto, model: Model, folder: Path | None, *, aligned: bool = True) -> bool:
    """Let a tensor name its data's place, if that is a span of a file that can be mapped.

    Args:
        tensor: the tensor.
        model: the model with the table of sources.
        folder: the folder of all files.
        aligned: whether the span has to begin where elements of its type do.
    """
    source = source_of(tensor, model.weights)
    if not isinstance(source, InFile) or folder is None or source.length < THRESHOLD or not _is_known(tensor):
        return False
    location = os.path.relpath(os.path.realpath(source.path), folder)
    if (aligned and not _is_mappable(tensor, model)) or not location.isprintable():  # such a text may be no UTF-8
        return False
    source.require_unchanged()
    place(tensor, location, source.offset, source.length)
    return True


def _is_known(tensor: TensorProto) -> bool:
    return name_of(tensor.data_type) != "undefined"


def _array(tensor: TensorProto, model: Model) -> npt.NDArray[Any] | None:
    """The data of a referenced tensor as an array.

    None where it is no array of whole bytes (int4 and the like), where ONNX Runtime has no such type, and says so of a
    graph, or where it is so small that ONNX Runtime may want to know it.
    """
    source = source_of(tensor, model.weights)
    shape = tuple(tensor.dims)
    if source is None or source.length < THRESHOLD or not _is_known(tensor) or len(shape) > _MOST_SIZES:
        return None
    dtype = numpy_dtype(name_of(tensor.data_type))
    if dtype.kind == "c" or source.length != dtype.itemsize * math.prod(shape):
        return None
    return source.mapped().view(dtype).reshape(shape)

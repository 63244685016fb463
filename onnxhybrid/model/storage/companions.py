"""Files that nodes name: compiled contexts of execution providers and what other domains keep beside a model.

In a skeleton such a node names the key of a `Companion` in the table of weights, as a tensor does, so that the file is
known wherever the node goes. Source: the EP context design of ONNX Runtime (EPContext of com.microsoft).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import AttributeProto, ModelProto, NodeProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.opsets import imported
from onnxhybrid.model.remote_spec import DOMAIN
from onnxhybrid.model.storage.files import Files
from onnxhybrid.model.storage.sources import InFile, Source, Weights

_CLOSED = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", DOMAIN})
"""Domains whose operators name no files."""

_LONGEST = 8192  # a path and what is before it in a key; longer texts are contents

Rename = Callable[[str, bool], str | None]
"""Gives the new text for one that names a file, surely or perhaps; None keeps it."""


@dataclass(frozen=True)
class Companion:
    """A file that a node names.

    Attributes:
        name: how the node calls it, relative to the model's folder.
        file: the whole of it.
    """

    name: str
    file: InFile

    @property
    def key(self) -> str:
        """The file, its state, and how it is called."""
        return f"companion:{self.name}:{self.file.key}"

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.file.length

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes, piece by piece.

        Raises:
            ModelError: OH107, they cannot be read.
        """
        return self.file.chunks()

    def mapped(self) -> npt.NDArray[np.uint8]:
        """The bytes as a read-only map.

        Raises:
            ModelError: OH107, they cannot be read.
        """
        return self.file.mapped()


def find_companions(model: ModelProto, itself: Path) -> dict[str, Source]:
    """Turn the names of files that lie beside a freshly read model into keys, and return the table of these.

    A name of which it is not sure that it means a file counts where there is such a file in the model's folder.

    Args:
        model: the skeleton, which is changed.
        itself: the file that it was read from.
    """
    found: dict[str, Source] = {}
    files = Files(itself)

    def key(text: str, sure: bool) -> str | None:
        if not sure and not _may_name_a_file(text, itself):
            return None
        try:
            path = files.find(text)
            companion = Companion(text, InFile.of(path, 0, path.stat().st_size))
            companion.key.encode()
        except (OSError, ValueError, ModelError):  # saving tells of what is missing
            return None
        found[companion.key] = companion
        return companion.key

    rename_files(model, key)
    return found


def companions(weights: Weights) -> dict[str, Companion]:
    """The files of a table that nodes name."""
    return {key: source for key, source in weights.items() if isinstance(source, Companion)}


def named(model: ModelProto, weights: Weights) -> dict[str, Companion]:
    """The files of a table that this model's nodes name."""
    known, found = companions(weights), {}

    def note(text: str, _: bool) -> None:
        if text in known:
            found[text] = known[text]

    if known:
        rename_files(model, note)
    return found


def restore(model: ModelProto, weights: Weights) -> None:
    """Give files back the names that the model was read with, in place."""
    if known := companions(weights):
        rename_files(model, lambda text, _: known[text].name if text in known else None)


def rename_files(model: ModelProto, rename: Rename) -> None:
    """Ask for a new text for each one that may name a file, in place."""
    if imported(model) <= _CLOSED:
        return
    for node in all_nodes(model):
        if node.domain not in _CLOSED:
            sure, never = _by_definition(node)
            for attribute in node.attribute:
                if attribute.name not in never:
                    _rename(attribute, attribute.name in sure, rename)


def _rename(attribute: AttributeProto, sure: bool, rename: Rename) -> None:
    if (text := _text(attribute.s)) and (new := rename(text, sure)) is not None:
        attribute.s = new.encode()
    for position, entry in enumerate(list(attribute.strings)):
        if (text := _text(entry)) and (new := rename(text, sure)) is not None:
            attribute.strings[position] = new.encode()


def _by_definition(node: NodeProto) -> tuple[frozenset[str], frozenset[str]]:
    """The attributes that name a file by their definition, and those that do not, whatever their text is."""
    if (node.domain, node.op_type) != ("com.microsoft", "EPContext"):
        return frozenset(), frozenset()
    embedded = next((entry.i for entry in node.attribute if entry.name == "embed_mode"), 1)
    payload = {"source", "notes", "partition_name", "hardware_architecture", "ep_sdk_version"}
    if embedded:
        return frozenset({"onnx_model_filename"}), frozenset({"ep_cache_context", *payload})
    return frozenset({"onnx_model_filename", "ep_cache_context"}), frozenset(payload)


def _text(value: bytes) -> str | None:
    if not 0 < len(value) <= _LONGEST:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _may_name_a_file(text: str, itself: Path) -> bool:
    """Whether a text is the name of a file, with an ending, that is neither hidden nor the model."""
    parts = text.replace(os.sep, "/").split("/")
    return "." in parts[-1] and not any(part.startswith(".") for part in parts) and text != itself.name

"""Saving a model takes the files along that its nodes name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from onnx import ModelProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.storage.companions import Companion, named, rename_files
from onnxhybrid.model.storage.replacing import Unfinished, placed, unfinished
from onnxhybrid.model.storage.sources import Weights


@contextlib.contextmanager
def carried(model: ModelProto, weights: Weights, graph: Unfinished, link: Path) -> Iterator[None]:
    """Put the files that nodes name beside a model, for as long as the block does not fail, and name them anew.

    Args:
        model: the skeleton, which is changed.
        weights: the table with the files.
        graph: the model's file, which is going to stand in its place.
        link: the path that was asked for, which may be a symbolic link to that place.

    Raises:
        OSError: the system refused.
        ModelError: OH107, a file cannot be read, or was not there when the model was loaded and is not there now.
    """
    folder = graph.target.parent
    with contextlib.ExitStack() as stack:
        names = {key: _brought(file, graph, link, stack) for key, file in named(model, weights).items()}

        def name(text: str, sure: bool) -> str | None:
            if sure and text not in names and not (folder / text).exists():
                raise ModelError(
                    "OH107",
                    f"a node names the file {text!r}, which lay beside no model that was loaded; put it into "
                    f"{folder} first",
                )
            return names.get(text)

        rename_files(model, name)
        yield


def _brought(companion: Companion, graph: Unfinished, link: Path, stack: contextlib.ExitStack) -> str:
    """Copy a file beside the model, unless it is there; its name from there."""
    there = graph.target.parent / companion.name
    with contextlib.suppress(OSError):
        if there.samefile(companion.file.path) and (link == graph.target or (link.parent / companion.name).exists()):
            return companion.name
    copy = stack.enter_context(unfinished(graph.target.with_name(there.name), like=graph.target))
    copy.file.writelines(companion.chunks())
    return stack.enter_context(placed(copy, graph, link)).name

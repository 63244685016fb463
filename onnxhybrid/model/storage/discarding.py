"""Removes the data of a model that was replaced, once nothing needs it any more."""

from __future__ import annotations

import contextlib
import os
import stat
import weakref
from collections.abc import Iterable
from pathlib import Path

from onnxhybrid.errors import ModelError
from onnxhybrid.model.storage.holders import holders
from onnxhybrid.model.storage.reading import opened
from onnxhybrid.model.storage.wire import detach

_SEARCHED = 64 << 20
"""Bytes up to which a file is searched as it is, whatever it is; a larger one has to be a model to name data."""


def discard(files: Iterable[Path], link: Path) -> None:
    """Remove files that no model needs any more, as far as the system lets us.

    What another file in the folder names stays. What a Model of this process reads goes away with that Model, if it is
    not named then.

    Args:
        files: data of a model that was replaced.
        link: the path of that model, which may be a link with links to the data beside it.
    """
    for file in files:
        readers = holders(file)
        for reader in readers:
            weakref.finalize(reader, _discard_later, file, link, os.getpid()).atexit = False
        if not readers and not _is_named(file):
            with contextlib.suppress(OSError):
                beside = link.with_name(file.name)
                if beside != file and beside.is_symlink() and beside.samefile(file):
                    beside.unlink()
                file.unlink()


def _discard_later(file: Path, link: Path, process: int) -> None:
    if os.getpid() == process:  # a fork has the Models, too, and they end there without an end here
        discard([file], link)


def _is_named(data: Path) -> bool:
    """Whether another file in the folder holds the name of a data file."""
    try:
        return any(_names(other, data) for other in data.parent.iterdir() if other != data)
    except OSError:
        return True


def _names(other: Path, data: Path) -> bool:
    name = os.fsencode(data.name)
    try:
        if not stat.S_ISREG(other.stat().st_mode):
            return False
        with opened(other) as view:
            return name in (bytes(view) if len(view) <= _SEARCHED else detach(view))
    except (OSError, ValueError, ModelError):  # empty, or none of a model's
        return False

"""Files that appear whole or not at all, and the names of data files that a model on disk may rely on.

A model with external data is two files, and no system replaces two at once. So the data of a model is never replaced:
new data gets a name that is free, the .onnx file that names it takes its place in one step, and only then the data of
the model that stood there before goes away. Whoever reads meanwhile finds the old model whole, the new one whole, or
an error that data is missing; an old graph never meets new data.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from onnxhybrid.errors import ModelError
from onnxhybrid.model.storage.reading import coded, message, opened
from onnxhybrid.model.storage.weights import external_tensors
from onnxhybrid.model.storage.wire import detach

_CHUNK = 4 << 20


class Unfinished:
    """A hidden file that is being written beside the place where it will stand."""

    def __init__(self, path: Path) -> None:
        """Make the file; `path` is the place."""
        self._target = path
        self.path = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
        self.file: BinaryIO = open(self.path, "xb")  # noqa: SIM115  # closed by close()

    def close(self) -> None:
        """Bring what was written to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def replace(self) -> None:
        """Close the file and let it take its place, in one step."""
        self.close()
        self.path.replace(self._target)

    def drop(self) -> None:
        """Close the file; leave nothing of it behind where it did not take its place."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Unfinished]:
    """An Unfinished that is dropped in the end, unless it was put in its place."""
    new = Unfinished(path)
    try:
        yield new
    finally:
        new.drop()


@contextlib.contextmanager
def placed(data: Unfinished, wanted: Path, model: Path) -> Iterator[Path]:
    """Put data beside a model, for as long as the block does not fail; where it lies.

    Data of the same bytes that is there already is taken as it is.

    Args:
        data: what was written.
        wanted: its place, if that is free; otherwise one with the data's hash in its name.
        model: the .onnx file, whose place is not free.
    """
    data.close()
    for place in _names(data.path, wanted):
        new = place != model and _linked(data.path, place)
        if new or (place != model and _equal(data.path, place)):
            break
    else:
        raise FileExistsError(f"all names for its data are taken, {place.name!r} by something else")
    try:
        _sync(model.parent)
        yield place
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                place.unlink()
        raise


def require_replaceable(path: Path) -> None:
    """Check that nothing is lost when a file takes this place: a device, pipe or socket would be.

    Raises:
        ModelError: OH112, one is there.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:  # nothing is there, or writing tells of it
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise ModelError(
            "OH112", f"{path} cannot be written: it is a device, pipe or socket, and a file would replace it"
        )


def data_of(model: Path) -> set[Path]:
    """The data files of the model on disk that were written with it, by their names; none where there is no model."""
    own = re.compile(re.escape(model.name) + r"(\.[0-9a-f]{8}|\.[0-9a-f]{32})?\.data")
    try:
        with coded(model), opened(model) as view:
            skeleton = detach(view)
            tensors = external_tensors(message(skeleton)) if b".data" in skeleton else []
    except ModelError:
        return set()
    entries = [entry for tensor in tensors for entry in tensor.external_data if entry.key == "location"]
    names = [entry.value for entry in entries if isinstance(entry.value, str)]  # ours are texts
    return {model.with_name(name) for name in names if own.fullmatch(name)}


def discard(files: set[Path]) -> None:
    """Remove files that no model needs any more, as far as the system lets us."""
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()


def _names(data: Path, wanted: Path) -> Iterator[Path]:
    """Names for data, the usual one first."""
    yield wanted
    with open(data, "rb") as file:
        digest = hashlib.blake2b(digest_size=16)
        while piece := file.read(_CHUNK):
            digest.update(piece)
    for length in (8, 32):
        yield wanted.with_name(f"{wanted.stem}.{digest.hexdigest()[:length]}{wanted.suffix}")


def _linked(data: Path, place: Path) -> bool:
    """Give the file its place, unless that is taken."""
    try:
        os.link(data, place)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if os.path.lexists(place):
            return False
        data.rename(place)
    return True


def _equal(one: Path, other: Path) -> bool:
    if not other.is_file() or other.is_symlink() or one.stat().st_size != other.stat().st_size:
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while piece := first.read(_CHUNK):
            if piece != second.read(_CHUNK):
                return False
    return True


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where a folder can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""Files that appear whole or not at all, and the names of data files that a model on disk may rely on.

A model with external data is two files, and no system replaces two at once. So the data of a model is never replaced:
new data gets a name that is free, the .onnx file that names it takes its place in one step, and only then, once that is
on the disk, the data of the model that stood there before goes away (`discarding`). Whoever reads meanwhile finds the
old model whole, the new one whole, or an error that data is missing; an old graph never meets new data.
"""

from __future__ import annotations

import contextlib
import errno
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
    """A hidden file that is being written beside the place where it will stand.

    It is open to those who may read the file that it is going to replace, and while it is written to nobody else.
    """

    def __init__(self, target: Path, like: Path | None = None) -> None:
        """Make the file.

        Args:
            target: the place.
            like: a file whose permissions it gets, if there is such a file; by default the one in its place.
        """
        self.target = target
        self.path = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
        self._like = target if like is None else like
        exists = self._like.exists()
        self.file: BinaryIO = open(self.path, "xb", opener=_private if exists else None)  # noqa: SIM115  # see close()
        self._written: os.stat_result | None = None

    def close(self) -> None:
        """Bring what was written to the disk."""
        self.file.flush()
        _permit(self.file.fileno(), self._like)
        os.fsync(self.file.fileno())
        self._written = os.fstat(self.file.fileno())
        self.file.close()

    def replace(self) -> None:
        """Close the file and let it take its place, in one step, and for good.

        Raises:
            OSError: the system refused, and the place is as it was.
            ModelError: OH112, it took its place, but the system cannot bring that to the disk.
        """
        self.close()
        self.path.replace(self.target)
        try:
            sync(self.target.parent)
        except OSError as problem:
            raise ModelError(
                "OH112", f"{self.target} was replaced, and may not be after a loss of power: {problem.strerror}"
            ) from None

    def is_placed(self) -> bool:
        """Whether it is in its place, or that cannot be told: from then on nothing that it names may go away."""
        if self._written is None:
            return False
        try:
            return os.path.samestat(self.target.stat(), self._written)
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def drop(self) -> None:
        """Close the file; leave nothing of it behind where it did not take its place."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


@contextlib.contextmanager
def unfinished(target: Path, like: Path | None = None) -> Iterator[Unfinished]:
    """An Unfinished that is dropped in the end, unless it was put in its place."""
    new = Unfinished(target, like)
    try:
        yield new
    finally:
        new.drop()


def destination(path: Path) -> Path:
    """The file that a path leads to: itself, or what a symbolic link names, which then stays a link.

    Raises:
        OSError: the links go in a circle, or it leads to a device, a pipe or the like, which nothing may replace.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is no regular file, and nothing else is replaced")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextlib.contextmanager
def placed(data: Unfinished, graph: Unfinished, link: Path) -> Iterator[Path]:
    """Put data beside a model; where it lies. It goes away again unless the block puts the graph in its place.

    Data of the same bytes that is there already is taken as it is.

    Args:
        data: what was written, for its place, if that is free; otherwise for one with the data's hash in its name.
        graph: the .onnx file that is going to name it, whose place is not free.
        link: the path that was asked for, which may be a symbolic link elsewhere: data is looked up beside it.
    """
    data.close()
    made: list[Path] = []
    try:
        for place in _names(data.path, data.target):
            if place != graph.target and _put(data.path, place, made) and _visible(place, graph.target, link, made):
                break
        else:
            raise FileExistsError(f"all names for its data are taken, {place.name!r} by something else")
        data.drop()  # a second name would keep some readers off: onnx reads no file that has several
        for folder in {place.parent, link.parent}:
            sync(folder)
        yield place
    except BaseException:
        if not graph.is_placed():
            for file in made:
                with contextlib.suppress(OSError):
                    file.unlink()
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


def _put(data: Path, place: Path, made: list[Path]) -> bool:
    """Give data its place, unless that is taken; whether it is there now. What was made is noted."""
    if _linked(data, place):
        made.append(place)
        return True
    return _equal(data, place)


def _visible(place: Path, graph: Path, link: Path, made: list[Path]) -> bool:
    """Let a link to the graph find the data, too: readers look for it beside the path that they were given."""
    if link == graph:
        return True
    beside = link.parent / os.path.relpath(place, graph.parent)
    try:
        beside.symlink_to(os.path.relpath(place, os.path.realpath(beside.parent)))
    except FileExistsError:
        return os.path.realpath(beside) == os.path.realpath(place)
    made.append(beside)
    return True


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


def sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can do that.

    Raises:
        OSError: it tried and could not.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that may be written and not read; and Windows opens none
        return
    try:
        os.fsync(handle)
    except OSError as problem:
        if problem.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(handle)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _permit(file: int, like: Path) -> None:
    """Give an open file the owner, mode and attributes of another, as far as the system lets us."""
    try:
        model = like.stat()
    except OSError:
        return
    with contextlib.suppress(OSError, AttributeError):  # only some may give files away
        if (model.st_uid, model.st_gid) != (os.fstat(file).st_uid, os.fstat(file).st_gid):
            os.fchown(file, model.st_uid, model.st_gid)
    with contextlib.suppress(OSError, AttributeError):
        os.fchmod(file, stat.S_IMODE(model.st_mode))
    with contextlib.suppress(OSError, AttributeError):  # lists of access rights are attributes; Linux alone has them
        for name in os.listxattr(like):
            os.setxattr(file, name, os.getxattr(like, name))

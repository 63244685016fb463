"""What the tests install for themselves: virtual environments and folders of packages, each filled from a lock.

A lock of `requirements/` names every package by version and hash. What was made from it is kept, and made again when
the lock is another.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LOCKS = Path(__file__).parents[1] / "requirements"


class InstallationError(RuntimeError):
    """What a test needs could not be installed; the message ends with what pip said."""


def lock(name: str) -> Path:
    """The lock of `requirements/` with this name."""
    return LOCKS / f"{name}.txt"


def is_filled(folder: Path, *locks: str) -> bool:
    """Whether a folder holds what the locks say today."""
    return all(_is_stamped(folder, name) for name in locks)


def fill(folder: Path, *locks: str) -> Path:
    """Put the packages of locks into a folder, beside each other, as pip's `--target` does; gives the folder.

    Raises:
        InstallationError: pip could not install them.
    """
    with alone(folder):
        for name in locks:
            if not _is_stamped(folder, name):
                _announce(name, folder)
                _install(sys.executable, name, "--no-compile", "--upgrade", "--target", str(folder))
                _stamp(folder, name)
    return folder


def environment(folder: Path, name: str, python: str = sys.executable) -> Path:
    """Make a virtual environment with the packages of a lock; gives its interpreter.

    Raises:
        InstallationError: it could not be made.
    """
    made = folder / "bin" / "python"
    with alone(folder):
        if not (made.exists() and _is_stamped(folder, name)):
            _announce(name, folder)
            for old in folder.iterdir():  # `venv --clear` would remove the lock that is held
                if old.name != _HELD:
                    shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
            _checked(python, "-m", "venv", str(folder))
            _install(str(made), name)
            _stamp(folder, name)
    return made


_HELD = ".lock"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Change a folder while no other process does: those that start together wait for each other."""
    import fcntl  # where there is none, nothing that is installed here runs either

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _HELD, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _is_stamped(folder: Path, name: str) -> bool:
    stamp = folder / f".{name}"
    return stamp.is_file() and stamp.read_text() == _digest(name)


def _stamp(folder: Path, name: str) -> None:
    (folder / f".{name}").write_text(_digest(name))


def _digest(name: str) -> str:
    return hashlib.sha256(lock(name).read_bytes()).hexdigest()


def _announce(name: str, folder: Path) -> None:
    print(f"installing {lock(name).name} into {folder} (once) …", file=sys.stderr, flush=True)


def _install(python: str, name: str, *options: str) -> None:
    said = "--quiet", "--no-deps", "--require-hashes", *options
    _checked(python, "-m", "pip", "install", *said, "--requirement", str(lock(name)))


def _checked(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise InstallationError(f"`{' '.join(command)}` failed:\n{done.stdout}")

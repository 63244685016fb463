"""Packages of Debian, unpacked into a folder and not installed, with an apt state of our own: nobody has to be root."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from building.targets import CROSS, BuildError

_APT = CROSS / "apt"
_SETTINGS = f"""\
APT::Architectures {{ "amd64"; "arm64"; }};
APT::Sandbox::User "root";
Dir::State "{_APT}/state";
Dir::State::status "{_APT}/status";
Dir::Cache "{_APT}/cache";
Acquire::Languages "none";
Acquire::Retries "2";
"""


def unpacked(name: str, packages: list[str], *wanted: str) -> Path:
    """Unpack packages beside each other into a folder of `.cross/`, once; gives the folder.

    Args:
        name: the folder's name.
        packages: with their architectures, where these matter.
        wanted: paths of what to unpack of them, with wildcards; all of it where nothing is named.

    Raises:
        BuildError: there are none here, or they could not be fetched.
    """
    folder, fetched = CROSS / name, CROSS / f"{name}.packages"
    if not (folder / ".complete").exists():
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir(parents=True)
        print(f"fetching Debian's packages {', '.join(packages)} into {folder}", flush=True)
        _apt("apt-get", "download", *packages, cwd=fetched)
        folder.mkdir(exist_ok=True)
        for path in sorted(fetched.iterdir()):
            _unpack(path, folder, wanted)
        missing = [path for path in wanted if not any(folder.glob(path))]
        if missing:
            raise BuildError(f"Debian's packages {', '.join(packages)} do not hold {', '.join(missing)}")
        shutil.rmtree(fetched)
        (folder / ".complete").touch()
    return folder


def _unpack(package: Path, folder: Path, wanted: tuple[str, ...]) -> None:
    tar = ["tar", "--extract", "--directory", str(folder), "--wildcards"]
    with subprocess.Popen(["dpkg", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as opened:
        # A package that has nothing of what is wanted is none of tar's faults.
        ended = subprocess.run(
            [*tar, *(f"./{path}" for path in wanted)], stdin=opened.stdout, stderr=subprocess.DEVNULL, check=False
        )
    if opened.returncode or (ended.returncode and not wanted):
        raise BuildError(f"{package} could not be unpacked into {folder}")


def needed(package: str, start: str) -> list[str]:
    """The packages whose names begin like this among those that a package depends on."""
    said = _apt("apt-cache", "depends", package)
    names = [line.split("Depends: ")[1] for line in said.splitlines() if "Depends: " in line]
    return [name for name in names if name.startswith(start)]


def _apt(*command: str, cwd: Path | None = None) -> str:
    """Run one of apt's programs with the private state.

    Raises:
        BuildError: it failed.
    """
    return _run(*command, settings=_settings(), cwd=cwd)


@functools.cache
def _settings() -> Path:
    """Make the private state, and read the lists of packages anew."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise BuildError("this is no Debian, whose packages are needed for it")
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (_APT / folder).mkdir(parents=True, exist_ok=True)
    (_APT / "status").touch()
    path = _APT / "settings"
    path.write_text(_SETTINGS, encoding="utf-8")
    _run("apt-get", "update", settings=path)
    return path


def _run(*command: str, settings: Path, cwd: Path | None = None) -> str:
    environment = os.environ | {"APT_CONFIG": str(settings)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout

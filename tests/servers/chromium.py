"""Debian's Chromium without a window, and axe-core, for tests of what a page is like in a browser.

Packages are downloaded with a state of apt of their own and unpacked, 400 MB, without root, on first use, and kept:
`.browser/` in the checkout, or where `ONNXHYBRID_BROWSER` says. What the system has installed is used from there.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import environments
from tests.environments import InstallationError

_PACKAGES = ("chromium-headless-shell", "chromium")
"""The one without anything for a window, from Debian 12 on; or the whole."""

_FONTS = "fonts-dejavu-core"
_STAMP = ".chromium"
_LOCK = "browser"


def unsupported() -> str | None:
    """Say why there can be no browser on this machine; None where there can."""
    if not sys.platform.startswith("linux"):
        return "the browser of the tests is Debian's"
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    return f"the browser of the tests is Debian's, and there is no {' or '.join(missing)}" if missing else None


@functools.cache
def installed() -> Path:
    """The folder in which the browser lies; it is filled if it is not yet.

    Raises:
        InstallationError: the packages cannot be reached.
    """
    folder = Path(os.environ.get("ONNXHYBRID_BROWSER") or Path(__file__).parents[2] / ".browser")
    with environments.alone(folder):
        if not (folder / _STAMP).is_file():
            print(f"unpacking Chromium into {folder} (once) …", file=sys.stderr, flush=True)
            _unpack(folder)
            (folder / _STAMP).touch()
    environments.fill(folder / "packages", _LOCK)
    return folder


def program(folder: Path) -> Path:
    """The browser's program."""
    library = folder / "root" / "usr" / "lib" / "chromium"
    return next(path for name in _PACKAGES if (path := library / name).is_file())


def axe(folder: Path) -> str:
    """The source of axe-core."""
    return (folder / "packages" / "axe_playwright_python" / "axe.min.js").read_text(encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    """The variables with which the program finds its libraries and its fonts."""
    root = folder / "root"
    libraries = [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*/pulseaudio")]
    fonts = folder / "fonts.conf"
    fonts.write_text(
        f"<fontconfig><dir>{root}/usr/share/fonts</dir><cachedir>{folder}/fontcache</cachedir></fontconfig>"
    )
    own = {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "FONTCONFIG_FILE": str(fonts), "HOME": str(folder)}
    return os.environ | own


def _unpack(folder: Path) -> None:
    apt = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    own = ["apt-get", "-q", "-o", f"Dir::State::lists={apt}/lists", "-o", f"Dir::Cache={apt}/cache"]
    _run(*own, "update")
    _run(*own, "download", *_needed(own), _FONTS, cwd=apt / "debs")
    for package in sorted((apt / "debs").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(folder / "root"))
    shutil.rmtree(apt)


def _needed(own: list[str]) -> list[str]:
    """The browser, and what it needs that the system does not have."""
    for package in _PACKAGES:
        asked = subprocess.run(
            [*own, "install", "-s", "--no-install-recommends", package], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0:
            needed = {line.split()[1] for line in asked.stdout.splitlines() if line.startswith("Inst ")}
            return sorted(needed | {package})
    raise InstallationError(f"apt knows no {' and no '.join(_PACKAGES)}:\n{asked.stderr}")


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise InstallationError(f"`{' '.join(command)}` failed:\n{done.stdout}")

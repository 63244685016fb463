"""The interpreters that are found here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")


def found() -> dict[str, str]:
    """The supported releases that are installed here, on the path, by pyenv or by uv: release -> interpreter."""
    return {release: path for release in SUPPORTED if (path := _interpreter(release))}


def _interpreter(release: str) -> str | None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local" / "share" / "uv" / "python")
    installed = [*pyenv.glob(f"{release}.*"), *uv.glob(f"cpython-{release}.*")]
    paths = [shutil.which(f"python{release}"), *(str(each / "bin" / f"python{release}") for each in sorted(installed))]
    return next((path for path in paths if path and _runs(path)), None)


def _runs(path: str) -> bool:
    """Whether it can make environments; pyenv has a stand-in for each release, most of which refuse."""
    try:
        return subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False

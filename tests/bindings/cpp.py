"""C++ and ONNX Runtime's own header for it, which comes with the runtime's release and with no package of a language.

It is looked for where systems put it, and where `ONNXHYBRID_CXX` says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bindings import c

_HEADER = "onnxruntime_cxx_api.h"
_SYSTEM = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime", "/usr/local/include", "/usr/include")


def unsupported() -> str | None:
    """Why C++ cannot be built here; None where it can."""
    if sys.platform == "win32" or shutil.which("c++") is None:
        return "c++ is not installed"
    return None if _headers() else f"{_HEADER} is not installed: ONNXHYBRID_CXX names its folder"


def _headers() -> Path | None:
    given = os.environ.get("ONNXHYBRID_CXX")
    folders = [Path(folder) for folder in ([given] if given else _SYSTEM)]
    return next((folder for folder in folders if (folder / _HEADER).is_file()), None)


def built(source: Path, target: Path) -> Path:
    """A program of one file, with the runtime of the Python package."""
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-isystem{_headers()}"]
    subprocess.run(["c++", *options, str(source), "-o", str(target), *c.linked(target.parent)], check=True)
    return target

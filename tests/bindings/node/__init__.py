"""The Node package of this repository: what it needs from npm, and its addon, both made on first use.

They lie in `bindings/node/`, where git does not see them. It needs `node` 18 or later, `npm` and `cargo`.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import onnxhybrid as oh
from tests import environments

HOME = Path(__file__).parents[3] / "bindings" / "node"
PROGRAM = Path(__file__).with_name("run.mjs")
_OLDEST = 18


@functools.cache
def unsupported() -> str | None:
    """Why the package cannot run here; None where it can."""
    missing = [program for program in ("node", "npm", "cargo") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} is not installed"
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", said)
    return None if version and int(version[1]) >= _OLDEST else f"Node {_OLDEST} is needed: {said.strip()}"


def command(_: Path) -> list[str]:
    """The program that runs a list of a set, up to the paths of the set."""
    return ["node", str(PROGRAM), str(package()), oh.library_path()]


@functools.cache
def package() -> Path:
    """The folder of the package, with all that it needs.

    Raises:
        RuntimeError: npm or cargo failed.
    """
    native = HOME / "native"
    with environments.alone(native / "target"):
        modules = HOME / "node_modules" / ".made"
        _made(modules, [HOME / "package-lock.json"], ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        sources = [native / "Cargo.lock", native / "Cargo.toml", *sorted((native / "src").rglob("*.rs"))]
        _made(native / "target" / ".made", sources, ["node", "build.js"])
    return HOME


def _made(stamp: Path, sources: Iterable[Path], command: list[str]) -> None:
    """Run a command, unless it was run for these sources."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    done = subprocess.run(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout}")
    stamp.write_text(digest)

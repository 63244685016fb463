"""An installed wheel under test: clean environments that see no Rust, no C compiler and nothing of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from building.targets import ROOT, TOOLS, BuildError, Target

LOCK = ROOT / "requirements" / "installed.txt"
TESTS = (
    "test_plain_session",
    "test_session",
    "test_failures",
    "test_cascade",
    "test_remote",
    "test_secured",
    "test_proxies",
    "test_limits",
    "test_grpc_streams",
    "test_kserve",
    "test_external_data",
    "test_recipe",
    "test_bad_input",
)
"""What runs models, over HTTP, gRPC and TLS, with the command line: no server of others, and no tool to build with."""


def install(release: str, interpreter: str, wheel: Path) -> Path:
    """Make an environment anew with what the lock says and the wheel; gives its folder."""
    folder = TOOLS / f"tried-{release}"
    subprocess.run([interpreter, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK)], env=_bare(folder), check=True)
    subprocess.run([*pip, "--no-index", str(wheel)], env=_bare(folder), check=True)
    subprocess.run([*pip[:3], "check"], env=_bare(folder), stdout=subprocess.DEVNULL, check=True)
    return folder


def test(folder: Path, target: Target) -> None:
    """Run the tests of running with what is installed, once it has said of itself what it is.

    Raises:
        BuildError: it is not what was installed.
        CalledProcessError: a test failed.
    """
    _require_own(folder, target)
    with tempfile.TemporaryDirectory() as elsewhere:
        shutil.copytree(ROOT / "tests", Path(elsewhere) / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", elsewhere)
        pytest = [str(folder / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        pytest += ["-m", "not attack and not triton"]
        tests = [f"tests/{name}.py" for name in TESTS]
        subprocess.run([*pytest, *tests], cwd=elsewhere, env=_bare(folder), check=True)


def _require_own(folder: Path, target: Target) -> None:
    command = [str(folder / "bin" / "onnxhybrid"), "inspect", "--self", "--json"]
    told = json.loads(subprocess.run(command, cwd=folder, env=_bare(folder), capture_output=True, check=True).stdout)
    if told["tag"] != f"py3-none-{target.tag}" or told["problem"] or not Path(told["library"]).is_relative_to(folder):
        raise BuildError(f"what is installed says of itself: {told}")


def _bare(folder: Path) -> dict[str, str]:
    """The variables of a machine on which the environment alone is installed."""
    dropped = ("PYTHON", "CARGO", "RUST", "ONNXHYBRID")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PATH": str(folder / "bin")}

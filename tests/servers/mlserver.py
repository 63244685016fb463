"""The real MLServer on loopback, a server of KServe v2 without Triton's binary extension.

It pins packages that others want newer, so it lives in a virtual environment of its own, 330 MB, made on first use and
kept: `.mlserver/` in the checkout, or where `ONNXHYBRID_MLSERVER_VENV` says.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import environments
from tests.servers.process import free_ports, stop, wait_until_ready

MODELS = Path(__file__).parent / "mlmodels"
_LOCK = "mlserver"
# Those that its wheel is for.
INTERPRETERS = ((3, 12), (3, 11), (3, 10))

DESCRIBED: dict[str, Any] = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3], "parameters": {"content_type": "np"}}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
}
"""What the settings of the model `described` say of its tensors."""

SETTINGS: dict[str, dict[str, Any]] = {
    "identity": {"implementation": "kinds.Identity"},
    "numbers": {"implementation": "kinds.Numbers"},
    "texts": {"implementation": "kinds.Texts"},
    "failing": {"implementation": "kinds.Failing"},
    "strange": {"implementation": "kinds.Strange"},
    "described": {"implementation": "kinds.Numbers", **DESCRIBED},
}


@dataclass(frozen=True)
class MLServer:
    """A running server: where it listens."""

    http_url: str
    grpc_url: str


@functools.cache
def unsupported() -> str | None:
    """Say why the server cannot run on this machine; None where it can."""
    if sys.platform == "win32":
        return "it does not run on Windows"
    if not environments.is_filled(venv_path(), _LOCK) and _interpreter() is None:
        return "it needs Python 3.10, 3.11 or 3.12 with its venv module"
    return None


@contextlib.contextmanager
def serve() -> Iterator[MLServer]:
    """Run the server with the models of SETTINGS until the block ends.

    Raises:
        InstallationError: it could not be installed.
        ServerError: it was not ready in time.
    """
    python = venv_path() / "bin" / "python"
    if not environments.is_filled(venv_path(), _LOCK):
        python = environments.environment(venv_path(), _LOCK, _interpreter() or sys.executable)
    with tempfile.TemporaryDirectory(prefix="mlserver-") as name:
        folder = Path(name)
        server = _configured(folder)
        process = _spawn(python, folder)
        try:
            wait_until_ready(process, f"{server.http_url}/v2/health/ready", folder / "server.log")
            yield server
        finally:
            stop(process)


def venv_path() -> Path:
    """The folder of the server's own virtual environment."""
    return Path(os.environ.get("ONNXHYBRID_MLSERVER_VENV") or Path(__file__).parents[2] / ".mlserver")


def _interpreter() -> str | None:
    """Find a Python that the wheel is for, this one before others; None where there is none."""
    here = [sys.executable] if sys.version_info[:2] in INTERPRETERS else []
    others = [shutil.which(f"python{major}.{minor}") for major, minor in INTERPRETERS]
    probe = "import venv, ensurepip"  # a version manager's placeholder does not even run
    for python in filter(None, [*here, *others]):
        if subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0:
            return python
    return None


def _configured(folder: Path) -> MLServer:
    http, grpc, metrics = free_ports(3)
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    quiet = {"parallel_workers": 0, "debug": False, "metrics_dir": str(folder)}
    (folder / "settings.json").write_text(json.dumps(settings | quiet))
    for name, model in SETTINGS.items():
        (folder / name).mkdir()
        (folder / name / "model-settings.json").write_text(json.dumps({"name": name, **model}))
    return MLServer(f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}")


def _spawn(python: Path, folder: Path) -> subprocess.Popen[bytes]:
    with open(folder / "server.log", "wb") as output:
        return subprocess.Popen(
            [str(python), "-m", "mlserver.cli.main", "start", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(MODELS)},
            start_new_session=True,  # so that what it starts ends with it
        )

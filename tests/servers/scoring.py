"""The real scoring server of MLflow on loopback, with the models of `mlflow_models.py`.

It lives in a virtual environment of its own, made on first use and kept: `.mlflow/` in the checkout, or where
`ONNXHYBRID_MLFLOW_VENV` says.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests import environments
from tests.servers.process import free_port, stop, wait_until_ready

MODELS = Path(__file__).parent / "mlflow_models.py"


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """Run the server until the block ends; each model's scoring URI is `<url>/<model>/invocations`.

    Raises:
        InstallationError: it could not be installed.
        ServerError: it was not ready in time.
    """
    path = Path(os.environ.get("ONNXHYBRID_MLFLOW_VENV") or Path(__file__).parents[2] / ".mlflow")
    python, port = environments.environment(path, "mlflow"), free_port()
    with tempfile.TemporaryDirectory(prefix="mlflow-") as folder:
        log = Path(folder) / "server.log"
        process = _spawn(python, port, Path(folder), log)
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}/columns/ping", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


def _spawn(python: Path, port: int, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    quiet = {"HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with open(log, "wb") as output:
        return subprocess.Popen(
            [str(python), str(MODELS), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | quiet,
            start_new_session=True,
        )

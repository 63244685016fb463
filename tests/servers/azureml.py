"""The real AzureML inference server on loopback, with the scoring script beside this file.

`azureml-inference-server-http` pins packages that others want newer, so it lives in a virtual environment of its own,
made on first use and kept: `.azureml/` in the checkout, or where `ONNXHYBRID_AZUREML_VENV` says.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests import environments
from tests.servers.process import stop, wait_until_ready

SCRIPT = Path(__file__).parent / "score.py"

# Its own command listens on all interfaces; nothing else about it is changed.
_LAUNCH = "from azureml_inference_server_http import amlserver; amlserver.DEFAULT_HOST = '127.0.0.1'; amlserver.run()"


@contextlib.contextmanager
def serve(port: int, script: Path = SCRIPT) -> Iterator[str]:
    """Run the server with a scoring script until the block ends; gives the scoring URI.

    Raises:
        InstallationError: it could not be installed.
        ServerError: it was not ready in time.
    """
    path = Path(os.environ.get("ONNXHYBRID_AZUREML_VENV") or Path(__file__).parents[2] / ".azureml")
    python = environments.environment(path, "azureml")
    with tempfile.TemporaryDirectory(prefix="azureml-") as folder:
        log = Path(folder) / "server.log"
        process = _spawn(python, script, port, Path(folder), log)
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}/score"
        finally:
            stop(process)


def _spawn(python: Path, script: Path, port: int, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    arguments = ["--entry_script", str(script), "--port", str(port), "--worker_count", "1"]
    with open(log, "wb") as output:
        return subprocess.Popen(
            [str(python), "-c", _LAUNCH, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            | {"HOME": str(folder), "AML_APP_ROOT": str(script.parent)},  # as AzureML names the code's folder
            start_new_session=True,  # so that its workers end with it
        )

"""The real AzureML inference server on loopback, with the scoring script beside this file.

`azureml-inference-server-http` pins packages that others want newer, so it lives in a virtual environment of its own,
made on first use and kept: `.azureml/` in the checkout, or where `ONNXHYBRID_AZUREML_VENV` says.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests import environments

SCRIPT = Path(__file__).parent / "score.py"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

# Its own command listens on all interfaces; nothing else about it is changed.
_LAUNCH = "from azureml_inference_server_http import amlserver; amlserver.DEFAULT_HOST = '127.0.0.1'; amlserver.run()"


class ServerError(RuntimeError):
    """The server did not start; the message ends with its log."""


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
            _wait_until_ready(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}/score"
        finally:
            _stop(process)


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


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    # A proxy of the environment has no business between two ends of one machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError), opener.open(url, timeout=1):
            return
        time.sleep(0.05)
    raise ServerError(f"the AzureML server did not become ready; its log:\n{log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server gently, then the whole of its process group in any case."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

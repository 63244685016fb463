"""The real AzureML inference server on loopback, with the scoring script beside this file.

`azureml-inference-server-http` pins packages that others want newer, so it lives in a virtual environment of its own,
made on first use and kept: `.azureml/` in the checkout, or where `ONNXHYBRID_AZUREML_VENV` says.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

REQUIREMENTS = ("azureml-inference-server-http==1.5.1", "numpy", "onnxruntime")
"""The server, and what scoring scripts import."""

WITHOUT_DEPENDENCIES = "tokenizers>=0.20,<1"
"""What the sample's scoring script imports; what it declares beside is for downloads."""

_INSTALLED = ("azureml_inference_server_http", "numpy", "onnxruntime")
SCRIPT = Path(__file__).parent / "score.py"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

# Its own command listens on all interfaces; nothing else about it is changed.
_LAUNCH = "from azureml_inference_server_http import amlserver; amlserver.DEFAULT_HOST = '127.0.0.1'; amlserver.run()"


class ServerError(RuntimeError):
    """The server could not be installed or did not start; the message ends with its log."""


@contextlib.contextmanager
def serve(port: int, script: Path = SCRIPT) -> Iterator[str]:
    """Run the server with a scoring script until the block ends; gives the scoring URI.

    Raises:
        ServerError: it could not be installed, or was not ready in time.
    """
    python = _prepared()
    with tempfile.TemporaryDirectory(prefix="azureml-") as folder:
        log = Path(folder) / "server.log"
        process = _spawn(python, script, port, Path(folder), log)
        try:
            _wait_until_ready(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}/score"
        finally:
            _stop(process)


def _prepared() -> Path:
    """The interpreter of the server's environment; processes that start together wait for each other."""
    import fcntl  # where there is none, the server does not run either

    path = Path(os.environ.get("ONNXHYBRID_AZUREML_VENV") or Path(__file__).parents[2] / ".azureml")
    path.mkdir(parents=True, exist_ok=True)
    python = path / "bin" / "python"
    with open(path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # pip writes a distribution's RECORD last
        records = (f"lib/python3*/site-packages/{name}-*.dist-info/RECORD" for name in _INSTALLED)
        if not all(any(path.glob(record)) for record in records):
            print(f"installing the AzureML server into {path} (once) …", file=sys.stderr, flush=True)
            _checked(sys.executable, "-m", "venv", "--clear", str(path))
            _checked(str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS)
        if not any(path.glob("lib/python3*/site-packages/tokenizers-*.dist-info/RECORD")):
            _checked(str(python), "-m", "pip", "install", "--quiet", "--no-deps", WITHOUT_DEPENDENCIES)
    return python


def _checked(*command: str) -> None:
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        raise ServerError(f"`{' '.join(command)}` failed:\n{result.stdout}")


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

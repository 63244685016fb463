"""The real Triton server on loopback, for tests and benchmarks.

The `nvidia-pytriton` wheel carries the server's binary and its Python backend. It lives in a virtual environment of its
own, made on first use and kept: `.triton/` in the checkout, or where `ONNXHYBRID_TRITON_VENV` says. By hand:

    python -m tests.servers.triton                # prints the addresses and runs until it is interrupted
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import environments
from tests.servers.process import ServerError, free_ports, stop

MODELS = Path(__file__).parent / "models"
_LOCK = "triton"
GLIBC = (2, 35)
# Those that numpy 1.26 has wheels for: the backend is built for the first series of numpy.
INTERPRETERS = ((3, 12), (3, 11), (3, 10))
START_SECONDS = 60.0
STOP_SECONDS = 15.0
ATTEMPTS = 3


@dataclass(frozen=True)
class TritonServer:
    """A running server: where it listens, and the file of its log."""

    http_url: str
    grpc_url: str
    log: Path


@functools.cache
def unsupported() -> str | None:
    """Say why the server cannot run on this machine; None where it can."""
    here = f"{platform.system()} {platform.machine()}"
    if here != "Linux x86_64":
        return f"its wheel is for Linux x86_64, and this is {here}"
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split("."))) < GLIBC:
        return f"its wheel needs glibc {_dotted(GLIBC)} or later, and this is {library} {version}"
    if not _Environment(venv_path()).is_complete and find_interpreter() is None:
        versions = " or ".join(map(_dotted, INTERPRETERS))
        return f"its backend needs Python {versions} with its venv module and shared library (libpython)"
    return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


@contextlib.contextmanager
def serve(models: Path = MODELS) -> Iterator[TritonServer]:
    """Run the server with a model repository until the block ends; no process of it is left behind.

    Raises:
        InstallationError: it could not be installed.
        ServerError: it was not ready in time.

    """
    environment = _Environment(venv_path())
    environment.prepare()
    with tempfile.TemporaryDirectory(prefix="triton-") as folder:
        process, server = _start(environment, models, Path(folder) / "server.log")
        try:
            yield server
        finally:
            stop(process, STOP_SECONDS)


def venv_path() -> Path:
    """The folder of the server's own virtual environment."""
    return Path(os.environ.get("ONNXHYBRID_TRITON_VENV") or Path(__file__).parents[2] / ".triton")


@dataclass(frozen=True)
class _Environment:
    """The virtual environment that the wheel is installed in."""

    path: Path

    @property
    def site(self) -> Path:
        return next(self.path.glob("lib/python3*/site-packages"))

    @property
    def server(self) -> Path:
        return self.site / "pytriton" / "tritonserver"

    @property
    def is_complete(self) -> bool:
        return environments.is_filled(self.path, _LOCK)

    def prepare(self) -> None:
        """Install what is not there yet, 370 MB; processes that start together wait for each other."""
        python = sys.executable if self.is_complete else find_interpreter()
        if python is None:
            raise ServerError(f"the Triton server cannot run here: {unsupported()}")
        environments.environment(self.path, _LOCK, python)
        with environments.alone(self.path):
            self._place_stub()

    def _place_stub(self) -> None:
        """Put the backend's process for this interpreter where the server looks for it."""
        version = self.site.parent.name.removeprefix("python")
        stub = self.server / "backends" / "python" / "triton_python_backend_stub"
        if not stub.exists():
            shutil.copy(self.server / "python_backend_stubs" / version / stub.name, stub)
        for program in (stub, self.server / "bin" / "tritonserver"):
            program.chmod(0o755)

    def variables(self) -> dict[str, str]:
        """Environment variables of the server's process."""
        interpreter = (self.path / "bin" / "python").resolve()
        python = interpreter.parents[1] / "lib"  # its shared library, which the backend's process loads
        libraries = (self.site / "nvidia_pytriton.libs", self.server / "external_libs", python)
        return os.environ | {
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "PYTHONPATH": str(self.site),
            "PATH": f"{self.path / 'bin'}:{os.environ.get('PATH', '')}",
        }


def find_interpreter() -> str | None:
    """Find a Python that the server's backend supports, this one before others; None where there is none."""
    names = [f"python{_dotted(version)}" for version in INTERPRETERS]
    here = [sys.executable] if sys.version_info[:2] in INTERPRETERS else []
    return next((python for python in [*here, *map(shutil.which, names)] if python and _is_suitable(python)), None)


# A version manager's placeholder does not run; a system's Python may lack its venv module or its shared library.
_PROBE = """
import ctypes, os, sys, venv, ensurepip
name = "libpython%d.%d.so.1.0" % sys.version_info[:2]
beside = os.path.join(sys.base_prefix, "lib", name)
ctypes.CDLL(beside if os.path.exists(beside) else name)
"""


def _is_suitable(python: str) -> bool:
    return subprocess.run([python, "-c", _PROBE], capture_output=True, check=False).returncode == 0


def _start(environment: _Environment, models: Path, log: Path) -> tuple[subprocess.Popen[bytes], TritonServer]:
    """Start on free ports. Another process may take one before the server does, so a lost race is tried again."""
    for _ in range(ATTEMPTS):
        http, grpc = free_ports(2)
        server = TritonServer(f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}", log)
        process = _spawn(environment, models, server)
        try:
            if _wait_until_ready(process, server.http_url):
                return process, server
        except BaseException:
            stop(process, STOP_SECONDS)
            raise
        stop(process, STOP_SECONDS)
        said = log.read_text(errors="replace")
        if "already in use" not in said:
            break
    raise ServerError(f"the Triton server did not become ready; its log:\n{said}")


def _spawn(environment: _Environment, models: Path, server: TritonServer) -> subprocess.Popen[bytes]:
    command = [
        str(environment.server / "bin" / "tritonserver"),
        f"--model-repository={models}",
        f"--backend-directory={environment.server / 'backends'}",
        "--http-address=127.0.0.1",
        f"--http-port={server.http_url.rpartition(':')[2]}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={server.grpc_url.rpartition(':')[2]}",
        "--allow-metrics=false",
        "--exit-timeout-secs=5",
    ]
    with open(server.log, "wb") as output:
        # A session of its own, so that the backend's processes end with the server.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment.variables(),
            start_new_session=True,
        )


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """Poll the server's health; False when it ended or the deadline has passed."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _is_ready(url):
            return True
        time.sleep(0.05)
    return False


def _is_ready(url: str) -> bool:
    # A proxy of the environment has no business between two ends of one machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/v2/health/ready", timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    """Run the server until it is interrupted."""
    with serve() as server:
        print(f"HTTP {server.http_url}  gRPC {server.grpc_url}  log {server.log}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()

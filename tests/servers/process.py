"""A server that tests run as a process of its own: waiting until it answers, and ending it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class ServerError(RuntimeError):
    """The server did not start; the message ends with its log."""


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many ports of loopback that nobody listens at, each another."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return once `url` is answered.

    Raises:
        ServerError: the process ended, or did not answer in time.
    """
    # A proxy of the environment has no business between two ends of one machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError), opener.open(url, timeout=1):
            return
        time.sleep(0.05)
    raise ServerError(f"{url} did not become ready; its server's log:\n{log.read_text(errors='replace')}")


def stop(process: subprocess.Popen[bytes], seconds: float = STOP_SECONDS) -> None:
    """End the server gently, which it has some seconds for, then the whole of its process group in any case."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

"""The endpoint in a process of its own, whose memory and descriptors can be looked at, and raw requests to it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

import onnxhybrid as oh

PROGRAM = """
import json, resource, sys
import onnxhybrid as oh
descriptors, options, *pairs = sys.argv[1:]
if int(descriptors):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors),) * 2)
with oh.endpoint.serve(dict(pair.split("=", 1) for pair in pairs), **json.loads(options)) as endpoint:
    print(endpoint.url, flush=True)
    sys.stdin.read()
"""


@final
class Process:
    """A process that serves."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self._folder = Path(f"/proc/{number}")

    def peak(self, work: Callable[[], object]) -> int:
        """The bytes by which its memory grew while work was done."""
        (self._folder / "clear_refs").write_text("5")  # the peak is what it is now
        before = self._memory("VmRSS")
        work()
        return self._memory("VmHWM") - before

    def held(self) -> int:
        """The bytes of memory that it has."""
        return self._memory("VmRSS")

    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return sum(1 for _ in (self._folder / "fd").iterdir())

    def _memory(self, key: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


@contextlib.contextmanager
def serving(folder: Path, models: Mapping[str, oh.Model], descriptors: int = 0, **options: object) -> Iterator[Process]:
    """Serve models from a process that may have so many descriptors (0: as many as this one)."""
    for name, model in models.items():
        model.save(folder / f"{name}.onnx")
    pairs = [f"{name}={folder / name}.onnx" for name in models]
    command = [sys.executable, "-c", PROGRAM, str(descriptors), json.dumps(options), *pairs]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        url = running.stdout.readline().strip()
        yield Process(url, running.pid)
        running.stdin.close()


def connect(url: str) -> socket.socket:
    """A connection that waits for twenty seconds at most."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def answer_to(url: str, sent: bytes) -> bytes:
    """All that comes for these bytes until the endpoint ends the connection."""
    with connect(url) as connection:
        connection.sendall(sent)
        return connection.makefile("rb").read()


def head(method: str, target: str, *headers: str, version: str = "1.1") -> bytes:
    """A request's head, after which the connection ends."""
    lines = [f"{method} {target} HTTP/{version}", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")

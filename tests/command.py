"""The command line, as somebody types it: in this process, or as a program of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass

from onnxhybrid.cli import main

PROGRAM = [sys.executable, "-m", "onnxhybrid"]


@dataclass(frozen=True)
class Ended:
    """What a command line came to: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def typed(*words: object) -> Ended:
    """Run the command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ended(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def started(*words: object, **variables: str) -> Ended:
    """Run it as a program."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)

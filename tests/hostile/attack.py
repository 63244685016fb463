"""A program that does everything with hostile files, from a number on: attack.py FOLDER FIRST STEP [NAME].

Without arguments it does so with each file whose path it is told in a line, and says END after each. It tells what it
is about to do, so that whoever started it knows what ended it.
"""

from __future__ import annotations

import faulthandler
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import onnxhybrid as oh
from tests.hostile.cases import corpus
from tests.hostile.operations import OF_A_FILE, OF_A_MODEL

SECONDS = 60
"""Time of the processor for one operation, all threads together; a sound one takes milliseconds."""

PATIENCE = 400
"""Seconds for one operation that does nothing but wait, however busy the machine is."""

MEMORY = 4 << 30


def done(work: Callable[[], object]) -> str:
    """How an operation ended: nothing where it did, or failed with a code."""
    try:
        work()
    except oh.Error:
        return ""
    except (MemoryError, Exception):  # noqa: BLE001  # this is what is looked for
        return traceback.format_exc()
    return ""


def attacked(path: Path, name: str) -> None:
    model: list[oh.Model] = []
    for operation, of_file in OF_A_FILE.items():
        step(name, operation, lambda of_file=of_file: of_file(path))  # type: ignore[misc]
    done(lambda: model.append(oh.load(path)))
    for operation, of_model in OF_A_MODEL.items() if model else ():
        step(name, operation, lambda of_model=of_model: of_model(model[0]))  # type: ignore[misc]


def step(name: str, operation: str, work: Callable[[], object]) -> None:
    print(f"BEGIN {name} | {operation}", flush=True)
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # whose signal ends the process
    start = time.monotonic()
    problem = done(work)
    signal.setitimer(signal.ITIMER_PROF, 0)
    faulthandler.cancel_dump_traceback_later()
    if problem:
        print(f"FAULT {name} | {operation} | {problem!r}", flush=True)
    if (took := time.monotonic() - start) > 3:
        print(f"SLOW {name} | {operation} | {took:.1f}", flush=True)


def bound() -> None:
    """Hold the process to its limits."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve() -> None:
    bound()
    for line in sys.stdin:
        attacked(Path(line.rstrip("\n")), "file")
        print("END", flush=True)


def main(folder: Path, first: int, stride: int, only: str | None = None) -> None:
    bound()
    for number, (name, make) in enumerate(corpus()):
        if number < first or (number - first) % stride or (only and name != only):
            continue
        print(f"CASE {number}", flush=True)
        place = folder / str(number)
        place.mkdir()
        make(place / "m.onnx")
        attacked(place / "m.onnx", name)
        shutil.rmtree(place, ignore_errors=True)
    print("END", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:5]) if sys.argv[1:] else serve()

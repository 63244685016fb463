"""Runs a list of a set of hybrids (tests/bindings/__init__.py) in plain sessions, without the package of the library.

python run.py LIBRARY SET LIST OUT
"""

from __future__ import annotations

import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

Array = npt.NDArray[Any]
TYPES: dict[int, type] = {1: np.float32, 2: np.uint8, 7: np.int64, 9: np.bool_, 10: np.float16}
"""Element types by their number in ONNX; texts have 8."""
TEXT = 8

LIBRARY, SET, LIST, OUT = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])


class Given:
    """What the next session is given."""

    def __init__(self) -> None:
        self.inputs: dict[str, Array] = {}
        self.defaults: dict[str, Array] = {}
        self.entries: dict[str, str] = {}


def tensor(element: str, sizes: str, file: str) -> Array:
    """The tensor of a line."""
    shape, data = [int(size) for size in sizes.split(",") if size], (SET / file).read_bytes()
    if int(element) != TEXT:
        return np.frombuffer(data, TYPES[int(element)]).reshape(shape)
    texts = []
    while data:
        (length,) = struct.unpack_from("<i", data)
        texts.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return np.array(texts, object).reshape(shape)


def job(model: str, folder: str, given: Given) -> None:
    """Run a session, and write what comes out or what went wrong."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    kept = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in given.defaults.items()}
    try:
        for key, value in given.entries.items():
            options.add_session_config_entry(key, value)
        for name, value in kept.items():
            options.add_initializer(name, value)
        options.register_custom_ops_library(LIBRARY)
        session = onnxruntime.InferenceSession(SET / model, options, providers=["CPUExecutionProvider"])
        found = session.run(None, given.inputs)
    except Exception as problem:  # noqa: BLE001  # each kind that ONNX Runtime has
        (OUT / folder / "error").write_text(str(problem), encoding="utf-8")
        return
    lines = [written(OUT / folder, at, *each) for at, each in enumerate(zip(session.get_outputs(), found, strict=True))]
    (OUT / folder / "outputs").write_text("".join(lines), encoding="utf-8")


def written(folder: Path, at: int, output: Any, value: Array) -> str:
    """Write an output into a file; gives its line."""
    if value.dtype == object:
        texts = [text.encode() for text in value.ravel()]
        element, data = TEXT, b"".join(struct.pack("<i", len(text)) + text for text in texts)
    else:
        element, data = next(number for number, kind in TYPES.items() if value.dtype == kind), value.tobytes()
    (folder / str(at)).write_bytes(data)
    return f"{output.name}\t{element}\t{','.join(map(str, value.shape))}\t{at}\n"


def together(model: str, folder: str, given: Given, count: int) -> None:
    """The same on so many threads."""
    threads = [threading.Thread(target=job, args=(model, f"{folder}/{number}", given)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Do what the lines say."""
    given = Given()
    for line in (SET / LIST).read_text(encoding="utf-8").splitlines():
        verb, *cells = line.split("\t")
        if verb in {"input", "default"}:
            (given.inputs if verb == "input" else given.defaults)[cells[0]] = tensor(*cells[1:])
            continue
        if verb == "entry":
            given.entries[cells[0]] = cells[1].replace("{set}", sys.argv[2])
            continue
        if verb == "leave":
            threading.Thread(target=job, args=(*cells, given), daemon=True).start()
            sys.stdin.readline()
            return
        if verb == "together":
            together(cells[0], cells[1], given, int(cells[2]))
        else:
            job(cells[0], cells[1], given)
        given = Given()


if __name__ == "__main__":
    main()

"""Run by the interpreter of a release: the lists of a set of hybrids, as tests/bindings/__init__.py has them.

running.py LIBRARY SET LIST OUT
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

_STRING = 8
_TYPES: dict[int, Any] = dict(
    zip(
        (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13),
        map(np.dtype, ("f4", "u1", "i1", "u2", "i2", "i4", "i8", "?", "f2", "f8", "u4", "u8")),
        strict=True,
    )
)
_NUMBERS = {kind: number for number, kind in _TYPES.items()}


def read(folder: Path, element_type: str, sizes: str, file: str) -> Any:
    """A tensor of a list."""
    shape = [int(size) for size in sizes.split(",") if size]
    data = (folder / file).read_bytes()
    if int(element_type) != _STRING:
        return np.frombuffer(data, _TYPES[int(element_type)]).reshape(shape)
    found = []
    while data:
        (length,) = struct.unpack_from("<i", data)
        found.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return np.array(found, object).reshape(shape)


def write(folder: Path, names: list[str], values: list[Any]) -> None:
    """The outputs of a run."""
    lines = []
    for position, (name, given) in enumerate(zip(names, values, strict=True)):
        value = np.asarray(given)
        is_text = value.dtype.kind in "OUS"
        texts = [text.encode() for text in value.ravel()] if is_text else []
        packed = b"".join(struct.pack("<i", len(text)) + text for text in texts)
        (folder / str(position)).write_bytes(packed if is_text else value.tobytes())
        number = _STRING if is_text else _NUMBERS[value.dtype]
        lines.append(f"{name}\t{number}\t{','.join(map(str, value.shape))}\t{position}\n")
    (folder / "outputs").write_text("".join(lines), encoding="utf-8")


class Given:
    """What the lines before a run say."""

    def __init__(self) -> None:
        self.feeds: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        self.entries: dict[str, str] = {}

    def run(self, library: str, model: Path, folder: Path) -> None:
        """Run a model once in a session of its own, and write what came out or what went wrong."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        for key, text in self.entries.items():
            options.add_session_config_entry(key, text)
        kept = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in self.defaults.items()}
        for name, value in kept.items():  # the options do not keep them
            options.add_initializer(name, value)
        try:
            options.register_custom_ops_library(library)
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            write(folder, [output.name for output in session.get_outputs()], session.run(None, self.feeds))
        except Exception as error:  # noqa: BLE001  # the classes of onnxruntime's errors have no base of their own
            (folder / "error").write_text(str(error), encoding="utf-8")


def main(library: str, root: Path, listed: str, out: Path) -> None:
    """Do what the lines of a list say, one after the other."""
    given = Given()
    for line in (root / listed).read_text(encoding="utf-8").splitlines():
        verb, *cells = line.split("\t")
        if verb in ("input", "default"):
            into = given.feeds if verb == "input" else given.defaults
            into[cells[0]] = read(root, *cells[1:])
        elif verb == "entry":
            given.entries[cells[0]] = cells[1].replace("{set}", str(root))
        else:
            perform(verb, given, library, root / cells[0], out / cells[1], cells[2:])
            given = Given()


def perform(verb: str, given: Given, library: str, model: Path, folder: Path, rest: list[str]) -> None:
    """One line that runs something."""
    folders = [folder / str(number) for number in range(int(rest[0]))] if rest else [folder]
    threads = [threading.Thread(target=given.run, args=(library, model, each), daemon=True) for each in folders]
    for thread in threads:
        thread.start()
    if verb == "leave":
        sys.stdin.readline()
        os._exit(0)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    onnxruntime.set_default_logger_severity(4)
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))

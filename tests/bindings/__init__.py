"""Files of `oh` run by other bindings of ONNX Runtime, whose programs know the operator library and nothing of Python.

A set is a folder (`hybrids.py` and `given.py` say what is in it, `python -m tests.bindings FOLDER` makes one). A
program is started as

    PROGRAM ONNXRUNTIME LIBRARY SET LIST OUT

where the first two are shared libraries (Java has no first), and LIST is a file of the set: lines of cells with tabs
between, whose paths are below SET.

    input    NAME  ELEMENT_TYPE  SIZES  FILE    what the next run is fed; sizes have commas between
    default  NAME  ELEMENT_TYPE  SIZES  FILE    what the next session takes for an initializer (AddInitializer)
    entry    KEY   VALUE                        a configuration entry of the next session; `{set}` in it stands for SET
    run      MODEL FOLDER                       opens a session and runs it; FOLDER is there, below OUT
    together MODEL FOLDER  COUNT                the same on so many threads at once, each with its own session; their
                                                results are in FOLDER/0, FOLDER/1 …
    leave    MODEL FOLDER                       runs on a thread, reads a line from its input, and ends with status 0
                                                without waiting for the run

For each output of a run OUT/FOLDER/outputs has a line NAME ELEMENT_TYPE SIZES FILE, whose file is below OUT/FOLDER.
Where a session or its run fails OUT/FOLDER/error has the message. What comes out as it should is in
SET/expected/FOLDER, in the same form, but that an error is the code alone.

An element type is its number in ONNX. A file has a tensor's bytes, little-endian; of texts each with its length before
it, four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

Array = npt.NDArray[Any]


def write(folder: Path, name: str, tensors: Mapping[str, Array], *, root: Path) -> Iterator[str]:
    """Write tensors as files of the folder; gives a line of a list for each, whose file is below the root."""
    folder.mkdir(parents=True, exist_ok=True)
    for position, (tensor, value) in enumerate(tensors.items()):
        file = folder / f"{name}{position}"
        file.write_bytes(_bytes(value))
        sizes = ",".join(map(str, value.shape))
        yield f"{tensor}\t{_element_type(value)}\t{sizes}\t{file.relative_to(root).as_posix()}\n"


def outputs(folder: Path) -> dict[str, Array]:
    """What a program wrote into the folder of a run.

    Raises:
        RuntimeError: the run failed; the message is the binding's.
    """
    error = folder / "error"
    if error.exists():
        raise RuntimeError(error.read_text(encoding="utf-8"))
    lines = (folder / "outputs").read_text(encoding="utf-8").splitlines()
    return dict(_output(folder, *line.split("\t")) for line in lines)


def _output(folder: Path, name: str, element_type: str, sizes: str, file: str) -> tuple[str, Array]:
    shape = [int(size) for size in sizes.split(",") if size]
    data = (folder / file).read_bytes()
    if int(element_type) == TensorProto.STRING:
        return name, np.array(_texts(data), object).reshape(shape)
    return name, np.frombuffer(data, helper.tensor_dtype_to_np_dtype(int(element_type))).reshape(shape)


def _element_type(tensor: Array) -> int:
    return TensorProto.STRING if tensor.dtype == object else helper.np_dtype_to_tensor_dtype(tensor.dtype)


def _bytes(tensor: Array) -> bytes:
    if tensor.dtype != object:
        return tensor.tobytes()
    texts = [text.encode() for text in tensor.ravel()]
    return b"".join(struct.pack("<i", len(text)) + text for text in texts)


def _texts(data: bytes) -> list[str]:
    found = []
    while data:
        (length,) = struct.unpack_from("<i", data)
        found.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return found

"""Files of `oh` run by other bindings of ONNX Runtime: a plain session that knows the library and nothing of Python.

A program runs all jobs of a list, one after the other, in one process. The list is lines of cells with tabs between:

    input  NAME  ELEMENT_TYPE  SIZES  FILE      what the next model is fed; sizes have commas between
    run    MODEL  FOLDER                        runs it; for each output FOLDER/outputs has a line as of an input

An element type is its number in ONNX. A file has a tensor's bytes, little-endian; of texts each with its length before
it, four bytes. Where a run fails FOLDER/error has the message.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Job:
    """A file, what it is fed, and the folder of what comes out."""

    model: Path
    feeds: Mapping[str, Array]
    folder: Path


def write(jobs: Sequence[Job], path: Path) -> Path:
    """Write the list of jobs, and the files of their inputs; gives the list's path."""
    lines = []
    for job in jobs:
        job.folder.mkdir(parents=True)
        for position, (name, tensor) in enumerate(job.feeds.items()):
            file = job.folder / f"input{position}"
            file.write_bytes(_bytes(tensor))
            sizes = ",".join(map(str, tensor.shape))
            lines.append(f"input\t{name}\t{_element_type(tensor)}\t{sizes}\t{file}\n")
        lines.append(f"run\t{job.model}\t{job.folder}\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


def outputs(job: Job) -> dict[str, Array]:
    """What came out.

    Raises:
        RuntimeError: the run failed; the message is the binding's.
    """
    error = job.folder / "error"
    if error.exists():
        raise RuntimeError(error.read_text(encoding="utf-8"))
    lines = (job.folder / "outputs").read_text(encoding="utf-8").splitlines()
    return dict(_output(*line.split("\t")) for line in lines)


def _output(name: str, element_type: str, sizes: str, file: str) -> tuple[str, Array]:
    shape = [int(size) for size in sizes.split(",") if size]
    data = Path(file).read_bytes()
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

"""Reads arrays from files: .npy, .npz, .json, .wav, .png, .jpg, and whatever is sent as bytes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.feeds.picture import picture
from onnxhybrid.feeds.sound import samples
from onnxhybrid.model import TensorSpec

Array = npt.NDArray[Any]


def read(path: str | os.PathLike[str], spec: TensorSpec) -> Array:
    """The array in a file, in the form that an input takes.

    Args:
        path: `.npy`; `.npz` with the input's name, or one array alone; `.json`, nested lists; `.wav`, whose samples are
            float32 from -1 to 1, or whole numbers for an input of whole numbers; `.png`, `.jpg`, `.jpeg`, whose
            channels and layout are those of the input, from 0 to 1 for an input of floats. For an input
            uint8["bytes"] of one axis any other file, and these of sounds and pictures, give their own bytes; for one
            of texts a `.txt` file gives its text.
        spec: the input.

    Raises:
        Error: OH701, the file cannot be read, or holds no such array; OH551, pictures need Pillow.
    """
    file = Path(path)
    ending = file.suffix.lower()
    try:
        if stat.S_ISCHR(file.stat().st_mode) or stat.S_ISBLK(file.stat().st_mode):
            raise ValueError("it is a device, which need not end")
        data = file.read_bytes()
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise Error("OH701", f"{path} cannot be read: {reason}") from None
    if ending not in (".npy", ".npz", ".json") and spec.dtype == "uint8" and len(spec.shape or ()) == 1:
        return np.frombuffer(data, np.uint8)
    if ending == ".txt" and spec.dtype == "str":
        return np.array([_text(data, path)], object)
    if ending not in _READERS:
        known = ", ".join(_READERS)
        raise Error("OH701", f"{path} is none of {known}, and {spec} takes no bytes of a file as they are")
    return _READERS[ending](data, str(path), spec)


def _text(data: bytes, path: object) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise Error("OH701", f"{path} is no text in UTF-8: byte {problem.start} is none") from None


def _numpy(data: bytes, path: str, spec: TensorSpec) -> Array:
    from io import BytesIO

    try:
        loaded = np.load(BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = loaded.files
        if spec.name not in names and len(names) != 1:
            told = ", ".join(names) or "nothing"
            raise Error("OH701", f"{path} holds {told}, and no array called {spec.name!r}")
        array: Array = loaded[spec.name if spec.name in names else names[0]]
    except Error:
        raise
    except Exception as problem:  # noqa: BLE001  # numpy and zipfile raise many kinds for what is no array
        raise Error("OH701", f"{path} holds no array: {problem}") from None
    return array


def json_array(value: Any, source: str) -> Array:
    """The array of nested lists, as JSON has them.

    Args:
        value: numbers, texts or bools of one kind, in lists of one length a level.
        source: where they come from, for messages.

    Raises:
        Error: OH701, they are none.
    """
    kinds = set(_kinds(value))
    if len(kinds) > 1 or not kinds <= {"bool", "number", "text"}:
        told = " and ".join(sorted(kinds))
        raise Error("OH701", f"{source} holds {told}; an array has numbers, texts or bools of one kind")
    try:
        array = np.array(value, dtype=object if kinds == {"text"} else None)
    except (ValueError, OverflowError) as problem:
        raise Error("OH701", f"{source} is no array: its lists differ in length ({problem})") from None
    if array.dtype == object and kinds != {"text"}:
        raise Error("OH701", f"{source} holds a number of more than 64 bits")
    if kinds == {"text"} and any(isinstance(each, list) for each in array.ravel()):
        raise Error("OH701", f"{source} is no array: its lists differ in length")
    return array


def _kinds(value: Any) -> list[str]:
    pending, found = [value], []
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending += each
        else:
            kinds = {bool: "bool", int: "number", float: "number", str: "text", dict: "an object", type(None): "null"}
            found.append(kinds[type(each)])
    return found


def _json(data: bytes, path: str, spec: TensorSpec) -> Array:
    try:
        value = json.loads(_text(data, path))
    except (ValueError, RecursionError) as problem:
        raise Error("OH701", f"{path} is no JSON: {problem}") from None
    if isinstance(value, dict):
        if spec.name not in value:
            raise Error("OH701", f"{path} holds {', '.join(value) or 'nothing'}, and nothing called {spec.name!r}")
        value = value[spec.name]
    return json_array(value, path)


_READERS: dict[str, Callable[[bytes, str, TensorSpec], Array]] = {
    ".npy": _numpy,
    ".npz": _numpy,
    ".json": _json,
    ".wav": samples,
    ".png": picture,
    ".jpg": picture,
    ".jpeg": picture,
}

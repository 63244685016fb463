"""The answers of a remote in a file, so that no row is asked twice: a stopped calibration goes on from it.

The file is text: a head, then a line for each call, written whole when its answer is there. A line that a stopped
process left unfinished is no line, and its rows are asked again, as are those whose call failed: they are not kept.
Rows are known by a hash of what is fed, so that other labels, another order and further rows find what was asked.
"""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.row_keys import SIZE
from onnxhybrid.errors import Error
from onnxhybrid.model.dtypes import dtype_name, numpy_dtype
from onnxhybrid.model.json_object import json_object
from onnxhybrid.runtime.exclusive import is_taken

Array = npt.NDArray[Any]
Keys = list[bytes]

_HEAD = "onnxhybrid.calibration"
_MERGED = 1 << 16


@final
class Record:
    """A file of answers. Hold it open for one calibration at a time.

    Args:
        path: the file; made where there is none.
        remote: a hash of what is asked. A file that holds the answers of something else is refused.

    Raises:
        Error: OH610, the file cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str], remote: str) -> None:
        self._path = Path(path)
        self._keys = np.empty(0, np.uint64)
        self._places = np.empty((0, 2), np.int64)
        self._fresh: dict[int, tuple[int, int]] = {}
        self._last: tuple[int, tuple[Keys, Array]] | None = None
        try:
            self._file = open(self._path, "r+b" if self._path.exists() else "x+b")  # noqa: SIM115
        except OSError as problem:
            raise Error("OH610", f"the record {self._path} cannot be opened: {problem.strerror}") from None
        try:
            self._require_alone()
            self._open(remote)
        except OSError as problem:
            self._file.close()
            raise Error("OH610", f"the record {self._path} cannot be used: {problem.strerror}") from None
        except BaseException:
            self._file.close()
            raise

    def _require_alone(self) -> None:
        """Check that no other calibration holds the file open, where the system can tell."""
        if is_taken(self._file):
            raise Error(
                "OH610", f"the record {self._path} is in use by another calibration; wait for it, or name another file"
            )

    def _open(self, remote: str) -> None:
        head = {"format": _HEAD, "version": 1, "remote": remote}
        first = self._file.readline()
        if not first.endswith(b"\n"):  # new, or stopped before the head was there
            if not json.dumps(head).encode().startswith(first):
                raise Error("OH610", f"{self._path} is no record of a calibration; name another file")
            self._write_head(head)
            return
        told = json_object(first)
        if told is None or told.get("format") != _HEAD or told.get("version") != 1:
            raise Error("OH610", f"{self._path} is no record of a calibration; name another file")
        if told.get("remote") != remote:
            raise Error(
                "OH610",
                f"the record {self._path} holds the answers of another remote, or of another output; name another "
                "file, or calibrate what it was made with",
            )
        self._read(self._file.tell())

    def _write_head(self, head: dict[str, object]) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(head).encode() + b"\n")
        self._file.flush()

    def _read(self, offset: int) -> None:
        """Learn where the answers are, and drop a last line that is not whole. One that is damaged is no line."""
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            if (keys := _keys(json_object(line))) is not None:
                self._learn(keys, offset)
            offset += len(line)
        self._file.seek(offset)
        self._file.truncate()

    def _learn(self, keys: Keys, offset: int) -> None:
        for row, key in enumerate(_short(keys)):
            self._fresh.setdefault(key, (offset, row))
        if len(self._fresh) > _MERGED:
            merged = np.concatenate([self._keys, np.fromiter(self._fresh, np.uint64, len(self._fresh))])
            places = np.concatenate([self._places, np.array(list(self._fresh.values()), np.int64)])
            order = np.argsort(merged, kind="stable")
            self._keys, self._places = merged[order], places[order]
            self._fresh = {}

    def found(self, keys: Keys) -> list[Array | None]:
        """The recorded answer of each row; None for one that has to be asked."""
        short = _short(keys)
        at = np.searchsorted(self._keys, np.array(short, np.uint64)).tolist()
        return [self._found(*each) for each in zip(keys, short, at, strict=True)]

    def _found(self, key: bytes, short: int, at: int) -> Array | None:
        place = self._fresh.get(short)
        if place is None:
            if at == len(self._keys) or int(self._keys[at]) != short:
                return None
            place = int(self._places[at, 0]), int(self._places[at, 1])
        keys, answers = self._line(place[0])
        answer: Array = answers[place[1]]
        return answer if keys[place[1]] == key else None

    def _line(self, offset: int) -> tuple[Keys, Array]:
        if self._last is None or self._last[0] != offset:
            self._file.seek(offset)
            told = json_object(self._file.readline())
            keys = _keys(told)
            answers = None if told is None else _answers(told)
            if keys is None or answers is None or len(answers) != len(keys):
                raise Error("OH610", f"the record {self._path} is damaged: a line holds other answers than it says")
            self._last = offset, (keys, answers)
        return self._last[1]

    def keep(self, keys: Keys, answers: Array) -> None:
        """Write the answers of a call, one along axis 0 for each key; they are in the file when this returns.

        Raises:
            Error: OH610, the system refused.
        """
        line = json.dumps({"rows": b"".join(keys).hex(), **_written(answers)}).encode() + b"\n"
        try:
            offset = self._file.seek(0, os.SEEK_END)
            self._file.write(line)
            self._file.flush()
        except OSError as problem:
            raise Error("OH610", f"the record {self._path} cannot be written: {problem.strerror}") from None
        self._learn(keys, offset)

    def close(self) -> None:
        """Let go of the file."""
        with suppress(OSError):
            self._file.close()


def _short(keys: Keys) -> list[int]:
    """The first eight bytes of each key as a number: what rows are looked up by, before the key itself is compared."""
    found: list[int] = np.frombuffer(b"".join(keys), "<u8")[:: SIZE // 8].tolist()
    return found


def _keys(told: dict[str, Any] | None) -> Keys | None:
    try:
        joined = bytes.fromhex((told or {})["rows"])
    except (KeyError, TypeError, ValueError):
        return None
    if not joined or len(joined) % SIZE:
        return None
    return [joined[start : start + SIZE] for start in range(0, len(joined), SIZE)]


def _written(answers: Array) -> dict[str, object]:
    shape = list(answers.shape)
    if answers.dtype.kind in "OUST":
        return {"dtype": "str", "shape": shape, "texts": [str(text) for text in answers.ravel()]}
    data = base64.b64encode(np.ascontiguousarray(answers).tobytes()).decode()
    return {"dtype": dtype_name(answers.dtype), "shape": shape, "data": data}


def _answers(told: dict[str, Any]) -> Array | None:
    """The answers of a line, one along axis 0 for each of its rows; None where it is damaged."""
    try:
        if told["dtype"] == "str":
            texts = np.empty(len(told["texts"]), object)
            texts[:] = told["texts"]
            found: Array = texts.reshape(told["shape"])
        else:
            found = np.frombuffer(base64.b64decode(told["data"]), numpy_dtype(told["dtype"])).reshape(told["shape"])
    except (KeyError, TypeError, ValueError, Error):
        return None
    return found if found.ndim else None

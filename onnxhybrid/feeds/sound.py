"""The samples of a .wav file."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.model import TensorSpec

_WHOLE: dict[int, tuple[str, int]] = {1: ("u1", 128), 2: ("<i2", 0), 4: ("<i4", 0)}


def samples(data: bytes, path: str, spec: TensorSpec) -> npt.NDArray[Any]:
    """The samples: [n] of one channel, [n, channels] of several.

    They are float32 from -1 to 1; whole numbers as they stand in the file for an input of whole numbers.

    Raises:
        Error: OH701, it is no WAV file of PCM.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            frames = file.readframes(file.getnframes())
        whole = _whole(frames, width)
    except (wave.Error, EOFError, ValueError, KeyError) as problem:
        raise Error("OH701", f"{path} is no WAV file of PCM: {problem}") from None
    if channels > 1:
        whole = whole[: len(whole) // channels * channels].reshape(-1, channels)
    if "int" in spec.dtype:
        return whole
    return (whole / float(1 << (8 * width - 1))).astype(np.float32)


def _whole(frames: bytes, width: int) -> npt.NDArray[Any]:
    """The samples as whole numbers with 0 in their middle."""
    if width == 3:
        wide = np.zeros((len(frames) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(frames, np.uint8)[: len(wide) * 3].reshape(-1, 3)
        return wide.view("<i4")[:, 0] >> 8
    kind, middle = _WHOLE[width]
    array = np.frombuffer(frames, kind)
    return array.astype(np.int16) - middle if middle else array

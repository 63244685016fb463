"""The pixels of a .png or .jpg file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.model import TensorSpec

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def picture(data: bytes, path: str, spec: TensorSpec) -> npt.NDArray[Any]:
    """The pixels, in the layout of the input: [n, channels, height, width], [n, height, width, channels], without n.

    They are 0 to 255, for an input of floats 0 to 1. A picture is not made larger or smaller.

    Raises:
        Error: OH551, Pillow is not installed; OH701, it is no picture; OH702, the input has no axis of channels.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError:
        raise Error("OH551", f"{path}: pictures need Pillow: pip install pillow") from None
    first, channels = _layout(spec)
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert(_MODES[channels or 1]))
    except UnidentifiedImageError:  # its message names an object in memory
        raise Error("OH701", f"{path} is no picture: it begins as none that Pillow reads") from None
    except Exception as problem:  # noqa: BLE001  # Pillow raises many kinds for what is no picture
        raise Error("OH701", f"{path} is no picture: {problem}") from None
    if "float" in spec.dtype:
        pixels = (pixels / np.float32(255)).astype(np.float32)
    if channels is None:
        return pixels
    pixels = pixels.reshape(*pixels.shape[:2], channels)
    pixels = np.moveaxis(pixels, -1, 0) if first else pixels
    return pixels[np.newaxis] if spec.shape is not None and len(spec.shape) == 4 else pixels


def _layout(spec: TensorSpec) -> tuple[bool, int | None]:
    """Whether channels come first, and how many there are; None where the input has no axis for them.

    Raises:
        Error: OH702, it cannot take a picture.
    """
    shape = spec.shape or ()
    if len(shape) == 2:
        return False, None
    if len(shape) not in (3, 4):
        raise Error("OH702", f"{spec} takes no picture: it would have 2 to 4 axes")
    inner = shape[-3:]
    if inner[0] in _MODES:
        return True, int(inner[0])
    if inner[2] in _MODES:
        return False, int(inner[2])
    return True, 3

"""Gives memory back to the system: what a process frees, the C library keeps for later."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from typing import final

import onnxruntime

from onnxhybrid.runtime import Session


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """What returns free memory; None where the C library has no such function."""
    if sys.platform != "linux":
        return None
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return trim


def give_back() -> None:
    """Return what is free to the system, as far as the C library does that."""
    trim = _trim()
    if trim is not None:
        trim(0)


@final
class ArenalessSession(Session):
    """A session that keeps no memory between runs: ONNX Runtime's arena stays as large as the largest run made it.

    To allocate anew costs a large run some percent, and a small one nothing that can be measured.
    """

    @staticmethod
    def _fresh_options() -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False
        return options

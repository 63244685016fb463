"""Tensors for people and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST = 8


def shown(name: str, value: Any) -> str:
    """An output in a line: its type, sizes, and first elements."""
    if not isinstance(value, np.ndarray):
        text = repr(value)
        return f"{name}: {text if len(text) <= 200 else text[:200] + '…'}"
    sizes = ", ".join(map(str, value.shape))
    first = ", ".join(_element(each) for each in value.ravel()[:_MOST])
    more = ", …" if value.size > _MOST else ""
    return f"{name}: {_dtype(value)}[{sizes}] {first}{more}".rstrip()


def document(value: Any) -> Any:
    """An output as JSON has it: its dtype, sizes and nested lists; maps and sequences as they are."""
    if not isinstance(value, np.ndarray):
        return value
    data = value if value.dtype.kind in "OUSTbiuf" else value.astype(np.float32)
    return {"dtype": _dtype(value), "shape": list(value.shape), "data": data.tolist()}


def _element(value: Any) -> str:
    return repr(value) if isinstance(value, (str, bytes)) else f"{value:.6g}" if _is_float(value) else str(value)


def _is_float(value: Any) -> bool:
    return isinstance(value, (float, np.floating))


def _dtype(value: Any) -> str:
    return "str" if value.dtype.kind in "OUST" else str(value.dtype.name)

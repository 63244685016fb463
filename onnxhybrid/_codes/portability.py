"""OH4xx: portability and the operators of before."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import Diagnostic

ROWS: tuple[Diagnostic, ...] = ()

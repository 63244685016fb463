"""What a row of the register holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Diagnostic:
    """One row of the register.

    `raises` names the exception class of `onnxhybrid.errors` that carries the code.
    """

    code: str
    severity: Severity
    title: str
    explanation: str
    example: str
    fix: str
    raises: str


def row(code: str, raises: str, title: str, explanation: str, example: str, fix: str) -> Diagnostic:
    """An error."""
    return Diagnostic(code, "error", title, explanation, example, fix, raises)


def warning(code: str, title: str, explanation: str, example: str, fix: str) -> Diagnostic:
    """A warning; `raises` is what a strict check would raise."""
    return Diagnostic(code, "warning", title, explanation, example, fix, "ValidationError")

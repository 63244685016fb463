"""The one register of diagnostics: every code, what it means, an example and what to do.

Python and the native library speak of the same codes. `OH1xx` is about a graph, `OH2xx` about composing, `OH3xx` about
remote nodes and secrets, `OH4xx` about portability, `OH5xx` about run time, `OH7xx` about recipes and the command line.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from onnxhybrid._codes import REGISTER, Diagnostic, Severity

__all__ = ["REGISTER", "Diagnostic", "Finding", "Report", "Severity", "explain"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found: the code, what is wrong in this model, and where."""

    code: str
    message: str
    where: str = ""

    @property
    def severity(self) -> Severity:
        """The severity that the register gives the code."""
        return REGISTER[self.code].severity

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"[{self.code}] {self.severity}: {self.message}{place}"


@dataclass(frozen=True)
class Report:
    """What `validate` found. It is true when it holds no error; warnings leave it true."""

    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Report:
        """A report of `findings`, in their order."""
        return cls(tuple(findings))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep the model from running, or from being safe."""
        return self._with("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that a reader should know of."""
        return self._with("warning")

    def _with(self, severity: Literal["error", "warning"]) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def __bool__(self) -> bool:
        return not self.errors

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        if not self.findings:
            return "no findings"
        return "\n".join(str(finding) for finding in self.findings)

    def document(self) -> dict[str, Any]:
        """The report as JSON has it: `{"ok": bool, "findings": [{"code", "severity", "message", "where"}, …]}`."""
        rows = [{"code": f.code, "severity": f.severity, "message": f.message, "where": f.where} for f in self.findings]
        return {"ok": bool(self), "findings": rows}

    def to_json(self) -> str:
        """The report as JSON text: that of `document()`."""
        return json.dumps(self.document(), indent=2)


def warn(code: str, message: str) -> None:
    """Say something at the line of the user's that called onnxhybrid, by Python's `warnings`, as a UserWarning.

    Args:
        code: a code of the register.
        message: what is to be said; the code comes before it.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "onnxhybrid":
        frame, level = frame.f_back, level + 1
    warnings.warn(f"[{REGISTER[code].code}] {message}", UserWarning, stacklevel=level)


def explain(code: str) -> str:
    """What a code means, with an example and what to do instead.

    Args:
        code: a code such as `"OH201"`; case and square brackets do not matter.

    Raises:
        ValueError: no such code.
    """
    entry = REGISTER.get(str(code).strip().strip("[]").upper())
    if entry is None:
        raise ValueError(
            f"no diagnostic has the code {code!r}; known are {min(REGISTER)} to {max(REGISTER)}, all in docs/errors.md"
        )
    return (
        f"{entry.code} ({entry.severity}): {entry.title}\n\n{entry.explanation}\n\n"
        f"Example: {entry.example}\nWhat to do: {entry.fix}"
    )


def reference() -> str:
    """Every code as a Markdown page: `python -m onnxhybrid.diagnostics > docs/errors.md`."""
    rows = [
        f"## {row.code}: {row.title}\n\n*{row.severity}, `{row.raises}`.* {row.explanation}\n\n"
        f"- Example: {row.example}\n- What to do: {row.fix}\n"
        for row in REGISTER.values()
    ]
    head = (
        '# Codes\n\nEvery error and warning of onnxhybrid has a code; `oh.explain("OH201")` prints one of these '
        "entries. The operator library uses the same codes, as in `[OH503] node …`.\n"
    )
    return "\n".join((head, *rows))


if __name__ == "__main__":
    print(reference(), end="")

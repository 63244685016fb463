"""Warnings that a model's author has seen and does not want to see again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxhybrid.diagnostics import Finding

NOQA = "onnxhybrid.noqa"
"""The metadata entry: codes between commas or spaces, each for the model or, as `OH307@name`, for one node."""


def suppressed(metadata: Mapping[str, str]) -> Callable[[Finding], bool]:
    """Whether a finding is left out. Errors never are."""
    entries = [entry.partition("@") for entry in _entries(metadata.get(NOQA, ""))]

    def is_hidden(finding: Finding) -> bool:
        return finding.severity == "warning" and any(
            code.upper() == finding.code and (not at or repr(name) in finding.where) for code, at, name in entries
        )

    return is_hidden


def _entries(text: str) -> list[str]:
    """The entries; a node's name may hold spaces, so that only a code begins the next one."""
    entries: list[str] = []
    for word in text.replace(",", " ").split(" "):
        if word[:2].upper() == "OH" and word[2:5].isdigit():
            entries.append(word)
        elif entries and word:
            entries[-1] += f" {word}"
    return entries

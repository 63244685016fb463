"""Warnings that a model's author has seen and does not want to see again."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from onnxhybrid.diagnostics import REGISTER, Finding

NOQA = "onnxhybrid.noqa"
"""The metadata entry: codes between commas or spaces, each for the model or, as `OH307@name`, for one node."""

_SUPPRESSIBLE = [code for code, row in REGISTER.items() if row.severity == "warning"]


@dataclass(frozen=True)
class _Entry:
    """A code, and the node that it is for; None means the whole model."""

    code: str
    name: str | None

    def hides(self, finding: Finding) -> bool:
        """Whether a finding is left out. Errors never are."""
        named = self.name is None or repr(self.name) in finding.where
        return finding.severity == "warning" and self.code.upper() == finding.code and named


def unsuppressed(metadata: Mapping[str, str], findings: Iterable[Finding], nodes: Collection[str]) -> list[Finding]:
    """The findings that a model's metadata do not suppress, and what is wrong with those metadata (OH316).

    Args:
        metadata: the model's.
        findings: all findings about it.
        nodes: the names of its nodes, wherever they are.
    """
    entries = _entries(metadata.get(NOQA, ""))
    findings = list(findings)
    findings += list(_mistaken(entries, findings, nodes)) if entries else []
    return [finding for finding in findings if not any(entry.hides(finding) for entry in entries)]


def _mistaken(entries: Iterable[_Entry], findings: Iterable[Finding], nodes: Collection[str]) -> Iterator[Finding]:
    """OH316: an entry names a code that there is, and a node that there is, or something else that was found."""
    places = "\n".join(finding.where for finding in findings)
    for entry in entries:
        where = f"the metadata entry {NOQA!r}"
        if entry.code.upper() not in REGISTER:
            yield Finding("OH316", f"{entry.code!r} is no code{_near(entry.code.upper(), _SUPPRESSIBLE)}", where)
        elif entry.name is not None and entry.name not in nodes and repr(entry.name) not in places:
            yield Finding("OH316", f"no node is called {entry.name!r}{_near(entry.name, nodes)}", where)


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _entries(text: str) -> list[_Entry]:
    """The entries. A node's name may hold spaces: behind an `@`, only a comma or a code begins the next one."""
    entries: list[_Entry] = []
    for listed in text.split(","):
        words: list[str] = []
        for word in listed.split():
            is_code = word[:2].upper() == "OH" and word[2:5].isdigit()
            if words and "@" in words[-1] and not is_code:
                words[-1] += f" {word}"
            else:
                words.append(word)
        for code, at, name in (word.partition("@") for word in words):
            entries.append(_Entry(code, name if at else None))
    return entries

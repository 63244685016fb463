"""What a docstring says of each argument, which editors show beside a recipe."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_ARGUMENT = re.compile(r"(?P<names>[*\w]+(?:, [*\w]+)*): (?P<text>.*)")


def told(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The first line of a function's docstring, and what its `Args` say, by argument."""
    first, _, rest = (inspect.getdoc(function) or "").partition("\n")
    section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", rest, re.MULTILINE)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else ():
        text = line.removeprefix("    ")
        if (begun := _ARGUMENT.fullmatch(text)) and not text.startswith(" "):
            names = [name.lstrip("*") for name in begun["names"].split(", ")]
            found.update(dict.fromkeys(names, begun["text"]))
        else:
            found.update({name: f"{found[name]} {text.strip()}".strip() for name in names})
    return first, found

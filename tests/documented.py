"""The models of docs/servers.md, built by the page's own code and moved to where a test has the server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import onnxhybrid as oh

PAGE = Path(__file__).parent.parent / "docs" / "servers.md"


def text(title: str) -> str:
    """The page's section with this title."""
    page, heading = PAGE.read_text(encoding="utf-8"), rf"^## {re.escape(title)}\n"
    found = re.search(heading + r"(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def code(title: str) -> str:
    """The Python of a section."""
    return "".join(re.findall(r"```python\n(.*?)```", text(title), re.DOTALL))


def built(python: str, variable: str, url: str) -> oh.Model:
    """The model that the code calls so, with the origin of its one remote call replaced by this URL."""
    names: dict[str, Any] = {"oh": oh}
    exec(python, names)
    model: oh.Model = names[variable]
    (remote,) = model.remotes
    there = urlsplit(remote.endpoint)
    return model.retarget({f"{there.scheme}://{there.netloc}": url})

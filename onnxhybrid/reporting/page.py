"""The page: one HTML document that fetches nothing, and runs no script but the two that it names by their hashes."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from onnxhybrid import __version__
from onnxhybrid.reporting import proof, sections
from onnxhybrid.reporting.markup import folded
from onnxhybrid.reporting.subject import Subject
from onnxhybrid.reporting.texts import breakable, plain

_D3 = ("color", "dispatch", "timer", "ease", "interpolate", "selection", "drag", "transition", "zoom")
"""The modules of D3 that are used, each after those that it uses."""


def page(subject: Subject) -> str:
    """The document."""
    style = _read("map.css") + _read("page.css")
    script = "\n".join([*(_read(f"d3/d3-{name}.min.js") for name in _D3), _read("page.js")])
    name = subject.model.name or "A graph without a name"
    own = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; {own}; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{plain(name, 120)} – report</title>
<style>{style}</style>
</head>
<body>
<header>
<p class="over">Report of a model</p>
<h1>{breakable(name, 160)}</h1>
{sections.summary(subject)}
</header>
<main>
{_content(subject)}
</main>
<footer>
<p>Made by onnxhybrid {__version__}. This page holds all that it shows, and fetches nothing.</p>
{folded("D3 moves and enlarges the map, under these licences", f"<pre>{_licences()}</pre>")}
</footer>
<script>{script}</script>
</body>
</html>
"""


def _content(subject: Subject) -> str:
    told = (
        sections.overview(subject),
        sections.calls(subject),
        sections.leaving(subject),
        sections.findings(subject),
        proof.certificate(subject),
        proof.calibration(subject),
        proof.statistics(subject),
        sections.tensors(subject),
    )
    return "\n".join(filter(None, told))


def _licences() -> str:
    return "\n".join(plain(line) for line in _read("d3/LICENSE.txt").strip().splitlines())


def style_of_map() -> str:
    """The style of a map that stands in a file of its own."""
    return _read("map.css")


def _read(name: str) -> str:
    return files("onnxhybrid.reporting").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"

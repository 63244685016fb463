"""The documents as a site: what is laid out for the build, and what the check of built pages finds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs.site import checking, searching, staging

GOOD = '<link rel="stylesheet" href="a.css"><h1 id="top">x</h1><a href="#top">x</a><a href="https://b.example">x</a>'


def site(folder: Path, body: str) -> list[str]:
    """What is found wrong with a site of two pages and a stylesheet."""
    (folder / "a.css").write_text("body { background: url(b.svg) }")
    (folder / "other.html").write_text('<h2 id="there">x</h2>')
    (folder / "index.html").write_text(GOOD + body)
    return list(checking.faults(folder))


def test_links_to_pages_places_and_other_hosts_are_no_faults(tmp_path: Path) -> None:
    assert not site(tmp_path, '<a href="other.html#there">x</a><a href="mailto:a@b.example">x</a>')


@pytest.mark.parametrize("link", ["nope.html", "other.html#nope", "#nope", "folder/", "../index.html"])
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str) -> None:
    (found,) = site(tmp_path, f'<a href="{link}">x</a>')
    assert link in found


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="preconnect" href="https://fonts.example">',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<img src="https://badge.example/x.svg">',
        '<iframe src="http://video.example"></iframe>',
        '<style>@import "https://fonts.example/css";</style>',
        '<p style="background: url(//x.example/y.png)">',
    ],
)
def test_what_a_page_would_load_from_another_host_is_found(tmp_path: Path, body: str) -> None:
    (found,) = site(tmp_path, body)
    assert ".example" in found


def test_a_stylesheet_that_loads_from_another_host_is_found(tmp_path: Path) -> None:
    site(tmp_path, "")
    (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example/a.woff2') }")
    (found,) = checking.faults(tmp_path)
    assert "fonts.example" in found


def test_an_entry_without_its_docstring_and_a_method_that_is_not_told_of_are_found(tmp_path: Path) -> None:
    site(tmp_path, "")
    (tmp_path / "reference").mkdir()
    (tmp_path / "room.md").write_text(
        "## `oh.A`\n\nOne.\n\n- `.go`: x\n- `.size`, `.unit`\n\n<!-- onnxhybrid.room.A -->\n"
    )
    built = tmp_path / "reference" / "room.html"
    built.write_text('<h2 id="onnxhybrid.room.A">x</h2><h3 id="onnxhybrid.room.A.size">x</h3>')
    missing = list(checking.missing(tmp_path, tmp_path))
    assert [re.findall(r"A\.\w+", line) for line in missing] == [["A.go"], ["A.unit"]]


def test_every_page_stands_in_the_navigation_and_what_it_links_to_is_laid_out(tmp_path: Path) -> None:
    staging.lay_out(tmp_path)
    for page in (tmp_path / "docs").rglob("*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([\w./-]+\.md)", text):
            assert (page.parent / link).is_file(), f"{page}: {link}"


def test_a_page_outside_of_the_navigation_is_found_and_one_that_is_gone() -> None:
    navigation = 'nav = ["index.md", { "X" = ["gone.md"] }]  # later: "later.md"'
    assert staging.unplaced({"index.md", "new.md"}, navigation) == ["gone.md", "new.md"]


def test_the_search_finds_pages_and_methods_but_no_files_and_no_bare_fields() -> None:
    field = {"title": "budget  <small><code>instance-attribute</code></small>", "text": "<pre>budget: int</pre>"}
    items = [
        {"location": "limits.html#policy", "title": "Policy", "text": "<p>x</p>"},
        {"location": "reference/runtime.html#Policy.strict", "title": "strict", "text": "<pre>strict()</pre>"},
        {"location": "reference/runtime.html#Policy.held", **field, "text": "<p>What is told of it.</p>"},
        {"location": "reference/runtime.html#Policy.budget", **field},
        {"location": "files/tests/test_cache.py.html", "title": "x", "text": "<p>cache</p>"},
        {"location": "changelog.html#010", "title": "x", "text": "<p>cache</p>"},
    ]
    kept = json.loads(searching.trimmed(json.dumps({"config": {"lang": ["en"]}, "items": items})))
    assert kept == {"config": {"lang": ["en"]}, "items": items[:3]}

"""Lays out what the site is built from: the pages of docs/, with what only the site can show.

The pages read well where they lie in the repository. For the site an entry of the reference becomes its whole
docstring, and a file outside of docs/ that a page links to becomes a page of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parent
ROOT = DOCS.parent
_ENTRY = re.compile(r"^## `([^\n]+)`\n.*?<!-- (onnxhybrid[\w.]+) -->", re.MULTILINE | re.DOTALL)
_NOTE = re.compile(r"^Each entry is the first line of a docstring;.*\n\n", re.MULTILINE)
_NAMED = re.compile(r"\[[\w-]+\.md\]\(([\w./-]+\.md)")
_OUTSIDE = re.compile(r"\]\(((?:\.\./)+[\w./-]+)\)")
_LANGUAGES = {".py": "python", ".java": "java", ".c": "c", ".yml": "yaml", ".sh": "sh"}
_PICTURES = (".svg", ".png")


def lay_out(folder: Path) -> Path:
    """Fill an empty folder with pages and configuration; gives the configuration's path.

    Raises:
        SystemExit: a page stands outside of the navigation.
    """
    pages = folder / "docs"
    files: set[Path] = set()
    for path in sorted(DOCS.rglob("*")):
        if path.suffix in (".md", *_PICTURES) and HERE not in path.parents:
            there = pages / path.relative_to(DOCS)
            there.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".md":
                files |= outside(path)
                there.write_text(staged(path), encoding="utf-8")
            else:
                shutil.copyfile(path, there)
    for path in files:
        _show(path, pages / _page_of(path))
    shutil.copyfile(ROOT / "CHANGELOG.md", pages / "changelog.md")
    shutil.copyfile(HERE / "extra.css", pages / "extra.css")
    return _configure(folder, sorted(_page_of(path) for path in files))


def staged(path: Path) -> str:
    """The text of a page as the site has it."""
    text = _ENTRY.sub(_whole, _NOTE.sub("", path.read_text(encoding="utf-8")))
    text = _NAMED.sub(lambda found: f"[{_title(path.parent / found[1])}]({found[1]}", text)
    return _OUTSIDE.sub(lambda found: f"]({_moved(path, found[1])})", text)


def outside(path: Path) -> set[Path]:
    """The files outside of docs/ that a page links to."""
    links = _OUTSIDE.findall(path.read_text(encoding="utf-8"))
    found = {(path.parent / link).resolve() for link in links}
    return {there for there in found if DOCS not in there.parents and there.name != "CHANGELOG.md"}


def unplaced(pages: set[str], configuration: str) -> list[str]:
    """The pages that the navigation does not name, and those that it names and that are not there."""
    named = set(re.findall(r'"([\w./-]+\.md)"', re.sub(r"#.*", "", configuration)))
    return sorted(pages ^ named)


def _whole(entry: re.Match[str]) -> str:
    """The docstring, below the same heading and with the same anchor as where only its first line stands."""
    anchor = entry[1].replace(".", "").lower()
    options = {"heading": entry[1], "toc_label": entry[1]}
    return f"[](){{#{anchor}}}\n\n::: {entry[2]}\n    options: {json.dumps(options)}\n"


def _title(path: Path) -> str:
    """What a page is called, where a link has its file's name."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _moved(path: Path, link: str) -> str:
    there = (path.parent / link).resolve()
    if DOCS in there.parents:
        return link
    target = "changelog.md" if there.name == "CHANGELOG.md" else _page_of(there)
    return os.path.relpath(DOCS / target, path.parent)


def _page_of(path: Path) -> str:
    name = str(path.relative_to(ROOT)).lstrip(".")  # what begins with a dot is passed over
    return f"files/{name}.md"


def _show(path: Path, page: Path) -> None:
    """A page that shows a file."""
    page.parent.mkdir(parents=True, exist_ok=True)
    name, language = path.relative_to(ROOT), _LANGUAGES.get(path.suffix, "text")
    page.write_text(f"# {name}\n\n``````{language}\n{path.read_text(encoding='utf-8')}\n``````\n", encoding="utf-8")


def _configure(folder: Path, files: list[str]) -> Path:
    rooms = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "reference" / "index.md").read_text(encoding="utf-8"))
    reference = [f"reference/{page}" for page in ("index.md", *rooms)]
    text = (HERE / "zensical.toml").read_text(encoding="utf-8")
    for mark, value in {"reference": reference, "files": files, "root": [str(ROOT)]}.items():
        text = text.replace(f'["@{mark}"]', json.dumps(value))
    pages = {path.relative_to(folder / "docs").as_posix() for path in (folder / "docs").rglob("*.md")}
    if wrong := unplaced(pages, text):
        raise SystemExit(f"docs/site/zensical.toml: not in the navigation, or named there and gone: {', '.join(wrong)}")
    (folder / "zensical.toml").write_text(text, encoding="utf-8")
    return folder / "zensical.toml"

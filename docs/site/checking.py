"""Checks of the built pages: links lead somewhere, nothing comes from another host, the reference is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"img", "script", "iframe", "source", "audio", "video", "embed", "object", "track", "input"}
_LINKED_FILES = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "prefetch", "manifest"}
_MENTIONED = re.compile(r"(?:@import\s+|url\(\s*)[\"']?((?:https?:)?//[^\"')\s]+)")


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that a link can name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort an element's attributes."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and _LINKED_FILES & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        if tag in _LOADED:
            self.loads += [given[name] for name in ("src", "data", "srcset", "poster") if name in given]
        self.loads += _MENTIONED.findall(given.get("style", ""))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        """Read the text of a style."""
        if self._in_style:
            self.loads += _MENTIONED.findall(data)

    def handle_endtag(self, tag: str) -> None:
        """Leave a style."""
        self._in_style = False


def faults(site: Path) -> Iterator[str]:
    """What is wrong with a built site, a sentence each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        shown = path.relative_to(site)
        yield from (f"{shown} loads {url} from another host" for url in page.loads if _is_foreign(url))
        if path.name != "404.html":  # served for any address: its links begin at the root
            yield from (
                f"{shown} links to {link}, which is not there"
                for link in page.links
                if _leads_nowhere(link, path, pages)
            )
    for path in site.rglob("*.css"):
        yield from (f"{path.relative_to(site)} loads {url}" for url in _MENTIONED.findall(path.read_text("utf-8")))


def missing(site: Path, reference: Path) -> Iterator[str]:
    """What the pages of the reference name and the built ones do not tell of."""
    for path in sorted(reference.glob("*.md")):
        places = Page((site / "reference" / f"{path.stem}.html").read_text(encoding="utf-8")).places
        for entry in re.findall(r"^## .*?<!-- onnxhybrid[\w.]+ -->", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            name = re.findall(r"<!-- (.*) -->", entry)[0]
            members = re.findall(r"`\.(\w+)`", " ".join(re.findall(r"^- ((?:`\.\w+`(?:, )?)+)", entry, re.MULTILINE)))
            for wanted in (name, *(f"{name}.{member}" for member in members)):
                if wanted not in places:
                    yield f"{path.name}: {wanted} is not told of"


def _is_foreign(url: str) -> bool:
    return bool(urlsplit(url).netloc)


def _leads_nowhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    there = there / "index.html" if there.is_dir() else there
    if parts.fragment and there in pages:
        return unquote(parts.fragment) not in pages[there].places
    return not there.is_file()

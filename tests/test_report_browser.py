"""A page of `oh.report` in a real browser: it fetches nothing, runs nothing of others, and everybody can read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxhybrid as oh
from tests import browsing
from tests.browsing import Browser, Page, opened
from tests.environments import InstallationError
from tests.reported import calibrated, cascade, cloud, deep, hostile, nested, plain
from tests.servers import chromium

KINDS = ("plain", "cascade", "calibrated", "nested", "hostile", "deep")
SCREENS = [(width, dark) for width in (360, 1280) for dark in (False, True)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    reason = chromium.unsupported()
    if reason is None:
        try:
            chromium.installed()
        except InstallationError as problem:
            reason = f"there is no browser, and none can be had: {problem}"
    if reason is not None:
        pytest.skip(reason)
    with browsing.running() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = calibrated()
    given: dict[str, tuple[oh.Model, dict[str, Any]]] = {
        "plain": (plain(), {}),
        "calibrated": (found.model, {"calibration": found}),
        "cascade": (cascade(), {}),
        "nested": (nested(), {"stats": _ran()}),
        "hostile": (hostile(), {}),
        "deep": (deep(10_000), {}),
    }
    for name, (model, more) in given.items():
        oh.report(model, folder / f"{name}.html", **more)
    return {name: folder / f"{name}.html" for name in given}


def _ran() -> dict[str, oh.NodeStats]:
    """Statistics of a run of one call, for a node of `nested`."""
    with oh.endpoint.serve({"digits": plain()}) as server:
        session = oh.Session(cloud(server.url, auth=None))
        session.run(None, {"image": np.zeros((3, 64), np.float32)})
        (row,) = session.stats().values()
    return {nested().remotes[0].node: row}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_asks_for_nothing_and_complains_of_nothing(kind: str, browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages[kind]) as page:
        _unfold(page)
        asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
        assert asked == [pages[kind].as_uri()]
        assert page.events("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
        assert page.evaluate("document.querySelectorAll('.tools button').length") == 3  # so its script ran


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without"])
def test_texts_of_a_model_run_nothing(policy: bool, browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    text = pages["hostile"].read_text(encoding="utf-8")
    bare = text if policy else text.replace("Content-Security-Policy", "Nothing")
    (tmp_path / "page.html").write_text(bare, encoding="utf-8")
    with opened(browser, tmp_path / "page.html") as page:
        _unfold(page)
        assert page.evaluate("typeof stolen") == "undefined"
        assert page.evaluate("document.querySelectorAll('img, iframe, object, embed, link, base, form').length") == 0
        assert len(page.events("Network.requestWillBeSent")) == 1


def test_a_picture_of_a_strangers_model_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    oh.report(hostile(), tmp_path / "map.svg")
    with opened(browser, tmp_path / "map.svg") as page:
        assert page.evaluate("typeof stolen") == "undefined"
        assert page.evaluate("document.querySelectorAll('rect').length") > 3
        assert len(page.events("Network.requestWillBeSent")) == 1


@pytest.mark.parametrize(("width", "dark"), SCREENS)
@pytest.mark.parametrize("kind", ["plain", "calibrated", "nested", "hostile"])
def test_axe_finds_nothing_that_keeps_somebody_from_reading(
    kind: str, width: int, dark: bool, browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages[kind], width=width, dark=dark) as page:
        _unfold(page)
        page.evaluate(chromium.axe(browser.folder))
        found = page.evaluate("axe.run().then((result) => JSON.stringify(result))")
        result = json.loads(found)
        told = [
            (rule["id"], rule["nodes"][0]["html"][:200], rule["nodes"][0]["any"][:1]) for rule in result["violations"]
        ]
        assert told == []
        passed = {rule["id"] for rule in result["passes"]}
        assert {"color-contrast", "heading-order", "svg-img-alt"} <= passed


@pytest.mark.parametrize("kind", KINDS)
def test_no_page_scrolls_sideways_on_a_phone(kind: str, browser: Browser, pages: dict[str, Path]) -> None:
    for width in (320, 360):
        with opened(browser, pages[kind], width=width) as page:
            _unfold(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


TORN = r"""
(() => {
  const torn = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (node.parentElement.closest("script, style, svg")) continue;
    for (const word of node.data.matchAll(/[^\s\-–\/.?_:@&=,]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) torn.push(word[0]);
    }
  }
  return torn;
})()
"""


@pytest.mark.parametrize("kind", ["plain", "cascade", "calibrated", "nested", "deep"])
def test_no_word_is_torn_on_a_phone(kind: str, browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages[kind], width=360) as page:
        _unfold(page)
        assert [word for word in page.evaluate(TORN) if len(word) < 32] == []  # a hash is longer than a line


OUTSIDE = """
[...document.querySelectorAll("svg.map")].filter((svg) => svg.getBoundingClientRect().width).flatMap((svg) => {
  const border = svg.querySelector(".border").getBBox().x, wide = svg.viewBox.baseVal.width;
  const lost = [];
  for (const each of svg.querySelectorAll("text, rect")) {
    const box = each.getBBox(), right = box.x + box.width;
    const cloud = box.x > border;
    if (box.x < 0 || right > (cloud ? wide : border)) lost.push(each.textContent);
    if (each.matches(".cloud") !== (cloud && each.matches("rect:not(.more)"))) lost.push(each.outerHTML);
  }
  return lost;
})
"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_on_the_map_device_and_cloud_are_apart_and_every_text_is_in_its_lane(
    kind: str, width: int, browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages[kind], width=width) as page:
        assert page.evaluate(OUTSIDE) == []
        shown = "[...document.querySelectorAll('svg.map')].filter((svg) => svg.getBoundingClientRect().width).length"
        assert page.evaluate(shown) == 1


def test_the_map_and_the_tables_are_there_without_scripts(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["calibrated"], script=False) as page:
        assert page.evaluate("document.querySelectorAll('button').length") == 0
        for shown in ("svg.map.wide", "svg.curve", "table"):
            assert page.evaluate(f"document.querySelector({shown!r}).getBoundingClientRect().height") > 100


def test_the_map_can_be_enlarged_and_made_whole_again(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["nested"]) as page:
        drawn = "document.querySelector('svg.map.wide > g').getAttribute('transform')"
        page.evaluate("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Larger').click()")
        assert "scale(1.5)" in page.evaluate(drawn)
        page.evaluate("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Whole map').click()")
        assert page.evaluate(drawn) == "translate(0,0) scale(1)"


def test_the_curve_can_be_read_at_each_threshold(browser: Browser, pages: dict[str, Path]) -> None:
    found = calibrated()
    with opened(browser, pages["calibrated"]) as page:
        said = "document.querySelector('output').textContent"
        assert f"{found.chosen.accuracy:.2%} of the answers are right" in page.evaluate(said)
        page.evaluate(
            "(() => { const slider = document.querySelector('input'); slider.value = 0;"
            " slider.dispatchEvent(new Event('input')); })()"
        )
        assert f"{found.points[0].share_sent:.1%} of the rows are sent" in page.evaluate(said)


def test_a_printed_page_is_dark_on_white_and_whole(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["calibrated"], dark=True, media="print") as page:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.querySelector('svg.map text.name')).fill") == "rgb(0, 0, 0)"
        assert page.evaluate("document.querySelector('.tools').getBoundingClientRect().height") == 0


def test_a_picture_in_another_page_follows_light_and_dark(browser: Browser, tmp_path: Path) -> None:
    oh.report(nested(), tmp_path / "map.svg")
    for dark, colour in ((False, "rgb(255, 255, 255)"), (True, "rgb(13, 17, 23)")):
        with opened(browser, tmp_path / "map.svg", dark=dark) as page:
            assert page.evaluate("getComputedStyle(document.querySelector('rect.page')).fill") == colour


def _unfold(page: Page) -> None:
    """Open whatever is folded, so that it is looked at, too."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")

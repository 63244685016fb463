"""The documents say what is true: their examples run, and what is generated is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import onnxhybrid as oh
from docs.site import protocols
from onnxhybrid import diagnostics
from tests.recipes import classifier

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]


FOLLOWED = {
    "docs/ten-minutes.md": "makes models of its own, and is followed with its commands by tests/test_ten_minutes.py",
}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in FOLLOWED])
def test_the_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("small.onnx", "large.onnx")):
        classifier(seed).save(name)
    images = np.random.default_rng(4).random((300, 64), np.float32)
    labels = oh.Session("large.onnx").run(["label"], {"image": images})[0]
    np.savez("calibration.npz", image=images, label=labels)
    names = {"image": np.random.default_rng(3).random((2, 64), np.float32)}
    for example in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(example, page, "exec"), names)


RUN = {"python", "yaml", "console", "text"}  # python above; yaml and console by test_command_line_page; text is no code
NOT_RUN = {
    ("README.md", "sh"): "installs, and runs all that this very test is a part of",
    ("docs/failover.md", "sh"): "sets a variable, as tests/test_named_endpoints.py does",
    ("docs/limits.md", "json"): "lines of a ledger, which tests/test_ledger.py reads and writes",
    ("docs/models.md", "py"): "needs torch, Keras or a service; tests/test_getting_models.py runs what is like it",
    ("docs/models.md", "sh"): "needs TensorFlow, or a workspace of AzureML",
    ("docs/operations.md", "c"): "tests/bindings/run.c makes such a scope",
    ("docs/operations.md", "json"): "a configuration, which the native tests read",
    ("docs/platforms.md", "csharp"): "its calls are those of the binding's source",
    ("docs/platforms.md", "js"): "tests/test_javascript.py runs it, where Node is",
    ("docs/platforms.md", "kotlin"): "needs an Android device",
    ("docs/platforms.md", "sh"): "builds the library, for platforms that are not here",
    ("docs/platforms.md", "swift"): "needs Xcode",
    ("docs/ray.md", "py"): "needs Spark and Daft: tests/test_ray_page.py runs it",
    ("docs/ray.md", "sh"): "installs",
    ("docs/running.md", "c"): "samples/c/guarded.c does this, and is run by tests/test_language_samples.py",
    (
        "docs/ten-minutes.md",
        "sh",
    ): "installs, serves until Ctrl-C, and sets a variable: tests/test_ten_minutes.py has its own server",
    ("docs/threat-model.md", "py"): "needs an environment of its own: tests/test_signing.py runs it",
}


@pytest.mark.parametrize("page", PAGES)
def test_an_example_that_is_not_run_has_its_reason(page: str) -> None:
    written = set(re.findall(r"^```(\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)) - RUN
    assert written == {language for named, language in NOT_RUN if named == page}, "NOT_RUN says why it is not run"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        assert "://" in target or (path.parent / target).exists(), target


def anchors(text: str) -> set[str]:
    """The places of a page that GitHub lets links name: its headings, in small letters, with hyphens for spaces."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    slugs = [
        re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title)).lower().replace(" ", "-") for title in titles
    ]
    return {slug if n == 0 else f"{slug}-{n}" for i, slug in enumerate(slugs) for n in [slugs[:i].count(slug)]}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_heading_leads_to_one_on_github(page: str) -> None:
    path = ROOT / page
    for target, anchor in re.findall(r"\]\(([^):#]*\.md)?#([^)]+)\)", path.read_text(encoding="utf-8")):
        text = (path.parent / target if target else path).read_text(encoding="utf-8")
        assert anchor in anchors(text), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    for named in re.findall(r"tests/[\w/]+\.py", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / named).is_file(), named


@pytest.mark.parametrize("page", PAGES)
def test_every_promise_that_a_page_names_is_tested(page: str) -> None:
    for named, test in re.findall(r"`([\w/]+\.(?:py|rs))::(\w+)`", (ROOT / page).read_text(encoding="utf-8")):
        assert re.search(rf"\b(def|fn) {test}\(", (ROOT / named).read_text(encoding="utf-8")), f"{named}::{test}"


def test_the_page_of_codes_is_the_register() -> None:
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == diagnostics.reference()


def test_the_page_of_the_operator_ends_in_the_librarys_protocols() -> None:
    assert (ROOT / "docs" / "operator.md").read_text(encoding="utf-8").endswith(protocols.reference())


def test_the_changelog_names_the_version() -> None:
    assert f"## {oh.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

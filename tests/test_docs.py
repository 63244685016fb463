"""The documents say what is true: their examples run, and what is generated is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid import diagnostics, library
from tests.strategies import of_graph

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]


def _classifier(seed: int) -> oh.Model:
    """A classifier: image float32[n, 64] -> label int64[n], probabilities float32[n, 10]."""
    weight = numpy_helper.from_array(np.random.default_rng(seed).normal(size=(64, 10)).astype(np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=-1, keepdims=0),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])
    return of_graph(helper.make_graph(nodes, "classifier", [image], outputs, [weight]))


FOLLOWED = {
    "docs/ten-minutes.md": "makes models of its own, and is followed with its commands by tests/test_ten_minutes.py",
}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in FOLLOWED])
def test_the_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("small.onnx", "large.onnx")):
        _classifier(seed).save(name)
    images = np.random.default_rng(4).random((300, 64), np.float32)
    labels = oh.Session("large.onnx").run(["label"], {"image": images})[0]
    np.savez("calibration.npz", image=images, label=labels)
    names = {"image": np.random.default_rng(3).random((2, 64), np.float32)}
    for example in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(example, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        assert "://" in target or (path.parent / target).exists(), target


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
    assert (ROOT / "docs" / "operator.md").read_text(encoding="utf-8").endswith(library.reference())


def test_the_changelog_names_the_version() -> None:
    assert f"## {oh.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

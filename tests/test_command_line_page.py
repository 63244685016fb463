"""The page of the command line says what is true: its recipes compose, and its commands run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import onnxhybrid as oh
from onnxhybrid import recipe
from onnxhybrid.cli.verbs import VERBS
from onnxhybrid.recipe.marked import marked
from tests.command import typed
from tests.recipes import models

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "command-line.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


RECIPES = [
    text for path in DOCS.glob("*.md") for text in re.findall(r"```yaml\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_the_page_tells_of_every_verb() -> None:
    assert set(VERBS) == set(
        re.findall(r"`([a-z]+)`", " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))
    ) & set(VERBS)


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_of_a_page_is_accepted_by_the_schema_and_composes(text: str) -> None:
    jsonschema.Draft202012Validator(recipe.schema()).validate(marked(text, "the page").data)
    Path("r.yaml").write_text(text, encoding="utf-8")
    assert oh.validate(recipe.compose("r.yaml"))


def test_there_is_a_cascade_on_the_page() -> None:
    assert any(text.startswith("cascade:") for text in blocks("yaml"))


def test_the_commands_of_the_page_run_one_after_the_other() -> None:
    Path("hybrid.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    np.savez("images.npz", image=np.random.default_rng(0).random((50, 64), np.float32))
    lines = [line[2:] for block in blocks("console") for line in block.splitlines()]
    assert len(lines) >= 10
    with oh.endpoint.serve({"digits": "large.onnx"}) as endpoint:
        for line in lines:
            program, *words = shlex.split(line.replace("$URL", endpoint.url))
            ended = typed(*words)
            assert (program, ended.code, ended.err) == ("onnxhybrid", 0, ""), line
            assert ended.out, line

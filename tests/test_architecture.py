"""The map of the project names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
BASES = (ROOT, ROOT / "onnxhybrid", ROOT / "native" / "src")
QUESTIONS = [line.strip("| ").split(" | ") for line in PAGE.partition("look for |\n|---|---|---|\n")[2].splitlines()]


def paths(text: str) -> list[str]:
    """The files and folders that a text names."""
    named = [name for name in re.findall(r"`([^`\s]+)`", text) if "/" in name or name.endswith((".py", ".rs"))]
    drawn = re.findall(r"[\w/]+\.(?:py|rs)\b", "".join(re.findall(r"```text\n(.*?)```", text, re.DOTALL)))
    return [*named, *drawn]


def test_the_page_names_paths_and_answers_at_least_twenty_questions() -> None:
    assert len(QUESTIONS) >= 20
    assert len(paths(PAGE)) >= 60


@pytest.mark.parametrize("path", sorted(set(paths(PAGE))))
def test_a_named_path_is_there(path: str) -> None:
    assert any((base / path).exists() for base in BASES)


@pytest.mark.parametrize("row", QUESTIONS, ids=lambda row: row[0])
def test_a_question_is_answered_by_a_path_from_the_root(row: list[str]) -> None:
    answers = paths(row[1])
    assert answers
    assert all((ROOT / path).exists() for path in answers)
    if len(row) > 2:
        assert row[2].strip("`") in (ROOT / answers[0]).read_text(encoding="utf-8")


def test_every_room_is_on_the_page() -> None:
    for base in BASES[1:]:
        rooms = {path.name for path in base.iterdir() if path.is_dir() and any(path.rglob("*.[pr][ys]"))}
        for room in rooms - {"__pycache__"}:
            assert f"`{room}/`" in PAGE, room

"""What is done again and again: actions are pinned, and what reads bytes from others has a fuzz target with seeds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onnxhybrid import library

ROOT = Path(__file__).parents[1]
FUZZ = ROOT / "native" / "fuzz"
TARGETS = sorted(path.stem for path in (FUZZ / "fuzz_targets").glob("*.rs"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside(workflow: Path) -> None:
    used = [line for line in workflow.read_text("utf-8").splitlines() if "uses:" in line]
    assert used
    for line in used:
        assert re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_one_version_of_an_action_has_one_commit() -> None:
    used = {pin for path in WORKFLOWS for pin in re.findall(r"uses: (\S+)@(\w+) # (\S+)", path.read_text("utf-8"))}
    assert len({(action, version) for action, _, version in used}) == len(used)


def test_every_fuzz_target_is_built_and_has_seeds() -> None:
    built = re.findall(r'^name = "(\w+)"$', (FUZZ / "Cargo.toml").read_text("utf-8"), re.MULTILINE)
    assert sorted(built) == TARGETS
    seeds = {folder.name: list(folder.iterdir()) for folder in (FUZZ / "seeds").iterdir()}
    assert sorted(seeds) == TARGETS
    assert all(seeds.values())


def test_the_answers_of_every_protocol_are_fuzzed() -> None:
    sources = "".join(path.read_text("utf-8") for path in (FUZZ / "fuzz_targets").glob("answers_*.rs"))
    # Azure OpenAI differs from OpenAI in its addresses, not in its answers.
    missing = {name for name in library.protocols() if f'"{name.replace("azure_openai", "openai")}"' not in sources}
    assert missing == set()

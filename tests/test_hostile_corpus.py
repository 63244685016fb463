"""Hostile files against everything that can be done with a file: an error with a code, or a result, and soon."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.cases import corpus

ROOT = Path(__file__).parent.parent
COUNT = sum(1 for _ in corpus())
SAMPLE = 23
"""Of the files, each that many-th is tried here; `make attack` tries all."""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and links as Linux has them")


def attacked(folder: Path, first: int, stride: int) -> list[str]:
    """What went wrong with every so many-th file from the first one on."""
    faults = []
    while True:
        place = folder / str(first)
        place.mkdir()
        program = [sys.executable, "-m", "tests.hostile.attack", str(place), str(first), str(stride)]
        done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, timeout=3000, check=False)
        lines = done.stdout.splitlines()
        faults += [told(line) for line in lines if line.startswith("FAULT")]
        if lines and lines[-1] == "END":
            return faults
        begun = [line for line in lines if line.startswith("BEGIN")]
        faults.append(f"{begun[-1:]} ended with {done.returncode}: {done.stderr[:2000]}")
        first = max(int(line.split()[1]) for line in lines if line.startswith("CASE")) + stride


def told(line: str) -> str:
    name, operation, problem = line.split(" | ", 2)
    return f"{name} | {operation} | {ast.literal_eval(problem)[-1500:]}"


def test_the_corpus_holds_as_many_files_as_are_promised() -> None:
    assert COUNT >= 150
    assert len({name for name, _ in corpus()}) == COUNT


@linux
def test_a_sample_of_hostile_files_only_meets_errors_with_a_code(tmp_path: Path) -> None:
    assert attacked(tmp_path, 0, SAMPLE) == []


@linux
@pytest.mark.attack
@pytest.mark.parametrize("part", range(4))
def test_every_hostile_file_only_meets_errors_with_a_code(tmp_path: Path, part: int) -> None:
    assert attacked(tmp_path, part, 4) == []

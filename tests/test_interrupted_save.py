"""A save that meets a fault leaves the model that was there, or the new one, whole: at each call and at each line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("faults_of_save.py")

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the program forks, and counts Linux's calls")


def _left_by(folder: Path, kind: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), kind], capture_output=True, text=True, check=True, timeout=900
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _assert_all_whole(faults: list[dict[str, Any]], least: int) -> None:
    assert len(faults) >= least
    for fault in faults:
        assert fault["found"] in (1.0, 2.0), fault
        assert fault["read"], fault
        assert fault["outcome"] != "saved" or fault["found"] == 2.0, fault


@linux
def test_a_call_of_the_system_that_fails_leaves_a_whole_model_and_nothing_unfinished(tmp_path: Path) -> None:
    faults = _left_by(tmp_path, "fail")
    _assert_all_whole(faults, 75)
    assert any(fault["outcome"] == "OH112" for fault in faults)
    assert not any(fault["left"] for fault in faults)


@linux
def test_a_signal_that_arrives_during_a_call_of_the_system_leaves_a_whole_model(tmp_path: Path) -> None:
    _assert_all_whole(_left_by(tmp_path, "late"), 75)


@linux
@pytest.mark.attack
@pytest.mark.parametrize("kind", ["interrupt", "kill"])
def test_an_end_at_any_line_leaves_a_whole_model(tmp_path: Path, kind: str) -> None:
    _assert_all_whole(_left_by(tmp_path, kind), 150)

"""The demo, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the demo; what it printed is in printed.txt."""
    folder = tmp_path_factory.mktemp("digits")
    command = [sys.executable, str(SAMPLES / "digits.py"), "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture
def report(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return value


def test_the_hybrid_is_within_a_point_of_the_cloud_and_sends_fewer_than_40_percent_of_the_rows(
    report: dict[str, Any],
) -> None:
    local, *hybrids, cloud = report["results"]
    chosen = next(hybrid for hybrid in hybrids if hybrid["threshold"] == report["chosen"])
    assert chosen["accuracy"] >= cloud["accuracy"] - 0.01
    assert chosen["accuracy"] > local["accuracy"]
    assert 0 < chosen["share_sent"] < 0.4


def test_a_higher_threshold_sends_more_rows_and_more_bytes(report: dict[str, Any]) -> None:
    local, *hybrids, cloud = report["results"]
    assert (local["share_sent"], local["bytes_per_row"], cloud["share_sent"]) == (0, 0, 1)
    shares = [hybrid["share_sent"] for hybrid in hybrids]
    assert shares == sorted(shares)
    for hybrid in hybrids:
        assert hybrid["bytes_per_row"] == pytest.approx(cloud["bytes_per_row"] * hybrid["share_sent"], rel=0.05)


def test_the_artifact_is_one_ordinary_file_that_plain_onnxruntime_runs(folder: Path, report: dict[str, Any]) -> None:
    assert report["plain_onnxruntime"]
    model = onnx.load(folder / "hybrid.onnx")
    assert {"image", "threshold"} <= {value.name for value in model.graph.input}
    assert {value.name for value in model.graph.output} == {"label", "probabilities"}


def test_the_demo_shows_a_table_a_plot_and_what_to_do_next(folder: Path) -> None:
    printed = (folder / "printed.txt").read_text()
    for text in ("local only", "cloud only", "hybrid, threshold", "netron", "oh.register(options)"):
        assert text in printed
    assert (folder / "accuracy.png").read_bytes().startswith(b"\x89PNG")

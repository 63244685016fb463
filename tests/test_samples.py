"""The demo and the samples, as a user runs them."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxhybrid as oh
from tests.servers.triton import TritonServer

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
    local, hybrid, cloud = report["results"]
    assert hybrid["accuracy"] >= cloud["accuracy"] - 0.01
    assert hybrid["accuracy"] > local["accuracy"]
    assert 0 < hybrid["share_sent"] < 0.4


def test_bytes_and_cost_are_those_of_the_rows_that_are_sent(report: dict[str, Any]) -> None:
    local, hybrid, cloud = report["results"]
    assert (local["share_sent"], local["bytes_per_row"], local["cost_per_row"], cloud["share_sent"]) == (0, 0, 0, 1)
    assert cloud["cost_per_row"] == pytest.approx(0.001)
    for what in ("bytes_per_row", "cost_per_row"):
        assert hybrid[what] == pytest.approx(cloud[what] * hybrid["share_sent"], rel=0.05)


def test_the_demo_chooses_its_threshold_on_rows_that_neither_train_nor_test(
    folder: Path, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SAMPLES)
    import digits as sample

    train, calibration, test = ({image.tobytes() for image in rows[0]} for rows in sample.split_rows())
    chosen_on = {image.tobytes() for image in np.load(folder / "calibration.npz")["image"]}
    assert chosen_on == calibration
    assert not chosen_on & (train | test)
    assert report["calibration"]["summary"]["rows"] == len(chosen_on)


def test_the_demos_file_holds_the_chosen_threshold_and_its_proof(folder: Path, report: dict[str, Any]) -> None:
    model = onnx.load(folder / "hybrid.onnx")
    [default] = [onnx.numpy_helper.to_array(each) for each in model.graph.initializer if each.name == "threshold"]
    assert default == np.float32(report["calibration"]["threshold"])
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props if "certificate" in entry.key}
    assert metadata == {"onnxhybrid.certificate": report["calibration"]["certificate"]}
    assert report["calibration"]["certificate"]["loss"] == 0.01


def test_the_artifact_is_one_ordinary_file_that_plain_onnxruntime_runs(folder: Path, report: dict[str, Any]) -> None:
    assert report["plain_onnxruntime"]
    model = onnx.load(folder / "hybrid.onnx")
    assert {"image", "threshold"} <= {value.name for value in model.graph.input}
    assert {value.name for value in model.graph.output} == {"label", "probabilities"}


def test_the_demo_shows_a_table_a_plot_and_what_to_do_next(folder: Path) -> None:
    printed = (folder / "printed.txt").read_text()
    for text in ("local only", "cloud only", "<- chosen", "the promise holds", "netron", "oh.register(options)"):
        assert text in printed
    assert (folder / "accuracy.png").read_bytes().startswith(b"\x89PNG")


EXTENDED = {"merge_hybrid", "side_by_side", "speech", "speech_gate", "tokenizer_in_graph"}
"""Samples with operators of onnxruntime-extensions, which has no wheel for Python 3.14 yet."""


@functools.cache
def printed(sample: str) -> str:
    """What a sample prints; it ran once, and well, in the folder where make runs it."""
    if sample in EXTENDED:
        pytest.importorskip("onnxruntime_extensions")
    command = [sys.executable, str(SAMPLES / f"{sample}.py")]
    done = subprocess.run(command, cwd=SAMPLES.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    old = sample == "side_by_side"  # it opens a file with an old operator, and the session says so, once
    assert (done.stderr.count("Warning"), done.stderr.count("[OH401]")) == (old, old), done.stderr
    return done.stdout


def rows(text: str) -> list[list[str]]:
    """The cells of a table, which two spaces or more divide."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]


def test_every_sample_is_on_the_page_of_samples_and_says_how_it_is_run() -> None:
    page = (SAMPLES.parent / "docs" / "samples.md").read_text(encoding="utf-8")
    for path in SAMPLES.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "__main__" in text:
            assert f"| [{path.stem}](../samples/{path.name}) |" in page
            assert f"python samples/{path.name}" in text


def test_the_published_program_runs_with_one_line_changed_and_both_models_understand() -> None:
    text = printed("side_by_side")
    assert re.search(r"output from whisper tiny:.*'open the garage door'", text)
    assert re.search(r"response from openAI:.*'open the garage door'", text)


@pytest.mark.parametrize("way", ["a future", "asyncio"])
def test_of_two_answers_side_by_side_a_judge_picks_the_better(way: str) -> None:
    sure, unsure = (line for line in printed("side_by_side").splitlines() if way in line)
    assert sure.endswith("-> edge: 'play some music'")
    assert unsure.endswith("-> azure: 'what is the weather'")


@pytest.mark.parametrize("proxy", ["oh.remote.triton", "the old file"])
def test_the_three_shapes_of_the_merge_script_ask_the_large_detector_when_they_should(proxy: str) -> None:
    lines = [line for line in printed("merge_hybrid").splitlines() if proxy in line and "grid" in line]
    assert [(line.split()[0], int(requests(line)), "425" in line) for line in lines] == [
        ("MergeWithIf", 0, False), ("MergeWithIf", 1, True), ("MergeWithIf", 0, False), ("MergeWithIf", 1, True),
        ("MergeWithAnd", 1, True), ("MergeWithAnd", 1, True), ("MergeWithIfThen", 0, False),
        ("MergeWithIfThen", 1, True),
    ]  # fmt: skip


@pytest.mark.parametrize("made", ["with the builder", "from the old file"])
def test_the_three_shapes_run_beside_the_real_triton_server(
    made: str, triton: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SAMPLES)
    import merge_hybrid as sample

    picture = np.random.default_rng(0).random((2, 3, 416, 416), np.float32)
    expected = picture.reshape(2, 3, 13, 32, 13, 32).mean(axis=(1, 3, 5))
    proxy = oh.remote.triton(triton.http_url, "yolo").rename({"input.1": "image", "218": "grid"})
    if made == "from the old file":
        proxy = oh.legacy.upgrade(oh.load(sample.CreateYoloProxyModel(triton.http_url, tmp_path)))
    tiny = sample.detector(("image", "grid"), hidden=8, channels=125, opset=8)
    feeds = {"image": picture, "auth_token": np.array([""]), "bool_cond_if": np.array(False)}
    judge = sample.sure_of_something().bind(threshold=np.float32(1.1))  # never
    for shape, hybrid in sample.merged(tiny, proxy, judge).items():
        outputs, calls = sample.run(hybrid, feeds, tmp_path)
        grid = outputs["cloud/grid" if shape == "MergeWithAnd" else "grid"]
        assert (calls, grid.shape) == (1, (2, 425, 13, 13))
        np.testing.assert_allclose(grid[:, 7], expected, rtol=1e-5)


def test_the_three_shapes_work_for_speech_too_and_the_judge_asks_where_the_device_is_unsure() -> None:
    lines = [line for line in printed("merge_hybrid").splitlines() if "str '" in line]
    assert [(line.split()[0], int(requests(line))) for line in lines] == [
        ("MergeWithIf", 0), ("MergeWithIf", 1), ("MergeWithIf", 0), ("MergeWithIf", 1), ("MergeWithAnd", 1),
        ("MergeWithAnd", 1), ("MergeWithIfThen", 0), ("MergeWithIfThen", 1),
    ]  # fmt: skip
    assert lines[-1].endswith("str 'what is the weather'")


def requests(line: str) -> str:
    """The column of requests."""
    found = re.search(r"\s(\d)\s\s", line)
    assert found is not None, line
    return found[1]


def test_silence_and_noise_stay_on_the_device_and_of_a_recording_only_its_speech_leaves() -> None:
    table = {row[0]: row[1:] for row in rows(printed("speech_gate")) if len(row) >= 5}
    for name in ("silence", "noise", "a tone"):
        assert table[name][2:] == ["0", "0", "''"]
    for name, text in (("speech", "'turn the lights on'"), ("a pause, speech", "'play some music'")):
        size, _, calls, sent, heard = table[name]
        assert (calls, heard) == ("1", text)
        assert 0 < int(sent) < int(size)
    assert int(table["a pause, speech"][3]) < int(table["a pause, speech"][0]) / 3


def test_the_gate_hears_what_the_detector_hears_frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SAMPLES)
    monkeypatch.chdir(SAMPLES.parent)
    import speech
    import speech_gate as sample
    from written import graph

    feeds = {"audio_stream": speech.as_stream(speech.say("hello"))}
    (together,) = oh.Session(oh.chain(graph(sample.FRAMES), sample.detector())).run(["speech_probs"], feeds)
    (frames,) = oh.Session(graph(sample.FRAMES)).run(["rows"], feeds)
    one_by_one = oh.Session(sample.weights().with_name("silero_vad.onnx"))
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros((1, 64), np.float32)
    for frame, expected in zip(frames, together, strict=True):
        window = np.concatenate([context, frame[np.newaxis]], axis=1)
        probability, state = one_by_one.run(None, {"input": window, "state": state, "sr": np.array(16000)})
        np.testing.assert_allclose(probability.item(), expected, atol=1e-5)
        context = window[:, -64:]
    assert together.max() > 0.9


def test_a_tokenizer_in_the_graph_sends_ids_and_the_answer_has_words() -> None:
    text = printed("tokenizer_in_graph")
    assert "ai.onnx.contrib.BertTokenizer" in text
    assert re.findall(r"-> (\w+)", text) == ["lights", "music", "weather", "timer"]
    assert "4 requests" in text


def test_what_is_known_is_not_asked_a_dead_server_is_replaced_a_silent_one_overtaken_and_money_has_an_end() -> None:
    text = printed("resilience")
    steps = [
        (answer.strip(), int(hits), int(repeats), int(hedges))
        for answer, hits, repeats, hedges in re.findall(
            r"^  ([\d ]+?) +\d+ ms, (\d+) cache hits, (\d+) repeats, (\d+) hedges", text, re.MULTILINE
        )
    ]
    assert [(answer, hits) for answer, hits, _, _ in steps[:2]] == [("4 9 4 4 9 4", 4), ("9", 5)]
    before, after, late = steps[2:5]
    assert (before[0], after[0], late[0]) == ("16", "25", "36")
    assert after[2] >= 1
    assert late[3] >= 1
    assert re.search(r"^  OH521: .*budget of cost.*ledger", text, re.MULTILINE)
    assert "cost=0.1, left={'cost': 0.0}" in text

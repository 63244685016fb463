"""Question answering: the sample, and its bundles under the official AzureML server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import onnxhybrid as oh
from tests.servers import azureml

SAMPLES = Path(__file__).parent.parent / "samples"
NEEDS_SERVER = pytest.mark.skipif(sys.platform == "win32", reason="the server runs on gunicorn, which Windows has not")


def run_sample(folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    """The sample's result and what it printed."""
    command = [sys.executable, str(SAMPLES / "question_answering.py"), "--output", str(folder)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return json.loads((folder / "result.json").read_text()), done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the sample; what it printed is in printed.txt."""
    folder = tmp_path_factory.mktemp("question_answering")
    _, printed = run_sample(folder)
    (folder / "printed.txt").write_text(printed)
    return folder


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def post(url: str, body: bytes) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read())


def test_the_device_answers_where_it_is_sure_and_the_cloud_where_not(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    assert [entry["answer"] for entry in result["answers"]] == [entry["expected"] for entry in result["answers"]]
    here = [entry["on_device"] for entry in result["answers"]]
    assert 0 < result["calls"] == here.count(False) < len(here)
    assert "What is Dolly Parton's middle name?     Rebecca" in (folder / "printed.txt").read_text()


def test_the_hybrid_has_the_names_and_the_sizes_of_the_export(folder: Path) -> None:
    hybrid = oh.load(folder / "hybrid.onnx")
    tokens = ("batch_size", "max_seq_len")
    inputs = {spec.name: (spec.dtype, spec.shape) for spec in hybrid.inputs}
    assert inputs == {
        **dict.fromkeys(("input_ids", "input_mask", "segment_ids"), ("int64", tokens)),
        "margin": ("float32", (1,)),
    }
    assert [spec.name for spec in hybrid.outputs][:2] == ["start_logits", "end_logits"]


@NEEDS_SERVER
def test_the_hybrid_answers_the_same_with_the_encoder_s_bundle_on_the_official_server(
    folder: Path, tmp_path: Path
) -> None:
    with azureml.serve(free_port(), folder / "encoder" / "score.py") as url:
        result, _ = run_sample(tmp_path, "--scoring-url", url)
    assert result == json.loads((folder / "result.json").read_text())


@NEEDS_SERVER
def test_the_official_server_answers_questions_and_refuses_what_is_none(folder: Path) -> None:
    bundle = folder / "question-answer-ort"
    with azureml.serve(free_port(), bundle / "score.py") as url:
        assert post(url, (bundle / "test-data.json").read_bytes()) == {"answer": "Rebecca"}
        for body in (b"[]", b"{}", b'{"question": "Why?"}', b'{"question": 1, "context": "a"}', b"no JSON"):
            assert set(post(url, body)) == {"error"}
        long = json.dumps({"question": "What colour is the sky?", "context": "the sky is blue " * 400}).encode()
        assert post(url, long) == {"answer": "Blue"}
        nothing = json.dumps({"question": "What?", "context": ""}).encode()
        assert "unable to find" in post(url, nothing)["error"]
        endless = json.dumps({"question": "what " * 600, "context": "a"}).encode()
        assert set(post(url, endless)) == {"error"}

"""Bundles for AzureML with a scoring script of the author's own: checked when written, run by the official server."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.servers import azureml as server
from tests.strategies import dense, of_graph
from tests.test_deploy import LOADERS, post

SCRIPT = """
import os, onnxruntime
from words import greeting

def init():
    global session
    folder = os.getenv("AZUREML_MODEL_DIR") or os.path.dirname(os.path.abspath(__file__))
    session = onnxruntime.InferenceSession(os.path.join(folder, "model", "model.onnx"))

def run(raw_data):
    return {greeting(): session.run(None, {"x": [[1.0, 2.0, 3.0]]})[0].tolist(), "sent": raw_data}
"""


def bundle(folder: Path, text: str = SCRIPT, **options: Any) -> Path:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    return oh.deploy.azureml(
        dense("d", "x", "y", (3, 2)), folder / "b", name="digits", script=folder / "mine.py", **options
    )


def azure_ai_ml_reads(folder: Path) -> Any:
    command = [sys.executable, "-W", "ignore", "-c", LOADERS, str(folder)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1])


@pytest.mark.skipif(sys.platform == "win32", reason="the server runs on gunicorn, which Windows has not")
def test_the_official_server_runs_a_script_with_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("def greeting():\n    return 'hello'\n")
    folder = bundle(tmp_path, files=[tmp_path / "words.py"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with server.serve(port, folder / "score.py") as url:
        _, answer = post(url, b"anything")
    (expected,) = oh.Session(folder / "model" / "model.onnx").run(None, {"x": [[1.0, 2.0, 3.0]]})
    assert answer["sent"] == "anything"
    assert answer["hello"][0] == pytest.approx(expected[0].tolist())


def test_a_script_goes_into_the_bundle_as_it_is_and_azure_ai_ml_reads_its_packages(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vocabulary.txt").write_text("a\n")
    packages = ['tokenizers>=0.20; python_version > "3"', "a @ https://host.example/a.whl#sha256=0: 1"]
    request = {"question": "Why?"}
    folder = bundle(tmp_path, "\ufeff" + SCRIPT, files=[f"{tmp_path / 'data'}/"], packages=packages, request=request)
    assert (folder / "score.py").read_text(encoding="utf-8") == SCRIPT
    assert (folder / "data" / "vocabulary.txt").read_text() == "a\n"
    assert json.loads((folder / "test-data.json").read_text()) == request
    *_, scoring_script, environment = azure_ai_ml_reads(folder)
    assert scoring_script == "score.py"
    assert environment["dependencies"][-1]["pip"][-2:] == packages
    (command,) = (line for line in (folder / "README.md").read_text().splitlines() if line.startswith("pip install"))
    assert shlex.split(command)[-2:] == packages


@pytest.mark.parametrize(
    "text",
    [
        "def run(data): pass",
        "def init(): pass",
        "def init(): pass\ndef run(): pass",
        "def init(model): pass\ndef run(data): pass",
        "def init(): pass\ndef run(data, *, key): pass",
        "def init(): pass\ndef run(data, other): pass",
        "def init(): pass\nasync def run(data): pass",
        "class Script:\n  def init(self): pass\n  def run(self, data): pass",
        "def init(: pass",
        "def init(): pass\n\0",
        "",
    ],
)
def test_a_script_that_azureml_could_not_call_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(oh.ModelError, match="OH412"):
        bundle(tmp_path, text)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    "text",
    [
        "from mine import init, run",
        "from mine import *",
        "init = run = print",
        "match 1:\n  case 1:\n    init = run = print",
        "try:\n  import fast as run\nexcept ImportError:\n  def run(*data): pass\ninit: object = print",
        "if True:\n  def init(level=1): pass\n@decorated\ndef run(data, parameters): pass",
    ],
)
def test_a_script_may_define_its_functions_in_any_way(text: str, tmp_path: Path) -> None:
    assert (bundle(tmp_path, text) / "score.py").read_text() == text


@pytest.mark.parametrize("script", ["missing.py", ".", "/dev/zero", "a\0b", 5, b"\xff"], ids=repr)
def test_a_script_that_cannot_be_read_is_refused(script: Any, tmp_path: Path) -> None:
    with pytest.raises(oh.ModelError, match="OH412"):
        oh.deploy.azureml(dense("d", "x", "y", (3, 2)), tmp_path / "b", name="digits", script=script)


@pytest.mark.parametrize(
    "files",
    [[".."], ["."], ["/dev/zero"], ["missing.txt"], "mine.py", ["score.py"], ["Model"], ["mine.py", "mine.py"], [5], 5],
    ids=repr,
)
def test_files_that_cannot_go_beside_the_script_are_refused(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("score.py", "Model"):
        (tmp_path / name).write_text("")
    with pytest.raises(oh.ModelError, match="OH413"):
        bundle(tmp_path, files=files)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "options",
    [{"packages": [""]}, {"packages": ["a\nb"]}, {"packages": [5]}, {"packages": 5}, {"packages": ["--index-url=x"]},
     {"request": {1, 2}}, {"request": float("nan")}],
    ids=repr,
)  # fmt: skip
def test_packages_and_requests_that_say_nothing_to_pip_or_json_are_refused(
    options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(oh.ModelError, match="OH411"):
        bundle(tmp_path, **options)


def test_a_model_with_types_that_json_lacks_is_served_by_a_script(tmp_path: Path) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, [1]) for name in "xy"]
    model = of_graph(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:]))
    (tmp_path / "mine.py").write_text(SCRIPT)
    folder = oh.deploy.azureml(model, tmp_path / "b", name="brain", script=tmp_path / "mine.py")
    assert (folder / "model" / "model.onnx").is_file()

"""The command line given what is wrong: one message with a code, the right exit code, nothing on standard output."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import numpy as np
import pytest

import onnxhybrid as oh
from tests.command import Ended, started, typed
from tests.recipes import CLOUD, SURE, cloud, indented, models

RECIPE = f"cascade:\n  local: {{load: small.onnx}}\n  remote:\n{indented(CLOUD)}  {SURE}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, and with files that are none of what they are called."""
    path = tmp_path_factory.mktemp("bad")
    models(path)
    oh.cascade(
        oh.load(path / "small.onnx"),
        cloud(auth=oh.Credential("gpu")),
        accept=oh.judge.max_probability("probabilities") >= 0.8,
    ).save(path / "hybrid.onnx")
    cloud(auth=oh.Credential("gpu")).save(path / "cloud.onnx")
    oh.remote.openai_audio(url="http://127.0.0.1:9/v1", auth=None).save(path / "speech.onnx")
    (path / "folder.onnx").mkdir()
    texts = {
        "text.onnx": "hello",
        "empty.onnx": "",
        "good.yaml": RECIPE,
        "syntax.yaml": "load: [",
        "alias.yaml": "chain: [&a {load: small.onnx}, *a]",
        "twice.yaml": "load: a\nload: b",
        "word.yaml": "laod: small.onnx",
        "kind.yaml": "load: 3",
        "absent.yaml": "load: absent.onnx",
        "unfit.yaml": "chain: [{load: small.onnx}]",
        "ragged.json": "[[1, 2], [3]]",
        "mixed.json": '[1, "a"]',
        "null.json": "[null]",
        "broken.json": "[1, ",
        "named.json": '{"other": 1}',
        "large.json": "[[1e300]]",
        "notes.txt": "hello",
        "bad.wav": "RIFF",
        "bad.png": "PNG",
        "bad.npy": "no array",
        "bad.npz": "no archive",
    }
    for name, text in texts.items():
        (path / name).write_text(text)
    np.save(path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    np.save(path / "texts.npy", np.array([["a"] * 64]))
    np.save(path / "narrow.npy", np.zeros((2, 63), np.float32))
    np.save(path / "flat.npy", np.zeros(64, np.float32))
    np.savez(path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    with wave.open(str(path / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8))
    return path


FAILURE, WORDS = 1, 2

BAD: dict[str, tuple[str, int]] = {
    # words
    "inspct": ("OH700", WORDS),
    "inspect": ("OH700", WORDS),
    "inspect small.onnx --self": ("OH700", WORDS),
    "inspect small.onnx --jsn": ("OH700", WORDS),
    "inspect small.onnx --yaml --json": ("OH700", WORDS),
    "inspect small.onnx large.onnx": ("OH700", WORDS),
    "validate": ("OH700", WORDS),
    "validate small.onnx --target": ("OH700", WORDS),
    "validate small.onnx --target tensorrt": ("OH304", WORDS),
    "validate small.onnx --json --sarif": ("OH700", WORDS),
    "compose": ("OH700", WORDS),
    "compose good.yaml": ("OH700", WORDS),
    "compose -o out.onnx": ("OH700", WORDS),
    "run": ("OH700", WORDS),
    "run small.onnx --repeat 0": ("OH700", WORDS),
    "run small.onnx --repeat many": ("OH700", WORDS),
    "run small.onnx --seed -1": ("OH700", WORDS),
    "run small.onnx --input image": ("OH700", WORDS),
    "run small.onnx --input =flat.npy": ("OH700", WORDS),
    "run small.onnx --input image=a.npy --input image=b.npy": ("OH700", WORDS),
    "run small.onnx --random image=a,b": ("OH700", WORDS),
    "run small.onnx --random image=-1,64": ("OH700", WORDS),
    "run small.onnx --random image=1,64 --random image=1,64": ("OH700", WORDS),
    "run hybrid.onnx --random image=1,64 --credential gpu=NO_SUCH_VARIABLE": ("OH700", WORDS),
    "run hybrid.onnx --random image=1,64 --credential =X": ("OH700", WORDS),
    "run hybrid.onnx --random image=1,64 --endpoint gpu": ("OH700", WORDS),
    "bench": ("OH700", WORDS),
    "bench small.onnx folder/small.onnx": ("OH700", WORDS),
    "bench good.yaml small.onnx": ("OH700", WORDS),
    "endpoint": ("OH700", WORDS),
    "endpoint small.onnx": ("OH552", WORDS),
    "endpoint m=small.onnx m=large.onnx": ("OH552", WORDS),
    "endpoint m=small.onnx --batch many": ("OH552", WORDS),
    "endpoint m=small.onnx --port x": ("OH700", WORDS),
    "deploy": ("OH700", WORDS),
    "deploy azurml small.onnx bundle --name m": ("OH700", WORDS),
    "deploy triton small.onnx repository": ("OH700", WORDS),
    "deploy azureml small.onnx bundle --name m --instance-count many": ("OH700", WORDS),
    "retarget hybrid.onnx -o out.onnx": ("OH700", WORDS),
    "retarget hybrid.onnx https://gpu.example -o out.onnx": ("OH700", WORDS),
    "retarget hybrid.onnx a=http://b a=http://c -o out.onnx": ("OH700", WORDS),
    "retarget hybrid.onnx https://gpu.example=http://127.0.0.1:9": ("OH700", WORDS),
    "upgrade small.onnx": ("OH700", WORDS),
    "export small.onnx -o": ("OH700", WORDS),
    "explain": ("OH700", WORDS),
    "explain OH999": ("OH700", WORDS),
    "--verson": ("OH700", WORDS),
    # models
    "inspect absent.onnx": ("OH100", FAILURE),
    "inspect folder.onnx": ("OH100", FAILURE),
    "inspect text.onnx": ("OH100", FAILURE),
    "inspect empty.onnx": ("OH100", FAILURE),
    "inspect small.onnx --yaml": ("OH714", FAILURE),
    "run small.onnx --input image=/dev/zero": ("OH701", FAILURE),
    "validate absent.onnx": ("OH100", FAILURE),
    "validate small.onnx folder.onnx": ("OH100", FAILURE),
    "run absent.onnx": ("OH100", FAILURE),
    "bench absent.onnx": ("OH100", FAILURE),
    "endpoint m=absent.onnx": ("OH100", FAILURE),
    "endpoint a/b=small.onnx": ("OH552", FAILURE),
    "endpoint m=small.onnx --port 99999": ("OH552", FAILURE),
    "deploy triton absent.onnx repository --name m": ("OH100", FAILURE),
    "deploy triton small.onnx repository --name a/b": ("OH411", FAILURE),
    "deploy triton hybrid.onnx repository --name m": ("OH411", FAILURE),
    "deploy azureml small.onnx small.onnx --name m-m": ("OH410", FAILURE),
    "deploy triton small.onnx /proc/absent --name m": ("OH410", FAILURE),
    "retarget hybrid.onnx https://other.example=http://127.0.0.1:9 -o out.onnx": ("OH116", FAILURE),
    "retarget absent.onnx http://a=http://b -o out.onnx": ("OH100", FAILURE),
    "upgrade text.onnx -o out.onnx": ("OH100", FAILURE),
    "upgrade small.onnx -o absent/out.onnx": ("OH112", FAILURE),
    "upgrade small.onnx -o folder.onnx": ("OH112", FAILURE),
    "export hybrid.onnx -o out.onnx": ("OH403", FAILURE),
    # recipes
    "compose nowhere.yaml -o out.onnx": ("OH710", FAILURE),
    "compose folder.onnx -o out.onnx": ("OH710", FAILURE),
    "compose syntax.yaml -o out.onnx": ("OH710", FAILURE),
    "compose alias.yaml -o out.onnx": ("OH711", FAILURE),
    "compose twice.yaml -o out.onnx": ("OH711", FAILURE),
    "compose word.yaml -o out.onnx": ("OH712", FAILURE),
    "compose kind.yaml -o out.onnx": ("OH713", FAILURE),
    "compose absent.yaml -o out.onnx": ("OH100", FAILURE),
    "compose unfit.yaml -o out.onnx": ("OH205", FAILURE),
    "compose good.yaml -o absent/out.onnx": ("OH112", FAILURE),
    "bench word.yaml": ("OH712", FAILURE),
    # what is fed
    "run small.onnx": ("OH703", FAILURE),
    "run small.onnx --input imge=flat.npy": ("OH703", FAILURE),
    "run small.onnx --input image=flat.npy --random image": ("OH703", FAILURE),
    "run small.onnx --random image": ("OH702", FAILURE),
    "run small.onnx --random image=1,63": ("OH702", FAILURE),
    "run small.onnx --random image=64": ("OH702", FAILURE),
    "run small.onnx --random image=999999999999,64": ("OH702", FAILURE),
    "run small.onnx --input image=absent.npy": ("OH701", FAILURE),
    "run small.onnx --input image=folder.onnx": ("OH701", FAILURE),
    "run small.onnx --input image=notes.txt": ("OH701", FAILURE),
    "run small.onnx --input image=bad.npy": ("OH701", FAILURE),
    "run small.onnx --input image=bad.npz": ("OH701", FAILURE),
    "run small.onnx --input image=pickled.npy": ("OH701", FAILURE),
    "run small.onnx --input image=two.npz": ("OH701", FAILURE),
    "run small.onnx --input image=texts.npy": ("OH702", FAILURE),
    "run small.onnx --input image=narrow.npy": ("OH702", FAILURE),
    "run small.onnx --input image=flat.npy": ("OH702", FAILURE),
    "run small.onnx --input image=ragged.json": ("OH701", FAILURE),
    "run small.onnx --input image=mixed.json": ("OH701", FAILURE),
    "run small.onnx --input image=null.json": ("OH701", FAILURE),
    "run small.onnx --input image=broken.json": ("OH701", FAILURE),
    "run small.onnx --input image=named.json": ("OH701", FAILURE),
    "run small.onnx --input image=large.json": ("OH702", FAILURE),
    "run small.onnx --input image=bad.wav": ("OH701", FAILURE),
    "run small.onnx --input image=bad.png": ("OH701", FAILURE),
    "run small.onnx --input image=tone.wav": ("OH702", FAILURE),
    "run small.onnx --value image=hello": ("OH702", FAILURE),
    "run small.onnx --random image=1,64 --save absent/out.npz": ("OH704", FAILURE),
    "run small.onnx --random image=1,64 --save folder.onnx": ("OH704", FAILURE),
    "run small.onnx --random image=1,64 --replay absent.jsonl": ("OH533", FAILURE),
    "run cloud.onnx --random image=1,64": ("OH510", FAILURE),
    "run speech.onnx --input file=tone.wav": ("OH501", FAILURE),
    "bench small.onnx": ("OH703", FAILURE),
}


def test_there_are_many() -> None:
    assert len(BAD) >= 100


@pytest.mark.parametrize("line", BAD)
def test_what_is_wrong_is_one_message_with_a_code(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert_one_message(typed(*line.split()), *BAD[line])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def assert_one_message(ended: Ended, code: str, status: int) -> None:
    [told] = ended.err.splitlines()
    assert re.match(rf"error: \[{code}\] \S", told), told
    assert (ended.code, ended.out) == (status, "")


@pytest.mark.parametrize(
    "line", ["inspct", "inspect absent.onnx", "compose word.yaml -o out.onnx", "run small.onnx --input image=bad.png"]
)
def test_a_program_of_its_own_says_the_same(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert_one_message(started(*line.split()), *BAD[line])


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("inspct x", "'inspect'"),
        ("composse x", "'compose'"),
        ("inspect --jsn", "'--json'"),
        ("deploy azurml a b", "'azureml'"),
        ("explain OH11", "'OH"),
        ("run small.onnx --input imge=flat.npy", "'image'"),
        ("compose word.yaml -o out.onnx", "'load'"),
    ],
)
def test_a_mistyped_word_is_told_with_the_one_that_was_meant(
    line: str, meant: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert re.search(rf"did you mean {meant}", typed(*line.split()).err, re.IGNORECASE)


def test_what_nobody_foresaw_is_one_message_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("onnxhybrid.diagnostics.explain", lambda code: 1 / 0)
    assert_one_message(typed("explain", "OH101"), "OH729", FAILURE)


def test_a_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxhybrid.diagnostics.explain", lambda code: 1 / 0)
    monkeypatch.setenv("ONNXHYBRID_TRACEBACK", "1")
    assert "ZeroDivisionError" in typed("explain", "OH101").err.splitlines()[-2]

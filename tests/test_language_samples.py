"""The programs of samples/ in other languages: what each prints is what Python gives, and what a failure says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.bindings import c, cpp, go, java, rust
from tests.recipes import classifier

SAMPLES = Path(__file__).parent.parent / "samples"
IMAGE = (np.arange(64) % 16).astype(np.float32)[np.newaxis]
TOKEN = "token-0123456789abcdef"
DEVICE, CLOUD = "0", "1.01"
"""Thresholds at which the device answers, and the cloud."""

Built = Callable[[str, Path], list[str]]
"""The command of a sample by its name, built in a folder; the library is its next argument."""


def _java(name: str, _: Path) -> list[str]:
    return ["java", "-cp", str(java.jar()), str(SAMPLES / "java" / f"{name.title()}.java")]


def _c(name: str, folder: Path) -> list[str]:
    return [str(c.built(SAMPLES / "c" / f"{name}.c", folder / name))]


def _cpp(name: str, folder: Path) -> list[str]:
    return [str(cpp.built(SAMPLES / "cpp" / f"{name}.cpp", folder / name))]


def _go(name: str, folder: Path) -> list[str]:
    return [str(go.built(SAMPLES / "go", f"./{name}", folder / name)), str(c.runtime())]


def _rust(name: str, _: Path) -> list[str]:
    return [str(rust.built(SAMPLES / "rust", name))]


LANGUAGES: dict[str, tuple[Callable[[], str | None], Built]] = {
    "Java": (java.unsupported, _java),
    "C": (c.unsupported, _c),
    "C++": (cpp.unsupported, _cpp),
    "Go": (go.unsupported, _go),
    "Rust": (rust.unsupported, _rust),
}


@dataclass(frozen=True)
class Hybrids:
    """The files, and what the device and the cloud say of the image."""

    folder: Path
    device: str
    cloud: str


@pytest.fixture(scope="module")
def hybrids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hybrids]:
    folder = tmp_path_factory.mktemp("hybrids")
    small, large = classifier(0), classifier(1)
    sure = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    with serve({"digits": large}) as cloud, serve({"digits": large}, token=TOKEN) as guarded:
        specs: dict[str, Any] = {"inputs": large.inputs, "outputs": large.outputs}
        oh.cascade(small, oh.remote.triton(cloud.url, "digits"), sure).bind(threshold=1.01).save(folder / "cloud.onnx")
        unreachable = oh.remote.triton("http://127.0.0.1:1", "digits", retries=0, **specs)
        oh.cascade(small, unreachable, sure).bind(threshold=1.01).save(folder / "unreachable.onnx")
        kept = oh.remote.triton(guarded.url, "digits", auth=oh.Credential("cloud"), **specs)
        oh.cascade(small, kept, sure).save(folder / "guarded.onnx")
        yield Hybrids(folder, label(small), label(large))


@pytest.fixture(scope="module", params=LANGUAGES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    unsupported, build = LANGUAGES[request.param]
    if missing := unsupported():
        pytest.skip(f"no {request.param} here: {missing}")
    folder = tmp_path_factory.mktemp("programs")
    return {name: build(name, folder) for name in ("hybrid", "guarded")}


def label(model: oh.Model) -> str:
    return f"label {oh.Session(model).run(['label'], {'image': IMAGE})[0][0]}\n"


def run(command: list[str], *arguments: str | Path, token: str = TOKEN) -> tuple[int, str]:
    environment = os.environ | {"CLOUD_TOKEN": token, "ORT_DYLIB_PATH": str(c.runtime())}
    whole = [*command, oh.library_path(), *map(str, arguments)]
    done = subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr


def test_a_hybrid_gives_what_it_gives_in_python(built: dict[str, list[str]], hybrids: Hybrids) -> None:
    assert hybrids.device != hybrids.cloud
    assert run(built["hybrid"], hybrids.folder / "cloud.onnx") == (0, hybrids.cloud)


def test_a_failure_is_told_with_its_code(built: dict[str, list[str]], hybrids: Hybrids) -> None:
    status, said = run(built["hybrid"], hybrids.folder / "unreachable.onnx")
    assert status == 1
    assert "[OH501]" in said


def test_a_session_has_its_credential_and_its_threshold(built: dict[str, list[str]], hybrids: Hybrids) -> None:
    path = hybrids.folder / "guarded.onnx"
    assert run(built["guarded"], path, CLOUD) == (0, hybrids.cloud)
    assert run(built["guarded"], path, DEVICE, token="wrong") == (0, hybrids.device)
    status, said = run(built["guarded"], path, CLOUD, token="wrong")
    assert status == 1
    assert "[OH503]" in said
    assert "wrong" not in said

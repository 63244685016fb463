"""A hybrid in a session of ONNX Runtime for Java, which knows nothing of Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.bindings import java
from tests.test_docs import _classifier

SAMPLE = Path(__file__).parent.parent / "samples" / "java" / "Hybrid.java"
IMAGE = (np.arange(64) % 16).astype(np.float32)[np.newaxis]

pytestmark = pytest.mark.skipif(java.unsupported() is not None, reason=f"no Java here: {java.unsupported()}")


def run(hybrid: Path) -> tuple[int, str]:
    command = ["java", "-cp", str(java.jar()), str(SAMPLE), str(oh.library_path()), str(hybrid)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


def label(model: oh.Model) -> str:
    return f"label {oh.Session(model).run(['label'], {'image': IMAGE})[0][0]}\n"


def test_a_hybrid_runs_in_java_as_in_python(tmp_path: Path) -> None:
    small, large = _classifier(0), _classifier(1)
    sure = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    with serve({"digits": large}) as cloud:
        hybrid = oh.cascade(small, oh.remote.triton(cloud.url, "digits"), accept=sure)
        hybrid.bind(threshold=0.0).save(tmp_path / "device.onnx")
        hybrid.bind(threshold=1.01).save(tmp_path / "cloud.onnx")
        assert run(tmp_path / "cloud.onnx") == (0, label(large))
    assert run(tmp_path / "device.onnx") == (0, label(small))
    assert label(small) != label(large)
    status, said = run(tmp_path / "cloud.onnx")
    assert status == 1
    assert "[OH501]" in said

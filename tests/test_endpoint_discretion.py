"""What a caller of the embedded endpoint is told when a model fails: what helps, and nothing of the inside."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.endpoint.discretion import discreet
from tests.endpoint_models import adder, identity, post, reshaper
from tests.test_endpoint_services import chat

X = {"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]}
SHAPE = {"name": "shape", "shape": [2], "datatype": "INT64", "data": [5, 5]}
VECTOR = [oh.TensorSpec("x", "float32", ("n",))]
ANSWER = [oh.TensorSpec("y", "float32", ("n",))]


def elsewhere(url: str, model: str, **more: Any) -> oh.Model:
    return oh.remote.triton(url, model, inputs=VECTOR, outputs=ANSWER, retries=0, timeout=5.0, **more)


@pytest.fixture(scope="module")
def inner() -> Iterator[str]:
    with serve({"reshaper": reshaper(), "adder": adder(), "same": identity("FP32")}) as endpoint:
        yield endpoint.url.replace("127.0.0.1", "localhost")


def told(model: oh.Model | Path, *inputs: dict[str, Any], name: str = "m") -> str:
    """The whole answer to a request, as text."""
    with serve({name: model}) as endpoint:
        _, answer, _ = post(endpoint.url, f"/v2/models/{name}/infer", {"inputs": list(inputs)})
        return str(answer)


def test_a_failure_of_onnx_runtime_says_what_is_wrong_and_not_where_it_was_built(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = told(reshaper(), X, SHAPE)
    assert "[OH540]" in answer
    assert "Input shape:{3}, requested shape:{5,5}" in answer
    assert "onnxruntime_src" not in answer
    assert ".h:" not in answer
    assert "onnxruntime_src" in caplog.text  # for whoever runs it


def test_the_file_of_a_model_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "secret folder" / "model.onnx"
    path.parent.mkdir()
    reshaper().save(path)
    assert str(tmp_path) not in told(path, X, SHAPE)


@pytest.mark.parametrize(
    "failing", ["no server", "no such name", "no such model", "its 500", "its 400", "an answer of another shape"]
)
def test_a_hybrid_s_failure_does_not_tell_which_server_it_calls(
    inner: str, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    def model() -> oh.Model:
        if failing == "its 500":
            return oh.remote.triton(inner, "reshaper")
        if failing == "its 400":
            wanted = [oh.TensorSpec("sum", "float32", ("n",))]
            return oh.remote.triton(inner, "adder", inputs=[oh.TensorSpec("a", "float32", ("n",))], outputs=wanted)
        if failing == "an answer of another shape":
            return oh.remote.triton(inner, "same", inputs=VECTOR, outputs=[oh.TensorSpec("y", "float32", (2,))])
        if failing == "no such model":
            return elsewhere(inner, "nobody")
        return elsewhere("http://127.0.0.1:9" if failing == "no server" else "http://gpu7.corp.invalid:8123/base", "m")

    given = [X, SHAPE] if failing == "its 500" else [{**X, "name": "a"}] if failing == "its 400" else [X]
    answer = told(model(), *given)
    assert "[OH50" in answer
    for inside in (
        "localhost",
        "127.0.0.1",
        "gpu7",
        "corp",
        "8123",
        inner.rpartition(":")[2],
        "http",
        "onnxruntime_src",
    ):
        assert inside not in answer, answer
    assert any(part in caplog.text for part in ("localhost", "127.0.0.1", "gpu7"))
    if failing == "its 400":
        assert "Expected [-1, 3], got [3]" in answer  # it is the caller's shape


def test_an_output_that_says_what_befell_a_call_does_not_tell_its_server(inner: str) -> None:
    for url in ("http://127.0.0.1:9", inner):
        answer = told(elsewhere(url, "nobody", on_error="flag"), X)
        assert "[OH50" in answer
        for inside in ("localhost", "127.0.0.1", "http", inner.rpartition(":")[2]):
            assert inside not in answer, answer


def test_the_openai_and_azureml_routes_are_as_discreet() -> None:
    spec = [oh.TensorSpec("prompt", "str", ("n",))], [oh.TensorSpec("text", "str", ("n",))]
    dead = oh.remote.triton("http://127.0.0.1:9", "m", inputs=spec[0], outputs=spec[1], retries=0, timeout=5.0)
    with serve({"m": dead, "chat": chat()}) as endpoint:
        asked = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
        for path, body in (("/v1/chat/completions", asked), ("/score/m", {"prompt": ["a"]})):
            status, answer, _ = post(endpoint.url, path, body)
            assert (status, "127.0.0.1" in str(answer), "[OH501]" in str(answer)) == (500, False, True)


SIGNATURE = "onnxruntime::common::Status onnxruntime::Gather::Compute(onnxruntime::OpKernelContext*) const"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/onnxruntime_src/a/b.h:91 onnxruntime::R(const S&, bool) a == b was false. bad {1}", "bad {1}"),
        (f"/onnxruntime_src/a/b.cc:12 {SIGNATURE} idx=9 is not in [-3,2]", "idx=9 is not in [-3,2]"),
        (r"D:\a\_work\1\s\onnxruntime\core\b.h:4 onnxruntime::R() a was false. bad", "bad"),
        ("/Users/runner/work/1/s/onnxruntime/b.cc:4 onnxruntime::R() a was false. bad", "bad"),
        ("cannot open /home/me/models/w.bin now", "cannot open … now"),
        (r"cannot open C:\Users\me\w.bin now", "cannot open … now"),
        ("cannot open ~/models/w.bin now", "cannot open … now"),
        ("asked https://u@gpu.example:8000/v2?k=v, twice", "asked … twice"),
        ("asked grpcs://[2001:db8::1]:8001 twice", "asked … twice"),
        ("no connection to 10.1.2.3:80 or [::1]:80 or fe80::1", "no connection to … or … or …"),
        ("set ONNXHYBRID_CREDENTIAL_GPU first", "set … first"),
    ],
)
def test_what_is_inside_is_left_out(text: str, expected: str) -> None:
    assert discreet(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Got invalid dimensions for input: x for the following indices index: 0 Got: 3 Expected: 2",
        "Input shape:{3,4}, requested shape:{5,-1}",
        "input 'serving/x' is float32 [n, 3], not int64 [1, 2]",
        "expected and/or 1/2 of 3:4 at 1.5",
        "opset 18.0.1 of ai.onnx",
    ],
)
def test_words_that_help_are_left(text: str) -> None:
    assert discreet(text) == text


def test_a_name_that_is_inside_goes_and_a_word_that_holds_it_stays() -> None:
    assert discreet("gpu at GPU, gpus and my-gpu", ("gpu",)) == "… at …, gpus and my-gpu"


def test_the_log_is_the_logger_of_the_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "onnxhybrid.endpoint"):
        told(reshaper(), X, SHAPE)
    assert {record.name for record in caplog.records} == {"onnxhybrid.endpoint"}


LOGGED = """
import logging, sys
from tests.test_endpoint_discretion import SHAPE, X, reshaper, told
if sys.argv[1] == "heard":
    logging.basicConfig(format="heard: %(message)s")
told(reshaper(), X, SHAPE)
"""


@pytest.mark.parametrize("listener", ["nobody", "heard"])
def test_a_failure_is_one_line_of_stderr_whether_or_not_somebody_listens(listener: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOGGED, listener], check=True, capture_output=True, text=True)
    [line] = done.stderr.splitlines()
    assert "model 'm' failed: [OH540]" in line
    assert line.startswith("heard: ") is (listener == "heard")

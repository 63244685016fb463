"""The Node package: hybrids in JavaScript as in Python, the event loop free, and mistakes told as errors."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.bindings import node
from tests.bindings.hybrids import JUDGE, LARGE, SMALL, X, remote
from tests.bindings.servers import CLOSED
from tests.bindings.suite import Suite, differences, made, served
from tests.endpoint_models import identity
from tests.recipes import classifier
from tests.servers.raw import answer, raw_server

pytestmark = pytest.mark.skipif(node.unsupported() is not None, reason=f"no Node here: {node.unsupported()}")
SAMPLE = Path(__file__).parents[1] / "samples" / "node" / "hybrid.mjs"
LOCAL = (2 * X).ravel().tolist()
REMOTE = (3 * X + 10).ravel().tolist()


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with served() as servers:
        yield made(tmp_path_factory.mktemp("suite") / "set", servers)


def found(what: str, model: oh.Model, folder: Path, *more: str) -> Any:
    model.save(folder / "model.onnx")
    program = Path(node.__file__).with_name("behaviour.mjs")
    command = ["node", str(program), str(node.package()), oh.library_path(), what, str(folder / "model.onnx"), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_hybrid_gives_in_node_what_it_gives_in_python_and_the_process_ends_in_a_call(
    suite: Suite, tmp_path: Path
) -> None:
    suite.run(node.command(tmp_path), tmp_path / "results")
    assert differences(suite, tmp_path / "results") == {}


def test_a_wrong_feed_is_an_error_and_the_session_lives_on(tmp_path: Path) -> None:
    told = found("wrong", SMALL, tmp_path)
    assert told["after"] == LOCAL
    for name, problem in told["found"].items():
        assert problem.get("isError"), name
        assert "x" in problem["message"] or "z" in problem["message"] or "y" in problem["message"], name
    codes = {name: problem.get("code") for name, problem in told["found"].items()}
    assert codes["another rank"] == codes["another fixed size"] == "ERR_ONNXRUNTIME"
    assert codes["another type"] == codes["too few elements"] == codes["an unknown input"] == "ERR_INVALID_ARG_VALUE"
    assert "is int64, and the model takes float32" in told["found"]["another type"]["message"]


def test_texts_arrive_as_they_are_or_are_refused(tmp_path: Path) -> None:
    specs = [oh.TensorSpec(name, "str", ("n",)) for name in "xy"]
    with serve({"echo": identity("BYTES")}) as server:
        told = found("texts", oh.remote.triton(server.url, "echo", inputs=specs[:1], outputs=specs[1:]), tmp_path)
    assert told["kept"] == ["grüß", "", "a\0b", "日本", "\U0001f600"]
    assert "lone surrogate" in told["surrogate"]["message"]
    assert told["number"]["code"] == told["hole"]["code"] == "ERR_INVALID_ARG_TYPE"


def test_wrong_options_are_errors_and_right_ones_are_taken(tmp_path: Path) -> None:
    told = found("options", SMALL, tmp_path)
    uncoded = {name for name, problem in told["found"].items() if not problem.get("code")}
    assert uncoded == {"a number in place of a model"}  # whose error is onnxruntime-common's own
    assert told["found"]["a session of other fields"]["code"].startswith("OH")
    assert told["after"] == LOCAL


class Barrier:
    """A server of `LARGE` that answers nobody before three requests, and one for /all-came, are there."""

    def __init__(self) -> None:
        self.all_came = threading.Barrier(4)
        body = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 3], "data": REMOTE}]}
        self.answers = {
            True: answer(b"all came", kind="text/plain"),
            False: answer(json.dumps(body).encode(), kind="application/json"),
        }

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        self.all_came.wait(60)
        self.answers[request.startswith(b"GET /all-came")](connection, request)


def test_calls_run_side_by_side_while_the_event_loop_is_free_and_end_after_a_release(tmp_path: Path) -> None:
    with raw_server(Barrier()) as server:
        told = found("aside", remote(server.url, binary=False), tmp_path, server.url)
    assert told["runs"] == [REMOTE] * 3
    assert told["released"]["isError"]


class Held:
    """A server of `LARGE` that answers three requests once it was told that their caller is terminated."""

    def __init__(self) -> None:
        self.called, self.terminated = threading.Semaphore(0), threading.Event()
        self.plain = answer(b"so it is", kind="text/plain")
        body = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 3], "data": REMOTE}]}
        self.reply = answer(json.dumps(body).encode(), kind="application/json")

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /called"):
            assert all(self.called.acquire(timeout=60) for _ in range(3))
            self.plain(connection, request)
        elif request.startswith(b"GET /terminated"):
            self.terminated.set()
            self.plain(connection, request)
        else:
            self.called.release()
            self.terminated.wait(60)
            self.reply(connection, request)


def test_a_worker_is_terminated_while_its_calls_are_under_way_and_the_process_goes_on(tmp_path: Path) -> None:
    with raw_server(Held()) as server:
        told = found("worker", remote(server.url, binary=False), tmp_path, server.url)
    assert told == {"after": REMOTE}


def test_an_input_with_a_default_may_be_left_out_or_fed(tmp_path: Path) -> None:
    with serve({"large": LARGE}) as server:
        told = found("threshold", oh.cascade(SMALL, remote(server.url), JUDGE, rows=True), tmp_path)
    assert told["names"] == ["x"]
    assert told["metadata"] == [{"name": "x", "isTensor": True, "type": "float32", "shape": ["n", 3]}]
    assert told["left"] == REMOTE[:3] + LOCAL[3:]
    assert (told["accepted"], told["refused"]) == (LOCAL, REMOTE)


def test_a_failure_is_an_error_with_its_code_and_details(tmp_path: Path) -> None:
    told = found("failing", remote(CLOSED, retries=1), tmp_path)
    assert (told["name"], told["code"], told["node"], told["attempts"]) == ("HybridError", "OH501", "large", 2)
    assert told["message"].startswith("[OH501] ")
    assert "{" not in told["message"]


def test_the_types_hold_what_a_user_writes() -> None:
    done = subprocess.run(["npm", "run", "types"], cwd=node.package(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_sample_runs_as_python_does(tmp_path: Path) -> None:
    small, large = classifier(0), classifier(1)
    sure = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    image = (np.arange(64) % 16).astype(np.float32)[np.newaxis]
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "onnxhybrid").symlink_to(node.package())
    shutil.copy(SAMPLE, tmp_path)

    def said(*arguments: str) -> str:
        command = ["node", str(tmp_path / SAMPLE.name), *arguments]
        environment = {**os.environ, "ONNXHYBRID_LIBRARY": oh.library_path()}
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False).stdout

    with serve({"digits": large}) as cloud:
        oh.cascade(small, oh.remote.triton(cloud.url, "digits"), accept=sure).save(tmp_path / "hybrid.onnx")
        for threshold, model in (("0", small), ("1.01", large)):
            label = oh.Session(model).run(["label"], {"image": image})[0][0]
            assert said(str(tmp_path / "hybrid.onnx"), threshold) == f"label {label}\n"
    assert said(str(tmp_path / "hybrid.onnx"), "1.01").startswith("OH501: ")

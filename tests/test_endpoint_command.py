"""`python -m onnxhybrid.endpoint`, as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, final

import onnx
import pytest

from tests.endpoint_models import post, request

COMMAND = [sys.executable, "-m", "onnxhybrid.endpoint"]
X = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tensors = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(proto, tmp_path / "neg.onnx")
    return tmp_path / "neg.onnx"


@final
class Running:
    """The command, up to the line that says its URL."""

    def __init__(self, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            COMMAND + arguments,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = self._stdout.readline()
        found = re.search(r"http://\S+", self.said)
        assert found, self.said + self._stdout.read()
        self.url = found[0]

    def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        self.said += self._stdout.read()
        return self.process.wait(timeout=60)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def _stdout(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout


@pytest.fixture
def running(model: Path) -> Iterator[Running]:
    with Running([f"neg={model}", f"again={model}"]) as command:
        yield command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_end(running: Running, number: signal.Signals) -> None:
    for name in ("neg", "again"):
        assert post(running.url, f"/v2/models/{name}/infer", {"inputs": [X]})[1]["outputs"][0]["data"] == [-1, -2]
    assert running.end(number) == 0
    assert "Traceback" not in running.said
    assert f'oh.remote.triton("{running.url}", "neg")' in running.said


def test_the_command_takes_a_token_from_the_environment_and_does_not_print_it(model: Path) -> None:
    with Running([f"neg={model}"], {"ONNXHYBRID_ENDPOINT_TOKEN": "s3cret"}) as command:
        assert request(command.url, "GET", "/v2")[0] == 401
        assert request(command.url, "GET", "/v2", headers={"Authorization": "Bearer s3cret"})[0] == 200
        assert command.end(signal.SIGTERM) == 0
        assert "s3cret" not in command.said


def test_the_command_answers_for_the_hosts_that_it_is_told(model: Path) -> None:
    with Running([f"neg={model}", "--allow-host", "gpu.example", "--allow-host", "b.example"]) as command:
        statuses = [
            request(command.url, "GET", "/v2", headers={"Host": f"{name}.example"})[0] for name in ("gpu", "b", "c")
        ]
    assert statuses == [200, 200, 421]


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, **(environment or {})}
    return subprocess.run(
        [*COMMAND, *arguments], env=surroundings, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["neg"], "write name=file.onnx"),
        (["=neg.onnx"], "write name=file.onnx"),
        (["neg={model}", "neg={model}"], "two models are called 'neg'"),
        (["neg=absent.onnx"], "absent.onnx"),
        (["a/b={model}"], "cannot be a model's name"),
        (["neg={model}", "--port", "x"], "invalid int value"),
        (["neg={model}", "--port", "99999"], "no port"),
        (["neg={model}", "--host", "no.such.host.invalid"], "cannot listen"),
        (["neg={model}", "--allow-host", "http://gpu.example"], "is no host"),
        (["neg={model}", "--max-memory-bytes", "0"], "max_memory_bytes is 0"),
        (["neg={model}", "--max-connections", "-1"], "max_connections is -1"),
        (["neg={model}", "--receive-timeout", "nan"], "receive_timeout is nan"),
    ],
)
def test_a_bad_argument_gives_one_clear_sentence(model: Path, arguments: list[str], message: str) -> None:
    done = run(*(argument.format(model=model) for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_an_empty_token_is_refused_and_no_open_door(model: Path) -> None:
    done = run(f"neg={model}", environment={"ONNXHYBRID_ENDPOINT_TOKEN": ""})
    assert (done.returncode, "token" in done.stderr) == (2, True)


def test_a_port_in_use_gives_one_clear_sentence(model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run(f"neg={model}", "--port", str(other.getsockname()[1]))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def without_extra(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter that finds neither starlette nor uvicorn."""
    hide = "import sys; sys.modules.update(dict.fromkeys(['starlette', 'uvicorn', 'anyio'])); "
    return subprocess.run(
        [sys.executable, "-c", hide + program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_without_the_extra_the_error_says_what_to_install() -> None:
    done = without_extra("from onnxhybrid.endpoint import serve; serve({})")
    (told,) = [line for line in done.stderr.splitlines() if "[OH551]" in line]
    assert told.endswith('pip install "onnxhybrid[endpoint]"')


def test_importing_the_package_does_not_import_the_extra() -> None:
    program = "import onnxhybrid, onnxhybrid.endpoint, sys; print({'starlette', 'uvicorn', 'anyio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"

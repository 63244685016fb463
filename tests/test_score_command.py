"""The verb `score`: what `oh.score` does, on the right streams, with the right exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import cascades
from tests.command import PROGRAM, typed
from tests.scoring import Array, labels, results, rows, sent, written
from tests.servers.counted import Counted, at, counted


@pytest.fixture(autouse=True)
def x(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Array:
    monkeypatch.chdir(tmp_path)
    cascades.cascade().save("hybrid.onnx")
    written(tmp_path, rows(300))
    return rows(300)


WORDS = ["score", "hybrid.onnx", "rows.parquet", "-o", "out", "--key", "id"]


def served(server: Counted) -> None:
    cascades.cascade(asked=server.remote()).save("hybrid.onnx")


def test_the_verb_does_what_the_function_does(x: Array) -> None:
    with counted() as server:
        served(server)
        ended = typed(*WORDS, "--batch", "16", "--workers", "4", "--value", "threshold=0.25", "--keep", "x", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["sent"] == sent(x, 0.25)
    found = results(Path("out"))
    assert found.schema.names == ["id", "x", "label"]
    assert found["label"].to_pylist() == labels(x, 0.25)


def test_rows_that_failed_are_exit_code_one_and_the_same_command_goes_on(x: Array) -> None:
    with counted() as server:
        served(server)
        server.fails = lambda _, asked: tuple(x[x[:, 1] < 0.5][0].tolist()) in asked
        ended = typed(*WORDS, "--patience", "0")
        assert ended.code == 1
        assert "300 rows" in ended.out
        assert "1 failed" in ended.out
        server.fails = lambda _, __: False
        assert typed(*WORDS).code == 0
    assert results(Path("out"))["id"].to_pylist() == list(range(300))


def test_what_ends_it_is_one_line_and_how_far_it_came_another() -> None:
    with counted() as server:
        served(server)
        server.fails = lambda _, __: True
        server.failure = "401 No"
        ended = typed(*WORDS)
    assert ended.code == 1
    assert ended.out == ""
    assert "The same call goes on" in ended.err
    assert ended.err.splitlines()[-1].startswith("error: [OH503]")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["score", "hybrid.onnx", "absent.parquet", "-o", "out"], 1, "OH640"),
        (["score", "absent.onnx", "rows.parquet", "-o", "out"], 1, "OH1"),
        (["score", "hybrid.onnx", "rows.parquet"], 2, "OH700"),
        ([*WORDS, "--column", "x"], 2, "OH700"),
        ([*WORDS, "--column", "y=x"], 1, "OH641"),
        ([*WORDS, "--keep", "lable"], 1, "OH641"),
        ([*WORDS, "--only", "lable"], 1, "OH649"),
        ([*WORDS, "--value", "threshold=high"], 1, "OH642"),
        ([*WORDS, "--value", "treshold=1"], 1, "OH641"),
        ([*WORDS, "--batch", "0"], 2, "OH700"),
        ([*WORDS, "--patience", "-1"], 2, "OH700"),
        ([*WORDS, "--engine", "dask"], 2, "OH700"),
        ([*WORDS, "--endpoint", "gpu=http://127.0.0.1:9"], 1, "OH575"),
        ([*WORDS[:4], "rows.parquet"], 1, "OH645"),
        (["score", "hybrid.onnx", "twice.parquet", "-o", "out", "--key", "id"], 1, "OH644"),
    ],
)
def test_what_is_wrong_is_one_coded_line(words: list[str], code: int, told: str) -> None:
    pq.write_table(pa.table({"id": [1, 1], "x": [[0.0] * 3] * 2}), "twice.parquet")
    ended = typed(*words)
    assert ended.code == code
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith(f"error: [{told}")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to another process")
def test_ctrl_c_is_130() -> None:
    with counted() as server:
        served(server)
        with subprocess.Popen([*PROGRAM, *WORDS, "--batch", "4"], stderr=subprocess.PIPE) as process:
            server.fails = at(9, lambda: process.send_signal(signal.SIGINT))
            _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in told

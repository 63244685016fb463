"""The verb `calibrate`: what `oh.calibrate` finds, on the right streams, with the right exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests import cascades
from tests.command import typed
from tests.recipes import models
from tests.servers.counted import counted

ROWS = np.random.default_rng(0).random((400, 64), np.float32)
WORDS = ["calibrate", "hybrid.onnx", "--input", "image=rows.npy", "--loss", "0.05", "--confidence", "0.9"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models(tmp_path)
    monkeypatch.chdir(tmp_path)
    sure = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    oh.cascade(oh.load("small.onnx"), oh.load("large.onnx"), accept=sure, rows=True).save("hybrid.onnx")
    np.save("rows.npy", ROWS)
    np.save("labels.npy", oh.Session("large.onnx").run(["label"], {"image": ROWS})[0])


def test_the_verb_finds_what_the_function_finds() -> None:
    ended = typed(*WORDS, "--compare", "label", "--labels", "labels.npy", "--cost", "0.002", "--json", "-o", "out.onnx")
    assert ended.err == ""
    expected = oh.calibrate(
        "hybrid.onnx",
        ROWS,
        np.load("labels.npy"),
        output="label",
        loss=0.05,
        confidence=0.9,
        cost=0.002,
        progress=False,
    )
    told, wanted = json.loads(ended.out), json.loads(expected.to_json())
    for each in (told, wanted):
        each["summary"].pop("request_time")
        [point.pop("latency") for point in each["points"]]
    assert told == wanted
    assert ended.code == 0
    assert "onnxhybrid.certificate" in oh.load("out.onnx").metadata
    assert json.loads(typed("inspect", "out.onnx", "--json").out)["certificate"]["loss"] == 0.05
    assert "certificate" in typed("inspect", "out.onnx").out


def test_the_table_and_the_picture_are_those_of_the_calibration() -> None:
    ended = typed(*WORDS, "--compare", "label", "--plot", "curve.svg")
    assert ended.code == 0
    assert "threshold" in ended.out
    assert Path("curve.svg").exists()


def test_the_page_holds_the_curve_and_the_promise() -> None:
    ended = typed(*WORDS, "--compare", "label", "--labels", "labels.npy", "--report", "page.html", "--json")
    assert (ended.code, ended.err) == (0, "")
    page = Path("page.html").read_text(encoding="utf-8")
    assert json.loads(ended.out)["promise"] in page
    assert 'class="curve"' in page


@pytest.mark.parametrize("file", ["names.npy", "names.json"])
def test_labels_may_be_texts_where_the_answers_are(file: str) -> None:
    named = helper.make_node("LabelEncoder", ["label"], ["name"], domain="ai.onnx.ml",
                             keys_int64s=list(range(10)), values_strings=[f"digit {k}" for k in range(10)])  # fmt: skip
    ends = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("name", TensorProto.STRING, ["n"]),
    ]
    graph = helper.make_graph([named], "names", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    names = oh.Model.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    local, remote = (oh.chain(oh.load(f"{size}.onnx"), names) for size in ("small", "large"))
    sure = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    oh.cascade(local, remote, accept=sure, rows=True).save("hybrid.onnx")
    texts = [f"digit {label}" for label in np.load("labels.npy")]
    np.save("names.npy", np.array(texts))
    Path("names.json").write_text(json.dumps(texts), encoding="utf-8")
    ended = typed(*WORDS, "--compare", "name", "--labels", file, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["summary"]["remote_accuracy"] == 1
    ended = typed(*WORDS, "--compare", "name", "--labels", "labels.npy")
    assert (ended.code, "[OH605]" in ended.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        ([], "OH703", 1),
        (["--input", "image=absent.npy"], "OH701", 1),
        (["--input", "image=rows.npy", "--labels", "absent.npy"], "OH701", 1),
        (["--input", "image=rows.npy", "--labels", "rows.npy"], "OH605", 1),
        (["--input", "image=rows.npy", "--loss", "2"], "OH607", 1),
        (["--input", "image=rows.npy", "--cost", "much"], "OH700", 2),
        (["--input", "image=rows.npy", "--cost", "1", "--cost", "2"], "OH700", 2),
        (["--input", "image=rows.npy", "--compare", "nothing"], "OH608", 1),
    ],
)
def test_what_is_wrong_is_one_message_with_a_code(words: list[str], code: str, status: int) -> None:
    ended = typed("calibrate", "hybrid.onnx", *words)
    [line] = ended.err.splitlines()
    assert (ended.code, ended.out, f"[{code}]" in line) == (status, "", True), line


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-o", "absent/out.onnx"], "OH112"),
        (["-o", "."], "OH112"),
        (["-o", "/dev/full"], "OH112"),
        (["-o", "out.onnx", "--plot", "curve.txt"], "OH612"),
        (["-o", "out.onnx", "--plot", "absent/curve.svg"], "OH612"),
        (["-o", "out.onnx", "--report", "page.txt"], "OH690"),
        (["-o", "out.onnx", "--report", "absent/page.html"], "OH704"),
    ],
)
def test_what_cannot_be_written_is_told_before_a_call_is_paid(words: list[str], code: str) -> None:
    with counted() as server:
        cascades.cascade(asked=server.remote()).save("counted.onnx")
        np.save("x.npy", cascades.drawn(200, 0)[0])
        ended = typed("calibrate", "counted.onnx", "--input", "x=x.npy", *words)
    assert (ended.code, server.requests) == (1, 0)
    assert ended.err.startswith(f"error: [{code}]")
    assert not Path("out.onnx").exists()

"""The embedded endpoint runs large batches in slices, where that gives the same, and gives memory back."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.endpoint.__main__ import main
from tests.endpoint_process import serving
from tests.strategies import Array, dense, of_graph, rows, run
from tests.test_endpoint_services import chat

MIB = 1 << 20
ROWS = 1024
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def wide() -> oh.Model:
    """float32 (n, 64) -> float32 (n, 4), with 4 KiB of numbers for each row in between."""
    names = {"h": (64, 1024), "y": (1024, 4)}
    parts = [dense(name, source, name, names[name]) for source, name in (("x", "h"), ("h", "y"))]
    return oh.chain(*parts)


def centred() -> oh.Model:
    """`y = x - mean(x)` over all rows: each slice would have a mean of its own."""
    axes = numpy_helper.from_array(np.array([0], np.int64), "axes")
    nodes = [helper.make_node("ReduceMean", ["x", "axes"], ["mean"]), helper.make_node("Sub", ["x", "mean"], ["y"])]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    return of_graph(helper.make_graph(nodes, "centred", tensors[:1], tensors[1:], [axes]), opset=18)


def positive() -> oh.Model:
    """The numbers of x above zero: as many as there are."""
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["above"]),
        helper.make_node("Compress", ["x", "above"], ["y"], axis=0),
    ]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    zero = numpy_helper.from_array(np.array(0, np.float32), "zero")
    return of_graph(helper.make_graph(nodes, "positive", tensors[:1], tensors[1:], [zero]))


def asked(url: str, model: str, x: Array) -> Array:
    (y,) = oh.Session(oh.remote.triton(url, model, timeout=60)).run(["y"], {"x": x})
    return np.asarray(y)


def _grown(folder: Path, batch: int | None, x: Array) -> tuple[int, int]:
    """By how much the endpoint's process grew while it answered a batch, and what it kept of that."""
    with serving(folder, {"wide": wide()}, batch=batch) as process:
        asked(process.url, "wide", x[:2])
        before, answers = process.held(), list[Array]()
        peak = process.peak(lambda: answers.append(asked(process.url, "wide", x)))
        asked(process.url, "wide", x[:2])
        np.testing.assert_allclose(answers[0], run(wide(), {"x": x})["y"], rtol=1e-3, atol=1e-4)
        return peak, process.held() - before


@on_linux
def test_a_large_batch_takes_the_memory_of_a_slice_and_gives_it_back(tmp_path: Path) -> None:
    x = rows(50_000, 64)  # 13 MB; in between 200 MB
    grown = {batch: _grown(tmp_path, batch, x) for batch in (None, 0)}
    assert grown[None][0] < 90 * MIB
    assert grown[0][0] > 190 * MIB  # as much as one run takes, which is given back all the same
    assert max(kept for _, kept in grown.values()) < 40 * MIB


@on_linux
def test_a_cascade_by_rows_makes_its_server_hold_no_more(tmp_path: Path) -> None:
    x = rows(50_000, 64)
    with serving(tmp_path, {"wide": wide()}) as process:
        remote = oh.remote.triton(process.url, "wide", timeout=60)
        local = dense("local", "x", "y", (64, 4))
        session = oh.Session(oh.cascade(local, remote, accept=oh.judge.value("y") >= 1e9, rows=True))
        session.run(["y"], {"x": x[:2]})
        found: list[Any] = []
        assert process.peak(lambda: found.extend(session.run(["y"], {"x": x}))) < 170 * MIB
    np.testing.assert_allclose(found[0], run(wide(), {"x": x})["y"], rtol=1e-3, atol=1e-4)


def test_rows_that_look_at_each_other_are_run_together_unless_somebody_vouches_for_them() -> None:
    x = rows(3 * ROWS, 3)
    whole = run(centred(), {"x": x})["y"]
    with serve({"centred": centred()}) as endpoint:
        np.testing.assert_array_equal(asked(endpoint.url, "centred", x), whole)
    with serve({"centred": centred()}, batch={"centred": ROWS}) as endpoint:
        found = asked(endpoint.url, "centred", x)
    slices = [run(centred(), {"x": x[first : first + ROWS]})["y"] for first in range(0, len(x), ROWS)]
    np.testing.assert_array_equal(found, np.concatenate(slices))
    assert not np.array_equal(found, whole)


@settings(max_examples=25)
@given(count=st.integers(0, 50), batch=st.integers(0, 20), seed=st.integers(0, 9))
def test_slices_give_what_one_run_gives(count: int, batch: int, seed: int) -> None:
    texts = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n", 2]) for name in ("t", "u")]
    numbers = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n"]) for name in ("k", "l")]
    whole = helper.make_tensor_value_info("w", TensorProto.INT64, [1])
    nodes = [helper.make_node("Identity", ["t"], ["u"]), helper.make_node("Add", ["k", "w"], ["l"])]
    graph = helper.make_graph(nodes, "same", [texts[0], numbers[0], whole], [texts[1], numbers[1]])
    random = np.random.default_rng(seed)
    t = random.integers(0, 99, (count, 2)).astype(str).astype(object)
    k = random.integers(0, 99, count)
    with serve({"same": of_graph(graph)}, batch=batch) as endpoint:
        session = oh.Session(oh.remote.triton(endpoint.url, "same"))
        u, found = session.run(["u", "l"], {"t": t, "k": k, "w": np.array([7])})
    np.testing.assert_array_equal(u, t)
    np.testing.assert_array_equal(found, k + 7)


def test_a_model_that_gives_other_rows_than_it_is_given_is_told_so() -> None:
    x = np.array([1, -1, 2, -2, 3], np.float32)
    with serve({"positive": positive()}, batch=2) as endpoint:
        with pytest.raises(oh.RemoteStatusError, match=r"500.*slices of 2 rows.*'y' has the shape \[1\]"):
            asked(endpoint.url, "positive", x)
        assert asked(endpoint.url, "positive", x[:2]).shape == (1,)
    with serve({"positive": positive()}) as endpoint:
        np.testing.assert_array_equal(asked(endpoint.url, "positive", np.tile(x, ROWS)), np.tile(x[::2], ROWS))


def test_inputs_that_differ_in_their_rows_are_run_as_they_came() -> None:
    tensors = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3]) for name in "aby"}
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["y"])], "sum", [tensors["a"], tensors["b"]], [tensors["y"]]
    )
    a, b = rows(2 * ROWS, 3), rows(1, 3)
    with serve({"sum": of_graph(graph)}) as endpoint:
        (y,) = oh.Session(oh.remote.triton(endpoint.url, "sum")).run(["y"], {"a": a, "b": b})
    np.testing.assert_array_equal(y, a + b)


def test_every_protocol_is_served_in_slices() -> None:
    body = json.dumps({"x": [[0.0] * 3, [1.0] * 3, [2.0] * 3]}).encode()
    with serve({"centred": centred()}, batch=1) as endpoint:
        request = urllib.request.Request(endpoint.url + "/score", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["y"] == [[0.0] * 3] * 3


@pytest.mark.parametrize("batch", [-1, 1.5, True, "2", {"wide": -1}, {"wide": None, "other": 1}])
def test_a_batch_is_a_number_of_rows_by_model(batch: Any) -> None:
    with pytest.raises(oh.Error, match=r"OH552.*batch"):
        serve({"wide": wide()}, batch=batch)


def test_a_model_without_rows_that_is_to_be_cut_is_refused_where_it_is_meant() -> None:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 3]) for name in "xy"]
    fixed = of_graph(helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "fixed", tensors[:1], tensors[1:]))
    with pytest.raises(oh.Error, match=r"OH552.*'fixed' cannot be run in slices.*no input"):
        serve({"fixed": fixed}, batch={"fixed": 2})
    with serve({"fixed": fixed, "centred": centred(), "chat": chat()}, batch=2) as endpoint:
        x = rows(4, 3)
        np.testing.assert_array_equal(asked(endpoint.url, "fixed", x), -x)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--batch", "many"], "'many' is no number of rows"),
        (["--batch", "wide="], "'' is no number of rows"),
        (["--batch", "2", "--batch", "wide=3"], "once for all models"),
        (["--batch", "other=3"], "batch names 'other'"),
    ],
)
def test_the_command_takes_rows_for_all_or_by_name(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide().save(tmp_path / "wide.onnx")
    assert main([f"wide={tmp_path / 'wide.onnx'}", *arguments]) == 2
    assert says in capsys.readouterr().err

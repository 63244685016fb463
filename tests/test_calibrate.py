"""`oh.calibrate`: the threshold is the one that a reference of its own finds, and the promise holds."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from scipy import stats

import onnxhybrid as oh
from tests.cascades import THRESHOLD, cascade, drawn, local, remote, table

Array = npt.NDArray[Any]
VALUE, OTHER = oh.judge.value("score"), oh.judge.value("other")


def calibrate(hybrid: oh.Model, data: Any, labels: Any = None, **options: Any) -> oh.Calibration:
    return oh.calibrate(hybrid, data, labels, progress=False, **options)


def reference(scores: Array, losses: Array, loss: float, confidence: float, *, upwards: bool = True) -> Array:
    """Which rows are kept: brute force over all scores, from the strictest, with Clopper and Pearson's bound."""
    kept = np.zeros(len(scores), bool)
    for threshold in sorted(set(scores[~np.isnan(scores)].tolist()), reverse=upwards):
        would = scores >= threshold if upwards else scores <= threshold
        lost = int((would & losses).sum())
        high = 1.0 if lost == len(scores) else stats.beta.ppf(confidence, lost + 1, len(scores) - lost)
        if high > loss:
            break
        kept = would
    return np.asarray(kept)


def kept_by(calibration: oh.Calibration, data: Array) -> Array:
    """Which rows the file keeps at its default threshold, as ONNX Runtime runs it."""
    reported = {spec.name for spec in calibration.model.outputs}
    assert "accepted" in reported
    (accepted,) = oh.Session(calibration.model).run(["accepted"], {"x": data})
    return np.asarray(accepted)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Array, Array]:
    """Rows with few scores, so that many are equal, and NaN among them."""
    rows = draw(st.integers(60, 300))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, rows)
    levels = draw(st.sampled_from([3, 20, 1000]))
    scores = (random.integers(0, levels, rows) / levels).astype(np.float32)
    wrong = random.random(rows) < draw(st.floats(0, 0.5)) * (1 - scores)
    scores[random.random(rows) < draw(st.sampled_from([0, 0.1]))] = np.nan
    remotely = np.where(random.random(rows) < draw(st.floats(0, 0.3)), labels + 9, labels)
    return table(np.where(wrong, labels + 1, labels), scores, remotely), labels


JUDGES = [
    (lambda limit: limit <= VALUE, True),
    (lambda limit: limit < VALUE, True),
    (lambda limit: limit >= VALUE, False),
    (lambda limit: limit > VALUE, False),
    (lambda limit: ~(limit > VALUE), True),
    (lambda limit: ~(limit < VALUE), False),
]


@pytest.mark.parametrize(("judge", "upwards"), JUDGES, ids=[">=", ">", "<=", "<", "not <", "not >"])
@settings(max_examples=15)
@given(tables(), st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.8, 0.9]))
def test_the_file_keeps_exactly_the_rows_that_a_reference_keeps(
    judge: Any, upwards: bool, rows: tuple[Array, Array], loss: float, confidence: float
) -> None:
    data, labels = rows
    hybrid = cascade(judge(THRESHOLD), report=True)
    found = calibrate(hybrid, data, labels, output="label", loss=loss, confidence=confidence)
    losses = (data[:, 0] != labels) & (data[:, 2] == labels)
    wanted = reference(data[:, 1], losses, loss, confidence, upwards=upwards)
    assert kept_by(found, data).tolist() == wanted.tolist()
    assert found.chosen.share_sent == pytest.approx(1 - wanted.mean())
    assert found.certificate is not None
    assert found.certificate.rows == len(labels)
    right = np.where(wanted, data[:, 0], data[:, 2]) == labels
    assert found.chosen.accuracy == pytest.approx(right.mean())


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("speculate", [True, False])
def test_a_row_a_call_and_many_rows_a_call_give_the_same(rows: bool, speculate: bool) -> None:
    data, labels = drawn(400, 5)
    found = calibrate(cascade(rows=rows, speculate=speculate), data, labels, loss=0.05)
    wanted = calibrate(cascade(), data, labels, loss=0.05)
    assert found.points == wanted.points
    assert found.threshold == wanted.threshold


def test_the_promise_is_broken_as_rarely_as_it_says() -> None:
    """Rows are drawn anew 300 times; the expected loss is known, since the rows are drawn by a known law."""
    loss, confidence, trials = 0.05, 0.9, 300

    def expected(threshold: float) -> float:
        # local is wrong with probability 0.4 (1 - s) at score s, and the remote is right with 0.95
        return 0.0 if threshold > 1 else 0.95 * 0.4 * (1 - threshold) ** 2 / 2

    broken = sum(
        expected(calibrate(_TRIED, *drawn(400, seed), loss=loss, confidence=confidence).threshold) > loss
        for seed in range(trials)
    )
    assert broken <= stats.binom.ppf(0.999, trials, 1 - confidence)
    assert broken > 0  # a bound that is never broken sends more than it has to


_TRIED = cascade()


BOTH_WAYS = (VALUE >= THRESHOLD) & (OTHER <= THRESHOLD)
EITHER = (VALUE >= THRESHOLD) | (OTHER >= THRESHOLD)


@pytest.mark.parametrize("judge", [BOTH_WAYS, EITHER], ids=["opposed", "either"])
def test_a_judge_of_several_scores_keeps_the_promise_on_a_grid_that_no_row_chose(judge: oh.Model) -> None:
    random = np.random.default_rng(0)
    rows, labels = drawn(2000, 1)
    data = np.concatenate([rows, random.random((2000, 1)).astype(np.float32)], axis=1)
    found = calibrate(cascade(judge, report=True), data, labels, loss=0.03, output="label")
    (accepted,) = oh.Session(found.model).run(["accepted"], {"x": data})
    lost = int((accepted & (data[:, 0] != labels) & (data[:, 2] == labels)).sum())
    assert accepted.any()
    assert stats.beta.ppf(0.95, lost + 1, len(labels) - lost) <= 0.03
    assert found.chosen.share_sent == pytest.approx(1 - accepted.mean())
    assert not {point.threshold for point in found.points} & {*data[:, 1].tolist(), *data[:, 3].tolist()}


def test_rows_that_the_judge_keeps_whatever_the_threshold_is_leave_no_certificate() -> None:
    data, labels = drawn(500, 3, local_right=0.5)
    always = (VALUE >= THRESHOLD) | oh.judge.equals("label", 5)
    data[:200, 0], labels[:200], data[:200, 2] = 5, 1, 1
    found = calibrate(cascade(always), data, labels)
    assert found.certificate is None
    assert "onnxhybrid.certificate" not in found.model.metadata
    assert "whatever the threshold" in str(found)


def test_labels_are_any_sequence_of_what_the_output_gives() -> None:
    data, labels = drawn(400, 15)
    plain = calibrate(cascade(), data, labels, loss=0.05).points
    for same in (labels.tolist(), tuple(labels), labels.astype(object), labels.astype(float), labels[:, None]):
        assert calibrate(cascade(), data, same, loss=0.05).points == plain


def test_labels_of_several_lengths_are_right_where_they_are_the_answer() -> None:
    data, labels = drawn(400, 4)
    ragged = [[label, label] if place % 2 else [label] for place, label in enumerate(labels.tolist())]
    found = calibrate(cascade(), data, ragged, loss=0.1)
    assert found.summary.remote_accuracy == np.mean((data[:, 2] == labels)[::2]) / 2


def test_without_labels_the_remote_is_right() -> None:
    data, _ = drawn(600, 4)
    assert calibrate(cascade(), data).points == calibrate(cascade(), data, data[:, 2].astype(int)).points


def test_texts_and_bools_and_matrices_are_compared_as_a_whole() -> None:
    data, labels = drawn(400, 6)
    names = np.array([f"é{label}" for label in labels], object)
    texts = oh.chain(cascade(rows=False), _named())
    found = calibrate(texts, data, names, loss=0.05)
    assert found.points == calibrate(cascade(), data, labels, loss=0.05).points


def _named() -> oh.Model:
    nodes = [
        helper.make_node("Cast", ["label"], ["digits"], to=TensorProto.STRING),
        helper.make_node("StringConcat", ["mark", "digits"], ["name"]),
    ]
    mark = numpy_helper.from_array(np.array("é", object), "mark")
    inputs = [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("name", TensorProto.STRING, ["n"])]
    graph = helper.make_graph(nodes, "named", inputs, outputs, [mark])
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9))


def test_batches_of_any_sizes_give_what_arrays_give() -> None:
    data, labels = drawn(700, 7)
    cuts = [0, 1, 300, 301, 700]
    whole = calibrate(cascade(), {"x": data}, labels, loss=0.03)

    def batches(array: Array) -> Iterator[Array]:
        return (array[a:b] for a, b in itertools.pairwise(cuts))

    each = calibrate(cascade(), ({"x": part} for part in batches(data)), batches(labels), loss=0.03)
    beside = calibrate(cascade(), batches(data), list(labels), loss=0.03)
    for found in (each, beside):
        assert found.points == whole.points
        assert found.certificate == whole.certificate


@pytest.mark.parametrize("rows", [True, False])
def test_batches_may_come_in_one_array_that_is_filled_anew(rows: bool) -> None:
    data, labels = drawn(400, 17)

    def refilled(source: Array) -> Iterator[Array]:
        buffer = np.empty_like(source[:10])
        for start in range(0, 400, 10):
            buffer[:] = source[start : start + 10]
            yield buffer

    hybrid = cascade(rows=rows)
    whole = calibrate(hybrid, data, labels, loss=0.1)
    found = calibrate(hybrid, refilled(data), refilled(labels), loss=0.1)
    assert found.points == whole.points
    assert found.certificate == whole.certificate


def test_where_nothing_can_be_proven_all_is_sent_and_it_says_how_many_rows_it_takes() -> None:
    rows = 400
    labels = np.zeros(rows, int)
    locally = labels.copy()
    locally[:2] = 1
    data = table(locally, np.ones(rows), labels)
    found = calibrate(cascade(report=True), data, labels, output="label")
    assert math.isnan(found.threshold)
    assert not kept_by(found, data).any()
    infinite = table(locally, np.full(rows, np.inf), labels)
    assert not kept_by(found, infinite).any()
    assert found.needed is not None
    assert f"about {found.needed} rows" in str(found)

    def provable(count: int) -> bool:
        return bool(stats.binom.cdf(math.ceil(count * 2 / rows), count, 0.01) <= 0.05)

    assert provable(found.needed)
    assert not provable(found.needed * 95 // 100)


def test_a_probability_that_nothing_reaches_is_infinite() -> None:
    labels = np.zeros(400, int)
    data = table(labels + 1, np.ones(400), labels)
    judge = oh.judge.max_probability("score") >= THRESHOLD
    found = calibrate(cascade(judge, rows=False), data, labels)
    assert found.threshold == math.inf
    assert found.needed is None
    assert "more rows would not change that" in found.promise
    assert found.certificate is not None
    assert (found.certificate.loss_high, found.certificate.differ_high) == (0, 0)
    assert json.loads(found.model.metadata["onnxhybrid.certificate"])["threshold"] == "inf"


def test_float64_scores_are_compared_as_the_graph_compares_them() -> None:
    close = 0.5 + np.arange(400) * 1e-12
    rng = np.random.default_rng(0)
    wrong = rng.random(400) < 0.3 * (1 - np.arange(400) / 400)
    judge = oh.judge.value("score", dtype="float64") >= THRESHOLD
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n"]),
    ]
    inputs = [
        helper.make_tensor_value_info("given", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("sure", TensorProto.DOUBLE, ["n"]),
    ]
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("given", "label"), ("sure", "score"))]
    made = helper.make_model(
        helper.make_graph(nodes, "l", inputs, outputs), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    truth = helper.make_model(
        helper.make_graph(
            [helper.make_node("Sub", ["given", "given"], ["label"])], "r", inputs[:1], outputs[:1]
        ),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=9,
    )  # fmt: skip
    hybrid = oh.cascade(oh.Model.from_proto(made), oh.Model.from_proto(truth), accept=judge, rows=True, report=True)
    feeds = {"given": wrong.astype(np.int64), "sure": close}
    found = calibrate(hybrid, feeds, output="label", loss=0.1)
    (accepted,) = oh.Session(found.model).run(["accepted"], feeds)
    assert accepted.tolist() == reference(close, wrong, 0.1, 0.95).tolist()
    assert 0 < accepted.sum() < 400


INFINITE: list[Any] = [np.inf, -np.inf, 0.0, 1.0, np.finfo(np.float32).max, np.finfo(np.float32).min]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("judge", [judge for judge, _ in JUDGES], ids=[">=", ">", "<=", "<", "not <", "not >"])
def test_infinite_scores_are_counted_as_the_file_keeps_them(judge: Any) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 300)
    scores = rng.choice(np.array(INFINITE), 300)
    data = table(np.where(rng.random(300) < 0.02, labels + 1, labels), scores, labels)
    found = calibrate(cascade(judge(THRESHOLD), report=True), data, labels, output="label", loss=0.1)
    kept = kept_by(found, data)
    assert found.chosen.share_sent == pytest.approx(1 - kept.mean())
    assert found.chosen.loss == pytest.approx(np.mean(kept & (data[:, 0] != labels)))
    assert kept.any()


def _coarse_judge() -> oh.Model:
    """A judge whose scores are finer than its threshold."""
    nodes = [
        helper.make_node("Cast", ["threshold"], ["limit"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["score"], ["finer"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["finer", "tiny"], ["moved"]),
        helper.make_node("Add", ["moved", "half"], ["best"]),
        helper.make_node("GreaterOrEqual", ["best", "limit"], ["fine"]),
    ]
    inputs = [
        helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("threshold", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("fine", TensorProto.BOOL, ["n"])]
    constants = [numpy_helper.from_array(np.array(v), name) for name, v in (("tiny", 1e-6), ("half", 0.5))]
    graph = helper.make_graph(nodes, "coarse", inputs, outputs, constants)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


def test_a_threshold_that_is_coarser_than_the_scores_is_told_as_the_file_keeps_rows() -> None:
    data, labels = drawn(400, 12)
    found = calibrate(cascade(_coarse_judge(), report=True), data, labels, output="label", loss=0.1)
    kept = kept_by(found, data)
    assert found.chosen.share_sent == pytest.approx(1 - kept.mean())
    assert len({point.share_sent for point in found.points}) == len(found.points) < 20
    assert 0 < kept.mean() < 1


def test_points_are_dense_where_the_curve_is_steep_and_hold_both_ends() -> None:
    random = np.random.default_rng(1)
    labels = np.zeros(5000, int)
    scores = np.where(np.arange(5000) < 4900, 1 + np.arange(5000) * 1e-5, random.random(5000))
    found = calibrate(cascade(), table(random.random(5000) < 0.3 * (scores < 1.02), scores, labels), labels)
    assert len(found.points) <= 110
    assert found.points[0].share_sent == 1
    assert found.points[-1].share_sent == 0
    steps = np.diff([point.share_sent for point in found.points])
    assert (steps <= 0).all()
    assert -steps.min() < 0.05
    for point in found.points:
        assert point.share_low <= point.share_sent <= point.share_high
        assert point.accuracy_low <= point.accuracy <= point.accuracy_high
        assert point.loss <= point.loss_high


def test_the_ends_of_the_curve_are_local_alone_and_remote_alone() -> None:
    data, labels = drawn(800, 8)
    found = calibrate(cascade(), data, labels)
    assert found.points[-1].accuracy == found.summary.local_accuracy == np.mean(data[:, 0] == labels)
    assert found.points[0].accuracy == found.summary.remote_accuracy == np.mean(data[:, 2] == labels)
    helped = (data[:, 0] != labels) & (data[:, 2] == labels)
    assert found.summary.oracle_share == helped.mean() == found.points[-1].loss


def test_costs_and_the_best_threshold_for_another_aim() -> None:
    data, labels = drawn(800, 9)
    found = calibrate(cascade(), data, labels, cost=0.002)
    assert found.points[0].cost == pytest.approx(0.002)
    cheap = found.best(budget=0.0005)
    assert cheap.cost is not None
    assert cheap.cost <= 0.0005
    assert found.best(share=0.25).share_sent <= 0.25
    least = found.best(accuracy=0.9)
    assert least.accuracy >= 0.9
    assert not [p for p in found.points if p.accuracy >= 0.9 and p.share_sent < least.share_sent]
    tokens = calibrate(cascade(), data, labels, cost={"request": 0.001, "input_token": 5.0})
    assert tokens.summary.request_cost == 0.001  # no row holds a text
    with pytest.raises(oh.Error, match="OH613"):
        found.best(accuracy=1.0)
    with pytest.raises(oh.Error, match="OH607"):
        found.best()
    with pytest.raises(oh.Error, match="OH607"):
        calibrate(cascade(), data, labels).best(budget=1)


def test_it_is_told_as_a_table_as_json_and_as_a_picture(tmp_path: Path) -> None:
    data, labels = drawn(800, 10)
    found = calibrate(cascade(), data, labels, loss=0.02)
    text = str(found)
    assert "<- chosen" in text
    assert "local alone" in text
    told = json.loads(found.to_json())
    assert told["threshold"] == found.threshold
    assert len(told["points"]) == len(found.points)
    assert told["points"][0]["threshold"] == "nan"
    for name, start in {"curve.png": b"\x89PNG", "curve.svg": b"<?xml", "curve.pdf": b"%PDF"}.items():
        found.plot(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    drawing = (tmp_path / "curve.svg").read_text()
    assert drawing.count("<path") > 10
    for wrong in (tmp_path / "curve.bmp", tmp_path / "nowhere" / "curve.png"):
        with pytest.raises(oh.Error, match="OH612"):
            found.plot(wrong)


def test_the_file_is_an_ordinary_one_with_the_threshold_as_its_default(tmp_path: Path) -> None:
    data, labels = drawn(500, 11)
    cascade().save(tmp_path / "hybrid.onnx")
    found = calibrate(tmp_path / "hybrid.onnx", data, labels, loss=0.05)  # type: ignore[arg-type]
    found.model.save(tmp_path / "calibrated.onnx")
    (answer,) = oh.Session(tmp_path / "calibrated.onnx").run(["label"], {"x": data})
    wanted = np.where(data[:, 1] >= np.float32(found.threshold), data[:, 0], data[:, 2])
    assert answer.tolist() == wanted.tolist()


WITHOUT_DEFAULT = oh.judge.value("score") >= oh.Input("threshold")


def test_a_threshold_without_a_default_gets_one() -> None:
    data, labels = drawn(500, 12)
    found = calibrate(cascade(WITHOUT_DEFAULT), data, labels, loss=0.05)
    assert {spec.name: spec.optional for spec in found.model.inputs} == {"x": False, "threshold": True}


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("OH600", lambda x, y: calibrate(local(), x, y)),
        ("OH600", lambda x, y: calibrate(3, x, y)),  # type: ignore[arg-type]
        ("OH600", lambda x, y: calibrate(cascade(report=True), x, y, output="score")),
        ("OH601", lambda x, y: calibrate(cascade(VALUE >= 0.5), x, y)),
        ("OH601", lambda x, y: calibrate(cascade().bind(threshold=0.5), x, y)),
        ("OH602", lambda x, y: calibrate(cascade((VALUE >= THRESHOLD) & (oh.Input("high") >= VALUE)), x, y)),
        ("OH603", lambda x, y: calibrate(_four_comparisons(), x, y)),
        ("OH604", lambda x, y: calibrate(cascade(), {"img": x}, y)),
        ("OH604", lambda x, y: calibrate(cascade(), {}, y)),
        ("OH604", lambda x, y: calibrate(cascade(), x.astype(str), y)),
        ("OH604", lambda x, y: calibrate(cascade(), x[:, :, None], y)),
        ("OH604", lambda x, y: calibrate(cascade(), x[:, :2], y)),
        ("OH604", lambda x, y: calibrate(cascade(), 3, y)),
        ("OH604", lambda x, y: calibrate(cascade(), {"x": x, "threshold": np.ones(1, np.float32)}, y)),
        ("OH605", lambda x, y: calibrate(cascade(), x, y[:-1])),
        ("OH605", lambda x, y: calibrate(cascade(), iter([x]), y[:-1])),
        ("OH605", lambda x, y: calibrate(cascade(), iter([x]), [*y, 1])),
        ("OH605", lambda x, y: calibrate(cascade(), iter([x, x]), iter([y]))),
        ("OH605", lambda x, y: calibrate(cascade(), iter([x]), iter([y, y]))),
        ("OH605", lambda x, y: calibrate(cascade(), x, y.astype(str))),
        ("OH605", lambda x, y: calibrate(cascade(), x, np.stack([y, y], axis=1))),
        ("OH605", lambda x, y: calibrate(cascade(), x, 5)),
        ("OH605", lambda x, y: calibrate(cascade(), x, set(range(299)))),
        ("OH605", lambda x, y: calibrate(cascade(), x, dict(enumerate(y)))),
        ("OH605", lambda x, y: calibrate(cascade(), iter([x]), dict(enumerate(y)))),
        ("OH606", lambda x, y: calibrate(cascade(), x[:298], y[:298])),
        ("OH606", lambda x, y: calibrate(cascade(), iter([x[:298]]), iter([y[:298]]))),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, loss=0)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, loss="1%")),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, confidence=1)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, loss=10**400)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, loss=1e-300)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, confidence=5e-324)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, cost=10**400)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, loss=0.05).best(share="few")),  # type: ignore[arg-type]
        ("OH607", lambda x, y: calibrate(cascade(), x, y, loss=0.05).best(accuracy=math.nan)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, cost=-1)),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, cost={"requests": 1})),
        ("OH607", lambda x, y: calibrate(cascade(), x, y, batch=0)),
        ("OH607", lambda x, y: oh.calibrate(cascade(), x, y, progress="no")),  # type: ignore[arg-type]
        ("OH608", lambda x, y: calibrate(cascade(), x, y, output="labl")),
        ("OH608", lambda x, y: calibrate(cascade(), x, y, output=["label"])),
        ("OH608", lambda x, y: calibrate(_two_labels(), x, y)),
        ("OH611", lambda x, y: calibrate(cascade(), x, y + 100)),
        ("OH304", lambda x, y: calibrate(cascade(), x, y, confidance=0.9)),
    ],
)  # fmt: skip
def test_wrong_use_is_a_code_that_says_what_to_write(code: str, call: Any) -> None:
    data, labels = drawn(299, 13)
    with pytest.raises(oh.Error) as raised:
        call(data, labels)
    assert raised.value.code == code


def _four_comparisons() -> oh.Model:
    judge = VALUE >= THRESHOLD
    for score in (OTHER, oh.judge.margin("score"), oh.judge.entropy("score")):
        judge = judge & (score >= THRESHOLD)
    return cascade(judge, rows=False)


def _two_labels() -> oh.Model:
    one, other = (model.expose(["number"]).cast({"number": "int32"}) for model in (local(), remote()))
    return oh.cascade(one, other, accept=VALUE >= THRESHOLD, rows=True)


@pytest.mark.parametrize("missing", ["scipy", "matplotlib"])
def test_what_an_extra_brings_is_named_where_it_is_missing(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, labels = drawn(299, 14)
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(oh.Error, match="OH551") as raised:
        calibrate(cascade(), data, labels).plot(tmp_path / "curve.png")
    assert 'pip install "onnxhybrid[calibration]"' in str(raised.value)


def test_importing_it_imports_neither_scipy_nor_matplotlib() -> None:
    program = "import sys, onnxhybrid as oh; oh.calibrate; print({'scipy', 'matplotlib'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )

"""Every kind of cascade can be calibrated: whatever its judge, whatever is around it, whatever names it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.cascades import THRESHOLD, cascade, drawn, local, remote

Array = npt.NDArray[Any]
ROWS = 500
RANDOM = np.random.default_rng(0)
LOGITS = (2 * RANDOM.normal(size=(ROWS, 4))).astype(np.float32)
BIG = (LOGITS + RANDOM.normal(size=(ROWS, 4))).astype(np.float32)
FEEDS = {"small": LOGITS, "big": BIG}


def classifier(given: str, *, softmax: bool = True) -> oh.Model:
    """Logits [n, 4] -> label, and probabilities or logits."""
    nodes = [helper.make_node("ArgMax", [given], ["label"], axis=-1, keepdims=0)]
    nodes.append(helper.make_node("Softmax" if softmax else "Identity", [given], ["scores"], axis=-1) if softmax
                 else helper.make_node("Identity", [given], ["scores"]))  # fmt: skip
    inputs = [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["n", 4])]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 4]),
    ]
    graph = helper.make_graph(nodes, given, inputs, outputs)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


def own_judge(operator: str, *, negated: bool = False) -> oh.Model:
    """A judge of a user's own: the largest score compared with a threshold, by plain operators."""
    nodes = [
        helper.make_node("ReduceMax", ["scores", "axes"], ["best"], keepdims=0),
        helper.make_node(operator, ["limit", "best"], ["holds"]),
        helper.make_node("Not" if negated else "Identity", ["holds"], ["fine"]),
    ]
    inputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("limit", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("fine", TensorProto.BOOL, ["n"])]
    axes = numpy_helper.from_array(np.array([-1]), "axes")
    graph = helper.make_graph(nodes, "own", inputs, outputs, [axes])
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


J = oh.judge
JUDGES: dict[str, tuple[oh.Model, bool]] = {
    "max_probability": (J.max_probability("scores") >= THRESHOLD, True),
    "margin": (J.margin("scores") > THRESHOLD, True),
    "entropy": (J.entropy("scores") <= THRESHOLD, True),
    "entropy of logits": (J.entropy("scores", softmax=True) < THRESHOLD, False),
    "logit_max": (J.logit_max("scores") >= THRESHOLD, False),
    "in float64": (J.max_probability("scores", dtype="float64") >= THRESHOLD, True),
    "with a fixed one": ((J.max_probability("scores") >= THRESHOLD) & (J.margin("scores") >= 0.05), True),
    "or a fixed one": ((J.max_probability("scores") >= THRESHOLD) | (J.margin("scores") >= 0.9), True),
    "two scores and one threshold": (
        (J.max_probability("scores") >= THRESHOLD) & (J.margin("scores") >= THRESHOLD),
        True,
    ),
    "two that are opposed": ((J.max_probability("scores") >= THRESHOLD) & (J.entropy("scores") <= THRESHOLD), True),
    "one or the other": ((J.max_probability("scores") >= THRESHOLD) | ~(J.margin("scores") < THRESHOLD), True),
    "turned around": (~(J.max_probability("scores") < THRESHOLD), True),
    "of one's own": (own_judge("LessOrEqual"), True),
    "of one's own, negated": (own_judge("Greater", negated=True), True),
}


def answers(model: oh.Model, rows: bool) -> list[int]:
    session = oh.Session(model)
    if rows:
        return [int(each) for each in session.run(["label"], FEEDS)[0]]
    calls = ({name: array[place : place + 1] for name, array in FEEDS.items()} for place in range(ROWS))
    return [int(session.run(["label"], feeds)[0][0]) for feeds in calls]


@pytest.mark.parametrize("rows", [True, False], ids=["rows", "calls"])
@pytest.mark.parametrize("name", JUDGES)
def test_the_file_answers_as_its_calibration_says(name: str, rows: bool) -> None:
    judge, softmax = JUDGES[name]
    hybrid = oh.cascade(
        classifier("small", softmax=softmax), classifier("big", softmax=softmax), accept=judge, rows=rows
    )
    labels = BIG.argmax(1)
    found = oh.calibrate(hybrid, FEEDS, labels, output="label", loss=0.05, progress=False)
    wrong = float(np.mean(np.array(answers(found.model, rows)) != labels))
    assert found.chosen.loss == pytest.approx(wrong)
    assert 0 < found.chosen.share_sent < 1
    assert found.chosen.loss_high <= 0.05
    assert found.certificate is not None
    assert not oh.validate(found.model).errors
    assert "OH614" not in {finding.code for finding in oh.validate(found.model)}


def _same(given: str, gives: str, kind: int = TensorProto.FLOAT) -> oh.Model:
    sizes: list[Any] = ["n", 3] if kind == TensorProto.FLOAT else ["n"]
    inputs = [helper.make_tensor_value_info(given, kind, sizes)]
    outputs = [helper.make_tensor_value_info(gives, kind, sizes)]
    graph = helper.make_graph([helper.make_node("Identity", [given], [gives])], "same", inputs, outputs)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


LAST = _same("label", "y", TensorProto.INT64)

AROUND: dict[str, Callable[[oh.Model], tuple[oh.Model, str, str]]] = {
    "as it is": lambda hybrid: (hybrid, "x", "label"),
    "renamed": lambda hybrid: (hybrid.rename({"x": "in", "label": "out", "threshold": "t"}), "in", "out"),
    "prefixed": lambda hybrid: (hybrid.prefix("p/", functions=True), "p/x", "p/label"),
    "selected": lambda hybrid: (hybrid.select(["label"]), "x", "label"),
    "exposed": lambda hybrid: (hybrid.expose(["number"]), "x", "label"),
    "cast": lambda hybrid: (hybrid.cast({"label": "int32"}), "x", "label"),
    "cast at both ends": lambda hybrid: (hybrid.cast({"x": "float64", "label": "str"}), "x", "label"),
    "with a cast threshold": lambda hybrid: (hybrid.cast({"threshold": "float64"}), "x", "label"),
    "wider": lambda hybrid: (hybrid.expand_dims(1, ["label"]), "x", "label"),
    "between models": lambda hybrid: (oh.chain(_same("given", "x"), hybrid, LAST), "given", "y"),
    "beside another": lambda hybrid: (oh.parallel(a=hybrid, b=remote()), "x", "a/label"),
}


@pytest.mark.parametrize("name", AROUND)
def test_what_is_around_a_cascade_does_not_matter(name: str) -> None:
    data, labels = drawn(600, 41)
    plain = oh.calibrate(cascade(), data, labels, loss=0.05, progress=False)
    model, given, output = AROUND[name](cascade())
    kinds = {spec.name: spec.dtype for spec in model.outputs}
    truth = labels.astype(str) if kinds[output] == "str" else labels
    rows = data.astype(np.float64) if model.inputs[0].dtype == "float64" else data
    found = oh.calibrate(model, {given: rows}, truth, output=output, loss=0.05, progress=False)
    assert found.points == plain.points
    assert found.threshold == plain.threshold
    (answer,) = oh.Session(found.model).run([output], {given: rows})
    wanted = np.where(data[:, 1] >= np.float32(plain.threshold), data[:, 0], data[:, 2])
    assert np.asarray(answer).ravel().astype(float).tolist() == wanted.tolist()


def test_the_local_side_of_a_cascade_may_be_a_calibrated_cascade_itself() -> None:
    data, labels = drawn(600, 42)
    plain = oh.calibrate(cascade(), data, labels, loss=0.05, progress=False)
    outer = oh.cascade(cascade(), remote(), accept=oh.judge.equals("label", 3), rows=True)
    found = oh.calibrate(outer, data, labels, loss=0.05, progress=False)
    (answer,) = oh.Session(found.model).run(["label"], {"x": data})
    lost = (answer != labels) & (data[:, 2] == labels)
    assert lost.mean() == pytest.approx(found.chosen.loss)
    assert found.chosen.share_sent <= plain.points[0].share_sent


def test_a_cascade_whose_answer_another_remote_reads_is_calibrated_before_it_is_chained() -> None:
    data, labels = drawn(600, 43)
    inputs, outputs = [oh.TensorSpec("label", "int64", ("n",))], [oh.TensorSpec("name", "int64", ("n",))]
    naming = oh.remote.triton("http://127.0.0.1:9", "names", inputs=inputs, outputs=outputs)
    with pytest.raises(oh.Error, match="OH603"):
        oh.calibrate(oh.chain(cascade(), naming), data, labels, progress=False)
    kept = oh.chain(cascade(), naming, keep=["label"])
    found = oh.calibrate(kept, data, labels, output="label", progress=False)  # nothing listens at that port
    assert found.points == oh.calibrate(cascade(), data, labels, progress=False).points


def reader(name: str, place: int, *, sure: bool) -> oh.Model:
    """File uint8["bytes"] -> text [1], the byte at a place; and as local how sure it is, by the byte behind."""
    nodes = [
        helper.make_node("Gather", ["file", "at"], ["byte"]),
        helper.make_node("Cast", ["byte"], ["text"], to=TensorProto.STRING),
        helper.make_node("Gather", ["file", "behind"], ["doubt"]),
        helper.make_node("Cast", ["doubt"], ["sure"], to=TensorProto.FLOAT),
    ]
    inputs = [helper.make_tensor_value_info("file", TensorProto.UINT8, ["bytes"])]
    outputs = [
        helper.make_tensor_value_info("text", TensorProto.STRING, [1]),
        helper.make_tensor_value_info("sure", TensorProto.FLOAT, [1]),
    ]
    constants = [numpy_helper.from_array(np.array([p]), n) for n, p in (("at", place), ("behind", 2))]
    graph = helper.make_graph(nodes, name, inputs, outputs[: 1 + sure], constants)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


def test_files_are_calls_of_their_own_where_an_answer_has_one_row() -> None:
    """A file of bytes, as audio is: each item of the data is one call, however long it is."""
    random = np.random.default_rng(0)
    sure = random.integers(0, 100, 400)
    wrong = random.random(400) < 0.5 * (1 - sure / 100)
    files = [
        np.concatenate([[7 + wrong[place], 7, sure[place]], random.integers(0, 9, random.integers(0, 9))]).astype(
            np.uint8
        )
        for place in range(400)
    ]
    judge = oh.judge.value("sure") >= oh.Input("threshold", default=50.0)
    hybrid = oh.cascade(reader("small", 0, sure=True), reader("big", 1, sure=False), accept=judge)
    found = oh.calibrate(hybrid, iter(files), [["7"]] * 400, progress=False, loss=0.1)
    kept = sure >= found.threshold
    assert found.summary.remote_accuracy == 1
    assert found.chosen.share_sent == pytest.approx(1 - kept.mean())
    assert found.chosen.loss == np.mean(kept & wrong)
    assert 0 < kept.sum() < 400


def test_fixed_sizes_and_stacked_samples_are_cut_into_calls() -> None:
    data, labels = drawn(400, 44)
    plain = oh.calibrate(cascade(), data, labels, loss=0.1, progress=False)
    small, big = (model.declare({"x": (1, 3), "label": (1,)}) for model in (local(), remote()))
    hybrid = oh.cascade(small, big, accept=oh.judge.value("score") >= THRESHOLD)
    for rows in (data, data[:, None, :]):  # [n, 3], and n samples of [1, 3]
        assert oh.calibrate(hybrid, rows, labels, loss=0.1, progress=False).points == plain.points


def _waiting(hybrid: oh.Model) -> oh.Model:
    """The cascade whose choice reads its verdict through an If that does something beside it, as an audit does."""
    proto = hybrid.to_proto()
    place, choice = next((p, node) for p, node in enumerate(proto.graph.node) if node.op_type == "If")
    verdict = choice.input[0]
    graphs = []
    for name in ("looked", "passed"):
        output = helper.make_tensor_value_info(name, TensorProto.BOOL, None)
        graphs.append(helper.make_graph([helper.make_node("Identity", [verdict], [name])], name, [], [output]))
    proto.graph.node.insert(
        place, helper.make_node("If", [verdict], ["told"], "look", then_branch=graphs[0], else_branch=graphs[1])
    )
    proto.graph.node[place + 1].input[0] = "told"
    return oh.Model.from_proto(proto)


@pytest.mark.parametrize("rows", [True, False])
def test_what_the_choice_waits_for_beside_the_verdict_is_none_of_the_parts(rows: bool) -> None:
    data, labels = drawn(400, 45)
    plain = oh.calibrate(cascade(rows=rows), data, labels, loss=0.05, progress=False)
    found = oh.calibrate(_waiting(cascade(rows=rows)), data, labels, loss=0.05, progress=False)
    assert found.points == plain.points
    assert found.certificate is not None
    assert plain.certificate is not None
    assert found.certificate.parts == plain.certificate.parts
    assert "OH614" not in {finding.code for finding in oh.validate(found.model)}

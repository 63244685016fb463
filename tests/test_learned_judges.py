"""Judges that learn: what a fit gives, what the file computes of it, and what is refused."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import onnxhybrid as oh
from onnxhybrid.calibration.fitting.candidates import CANDIDATES
from onnxhybrid.calibration.fitting.choosing import sent
from onnxhybrid.calibration.fitting.compiling import function_of, within
from onnxhybrid.calibration.fitting.features import Columns, evaluated, read
from onnxhybrid.calibration.fitting.layout import Classes, classes_of
from onnxhybrid.calibration.fitting.scorer import Scorer
from onnxhybrid.compose.judge.learned import Compiled
from tests.strategies import Array, dense, of_graph, run

NAN, INF = float("nan"), float("inf")
TRAIN, FIT, TEST = slice(0, 600), slice(600, 1300), slice(1300, None)
ONE_THIRD = slice(0, None, 3)


@functools.cache
def digits() -> tuple[Array, Array]:
    """Images of which every third pixel is seen, and labels."""
    images, labels = load_digits(return_X_y=True)
    return images[:, ONE_THIRD].astype(np.float32), labels.astype(np.int64)


@functools.cache
def local(opset: int = 17, rows: str | int = "n") -> oh.Model:
    """A small classifier: image -> label, probabilities; inside, logits."""
    images, labels = digits()
    fitted = LogisticRegression(C=0.0005, max_iter=500).fit(images[TRAIN], labels[TRAIN])
    nodes = [
        helper.make_node("MatMul", ["image", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [rows, images.shape[1]])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [rows]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [rows, 10]),
        ],
        [
            numpy_helper.from_array(fitted.coef_.T.astype(np.float32), "weight"),
            numpy_helper.from_array(fitted.intercept_.astype(np.float32), "bias"),
        ],
    )
    return of_graph(graph, opset=opset)


def remote(opset: int = 17) -> oh.Model:
    """A model that stands for the remote one: it answers -1 for every row."""
    graph = helper.make_graph(
        [
            helper.make_node("ArgMax", ["image"], ["place"], axis=1, keepdims=0),
            helper.make_node("Mul", ["place", "nothing"], ["zero"]),
            helper.make_node("Sub", ["zero", "one"], ["label"]),
        ],
        "large",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 22])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])],
        [numpy_helper.from_array(np.array(value), name) for value, name in ((0, "nothing"), (1, "one"))],
    )
    return of_graph(graph, opset=opset)


@functools.cache
def scorer(labels: bool = True) -> Scorer:
    """A scorer that reads the image, too, fitted on labels or on what is good."""
    images, truth = digits()
    good = truth[FIT] if labels else run(local(), {"image": images[FIT]})["label"] == truth[FIT]
    return oh.fit_judge(local(), images[FIT], good, features=["image"])


def scores(images: Array) -> Array:
    """The scores of `scorer` for images."""
    return scorer().score({"image": images, **run(local(), {"image": images})})


@pytest.mark.parametrize("kind", ["logistic", "trees"])
def test_a_file_scores_as_scikit_learn_does(kind: str) -> None:
    images, labels = digits()
    said = run(local(), {"image": images})
    good = said["label"] == labels
    classes = classes_of("probabilities", said["probabilities"][FIT])
    features = _features(classes, said["probabilities"])
    fitted = CANDIDATES[kind][-1](features[FIT], good[FIT])
    borders = features[FIT].min(0), features[FIT].max(0)
    function = function_of(classes, [], [], borders, fitted)
    compiled = Compiled(function, (classes.spec,), "{}")
    ours = Scorer(kind, "", {}, 700, compiled).score({"probabilities": said["probabilities"]})
    inside = np.clip(features, *borders)
    theirs = _decisions(kind, fitted, features[FIT], good[FIT], inside)
    np.testing.assert_allclose(ours, 1 / (1 + np.exp(-theirs)), rtol=1e-4, atol=1e-5)


def _features(classes: Classes, probabilities: Array) -> Array:
    steps = Columns([oh.TensorSpec("p", "float32", None)])
    row = read(steps, classes, [], ["p"])
    return evaluated(steps, steps("Concat", *row.features, axis=1), {"p": probabilities})


def _decisions(kind: str, fitted: Any, features: Array, good: Array, rows: Array) -> Any:
    """What scikit-learn alone decides, by the same settings."""
    if kind == "trees":
        settings_of = fitted.model.get_params()
        return GradientBoostingClassifier(**settings_of).fit(features, good).decision_function(rows)
    center, scale = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    scale = np.where(scale > 0, scale, 1)
    model = LogisticRegression(C=fitted.strength, max_iter=2000).fit((features - center) / scale, good)
    return model.decision_function((rows - center) / scale)


def test_a_fit_with_what_local_reads_finds_wrong_answers_sooner_than_the_largest_probability_does() -> None:
    images, labels = digits()
    said = run(local(), {"image": images[TEST]})
    good = said["label"] == labels[TEST]
    assert scorer().kind in ("logistic", "trees")
    assert scorer().reads == ("probabilities", "image")
    assert sent(scores(images[TEST]), good) < 0.85 * sent(said["probabilities"].max(1), good)


def test_labels_and_what_is_good_of_them_are_learned_from_alike() -> None:
    images, labels = digits()
    said = run(local(), {"image": images[TEST]})
    good = said["label"] == labels[TEST]
    found = scorer(labels=False).score({"image": images[TEST], **said})
    assert sent(found, good) < 0.9 * sent(said["probabilities"].max(1), good)


def test_a_fit_says_why_it_takes_what_it_takes() -> None:
    found = scorer()
    assert set(found.shares) == {"max_probability", "logistic", "trees"}
    assert found.shares[found.kind] < found.shares["max_probability"]
    assert str(found).startswith(f"{found.kind}, fitted on 700 rows; better in cross-validation: {found.kind} sends ")


def test_where_nothing_is_better_the_largest_probability_is_the_score() -> None:
    """Each row is good with exactly its largest probability, and nothing else tells."""
    random = np.random.default_rng(0)
    largest = random.uniform(0.5, 1, 600).astype(np.float32)
    probabilities = np.stack([largest, 1 - largest], axis=1)
    found = oh.fit_judge(_giving(2), {"p": probabilities}, random.uniform(size=600) < largest)
    assert found.kind == "max_probability"
    assert "no learned score is better" in found.reason
    np.testing.assert_array_equal(found.score({"p": probabilities}), largest)


@pytest.mark.parametrize(("rows", "bad"), [(300, 0), (300, 300), (300, 19), (30, 15), (1, 1)])
def test_too_little_to_learn_from_gives_the_largest_probability(rows: int, bad: int) -> None:
    probabilities = np.tile(np.array([[0.7, 0.2, 0.1]], np.float32), (rows, 1))
    found = oh.fit_judge(_giving(3), {"p": probabilities}, np.arange(rows) >= bad)
    assert (found.kind, found.shares) == ("max_probability", {})
    assert f"of {rows} rows {bad} are not good" in str(found)
    np.testing.assert_array_equal(found.score({"p": probabilities}), np.float32(0.7))


def _giving(classes: int, name: str = "p", dtype: str = "float32") -> oh.Model:
    """A local model whose output is what it is fed."""
    spec = oh.TensorSpec("x", dtype, ("n", classes)).to_value_info()
    other = oh.TensorSpec(name, dtype, ("n", classes)).to_value_info()
    return of_graph(helper.make_graph([helper.make_node("Identity", ["x"], [name])], "giving", [spec], [other]))


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("limit", [0.8, oh.Input("threshold", default=0.8)], ids=["constant", "input"])
def test_a_cascade_accepts_what_the_scorer_scores_high_enough(rows: bool, limit: Any) -> None:
    images = digits()[0][TEST][:100].copy()
    images[3, 2] = NAN
    hybrid = oh.cascade(local(), remote(), accept=oh.judge.learned(scorer()) >= limit, rows=rows, report=True)
    expected = scores(images)
    found = _run(hybrid, images)
    np.testing.assert_allclose(found["score"], expected, atol=1e-5)
    accepted = expected >= 0.8
    assert accepted.any()
    assert not accepted.all()
    assert np.isnan(expected[3])
    answers = run(local(), {"image": images})["label"]
    if rows:
        np.testing.assert_array_equal(found["label"], np.where(accepted, answers, -1))
    else:
        assert (found["label"] == -1).all()
        assert not found["accepted"]
        some = images[accepted]
        np.testing.assert_array_equal(_run(hybrid, some)["label"], answers[accepted])


def _run(model: oh.Model, images: Array, **feeds: Array) -> dict[str, Array]:
    """A plain session with the operator library."""
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    options.log_severity_level = 3
    proto = model.to_proto().SerializeToString()
    session = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"image": images, **feeds})
    return dict(zip([output.name for output in session.get_outputs()], outputs, strict=True))


def test_a_learned_judge_is_one_node_that_says_what_it_is() -> None:
    hybrid = oh.cascade(local(), remote(), accept=oh.judge.learned(scorer()) >= 0.8)
    (node,) = (node for node in hybrid.skeleton.graph.node if node.domain == "ai.onnxhybrid.judge")
    assert node.name == "judge/learned ≥ 0.8"
    assert list(node.input)[1] == "image"


def test_learned_judges_combine_with_others() -> None:
    images = digits()[0][TEST][:200].copy()
    images[7] = NAN
    learned, largest = oh.judge.learned(scorer()), oh.judge.max_probability("probabilities")
    found = scores(images)
    most = run(local(), {"image": images})["probabilities"].max(1)
    cases = [
        ((learned >= 0.8) & (largest >= 0.3), (found >= 0.8) & (most >= 0.3)),
        ((learned >= 0.9) | (largest >= 0.6), (found >= 0.9) | (most >= 0.6)),
        (~(learned < 0.8), found >= 0.8),
        (~((learned >= 0.8) | (largest < 0.3)), (found < 0.8) & (most >= 0.3)),
        ((learned >= 0.3) & (learned <= 0.8), (found >= 0.3) & (found <= 0.8)),
    ]
    for judge, expected in cases:
        hybrid = oh.cascade(local(), remote(), accept=judge, rows=True, report=True)
        np.testing.assert_array_equal(_run(hybrid, images)["accepted"], expected)


def test_no_rows_are_no_error() -> None:
    hybrid = oh.cascade(local(), remote(), accept=oh.judge.learned(scorer()) >= 0.8, rows=True, report=True)
    assert _run(hybrid, digits()[0][:0])["score"].shape == (0,)


@pytest.mark.parametrize("opset", [14, 17, 18, 21, 22])
@pytest.mark.parametrize("kind", ["logistic", "trees"])
def test_a_learned_judge_goes_with_the_opset_of_what_it_judges(kind: str, opset: int) -> None:
    images = digits()[0][TEST][:50]
    found = _of_kind(kind)
    hybrid = oh.cascade(local(opset), local(opset), accept=oh.judge.learned(found) >= 0.5, rows=True, report=True)
    assert hybrid.opsets[""] == opset
    expected = found.score(run(local(opset), {"image": images}))
    np.testing.assert_allclose(_run(hybrid, images)["score"], expected, atol=1e-5)


def test_boosted_trees_meet_the_newest_ai_onnx_ml_unless_local_needs_it() -> None:
    proto = local().to_proto()
    proto.opset_import.add(domain="ai.onnx.ml", version=5)
    judge = oh.judge.learned(_of_kind("trees")) >= 0.5
    assert oh.cascade(oh.Model.from_proto(proto), remote(), accept=judge).opsets["ai.onnx.ml"] < 5
    proto.graph.node.append(_tree())
    proto.graph.output.append(helper.make_tensor_value_info("tree", TensorProto.FLOAT, ["n", 1]))
    newest = oh.Model.from_proto(proto)
    with pytest.raises(oh.ComposeError) as problem:
        oh.cascade(newest, newest, accept=judge)
    assert problem.value.code == "OH102"


def _tree() -> Any:
    return helper.make_node(
        "TreeEnsemble", ["image"], ["tree"], domain="ai.onnx.ml", n_targets=1, aggregate_function=1, post_transform=0,
        tree_roots=[0], nodes_featureids=[0], nodes_splits=helper.make_tensor("splits", TensorProto.FLOAT, [1], [5.0]),
        nodes_modes=helper.make_tensor("modes", TensorProto.UINT8, [1], [0]), nodes_truenodeids=[0],
        nodes_falsenodeids=[1], nodes_trueleafs=[1], nodes_falseleafs=[1], leaf_targetids=[0, 0],
        leaf_weights=helper.make_tensor("weights", TensorProto.FLOAT, [2], [0.0, 1.0]),
    )  # fmt: skip


@functools.cache
def _of_kind(kind: str) -> Scorer:
    said = run(local(), {"image": digits()[0][FIT]})
    classes = classes_of("probabilities", said["probabilities"])
    features = _features(classes, said["probabilities"])
    fitted = CANDIDATES[kind][-1](features, said["label"] == digits()[1][FIT])
    function = function_of(classes, [], [], (features.min(0), features.max(0)), fitted)
    return Scorer(kind, "", {}, 700, Compiled(function, (classes.spec,), "{}"))


def test_a_learned_judge_survives_a_file_and_a_prefix(tmp_path: Path) -> None:
    images = digits()[0][TEST][:50]
    hybrid = oh.cascade(local(), remote(), accept=oh.judge.learned(scorer()) >= 0.8, rows=True)
    hybrid.prefix("a/", inputs=False, outputs=False, functions=True).save(tmp_path / "hybrid.onnx")
    again = oh.load(tmp_path / "hybrid.onnx")
    np.testing.assert_array_equal(_run(again, images)["label"], _run(hybrid, images)["label"])
    entry = json.loads(again.metadata["onnxhybrid.judge"])
    assert (entry["kind"], entry["rows"]) == (scorer().kind, 700)


def test_rows_are_given_as_local_is_fed_or_as_it_answers() -> None:
    images, labels = digits()
    said = run(local(), {"image": images[FIT]})
    arrays = oh.fit_judge(local(), {"image": images[FIT]}, labels[FIT])
    batches = ({"image": part} for part in np.split(images[FIT], 7))
    answers = oh.fit_judge(local(), {**said, "image": images[FIT]}, labels[FIT])
    for other in (oh.fit_judge(local(), batches, labels[FIT]), answers):
        assert other.compiled.entry == arrays.compiled.entry
        np.testing.assert_allclose(other.score(said), arrays.score(said), atol=1e-4)


def test_inner_tensors_are_features_that_expose_makes_outputs() -> None:
    images, labels = digits()
    found = oh.fit_judge(local(), images[FIT], labels[FIT], features=["logits"])
    small = local().expose(["logits"])
    hybrid = oh.cascade(small, remote(), accept=oh.judge.learned(found) >= 0.5, rows=True, report=True)
    expected = found.score(run(small, {"image": images[TEST]}))
    np.testing.assert_allclose(_run(hybrid, images[TEST])["score"], expected, atol=1e-5)


def test_a_model_of_one_row_is_asked_row_by_row() -> None:
    images, labels = digits()
    one = oh.fit_judge(local(rows=1), images[600:700][:, None], labels[600:700])
    many = oh.fit_judge(local(), images[600:700], labels[600:700])
    said = run(local(), {"image": images[TEST]})
    np.testing.assert_allclose(one.score(said), many.score(said), atol=1e-4)


def test_a_map_of_scores_is_judged_as_the_tensor_that_it_is_made_of() -> None:
    images, labels = digits()
    proto = local().to_proto()
    proto.graph.node.append(
        helper.make_node(
            "ZipMap", ["probabilities"], ["scores"], domain="ai.onnx.ml", classlabels_int64s=list(range(10))
        )
    )
    proto.opset_import.add(domain="ai.onnx.ml", version=1)
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    proto.graph.output[1].CopyFrom(helper.make_value_info("scores", helper.make_sequence_type_proto(kind)))
    zipped = oh.Model.from_proto(proto)
    found = oh.fit_judge(zipped, images[FIT], labels[FIT])
    hybrid = oh.cascade(zipped, zipped, accept=oh.judge.learned(found) >= 0.5, report=True)
    expected = found.score({"scores": run(local(), {"image": images[TEST]})["probabilities"]})
    np.testing.assert_allclose(_run(hybrid, images[TEST])["score"], expected, atol=1e-5)


def test_labels_are_texts_where_local_answers_texts() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(500, 3)).astype(np.float32)
    truth = np.array(["ant", "bee", "cat"], object)[(logits + random.normal(size=(500, 3))).argmax(1)]
    nodes = [
        helper.make_node("Softmax", ["x"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["x"], ["place"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "place"], ["label"]),
    ]
    specs = [oh.TensorSpec("x", "float32", ("n", 3)), oh.TensorSpec("probabilities", "float32", ("n", 3))]
    infos = [spec.to_value_info() for spec in (*specs, oh.TensorSpec("label", "str", ("n",)))]
    names = helper.make_tensor("names", TensorProto.STRING, [3], [b"ant", b"bee", b"cat"])  # type: ignore[list-item]
    texts = of_graph(helper.make_graph(nodes, "texts", infos[:1], infos[1:], [names]))
    found = oh.fit_judge(texts, logits, truth)
    good = run(texts, {"x": logits})["label"] == truth
    assert found.compiled.entry == oh.fit_judge(texts, logits, good).compiled.entry


@settings(max_examples=12, deadline=None)
@given(
    classes=st.integers(1, 60),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    logits=st.booleans(),
    widths=st.lists(st.sampled_from([1, 3, 16, 17, 40]), max_size=2),
    kind=st.sampled_from(["float32", "int32", "bool", "uint8", "float64"]),
    seed=st.integers(0, 1000),
)
def test_any_classes_and_features_give_a_score_between_0_and_1_by_row(
    classes: int, dtype: str, logits: bool, widths: list[int], kind: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(60, classes)) * 3
    if not logits:
        numbers = np.exp(numbers) if classes > 1 else 1 / (1 + np.exp(-numbers))
        numbers = numbers / numbers.sum(1, keepdims=True) if classes > 1 else numbers
    given = {"p": numbers.astype(dtype)}
    for place, width in enumerate(widths):
        given[f"f{place}"] = (random.normal(size=(60, width)) * 3 + 4).clip(0, 200).astype(kind)
    specs = [oh.TensorSpec(name, str(array.dtype), ("n", *array.shape[1:])) for name, array in given.items()]
    nodes = [helper.make_node("Identity", [f"in_{spec.name}"], [spec.name]) for spec in specs]
    fed = [oh.TensorSpec(f"in_{spec.name}", spec.dtype, spec.shape).to_value_info() for spec in specs]
    giving = of_graph(helper.make_graph(nodes, "giving", fed, [spec.to_value_info() for spec in specs]))
    told = given["f0"][:, 0].astype(float) if widths else random.uniform(size=60)
    good = (told > np.median(told)) != (random.uniform(size=60) < 0.05)
    found = oh.fit_judge(giving.rename({"p": "probs"}), {"probs": given.pop("p"), **given}, good, features=list(given))
    tensors = {"probs": numbers.astype(dtype), **given}
    expected = found.score(tensors)
    assert expected.dtype == np.float32
    assert expected.shape == (60,)
    assert ((expected >= 0) & (expected <= 1)).all()
    alone = [found.score({name: array[[place]] for name, array in tensors.items()})[0] for place in (0, 59)]
    np.testing.assert_allclose(alone, expected[[0, 59]], atol=1e-5)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("name", ["probabilities", "image"])
def test_a_row_that_holds_no_numbers_has_no_score(name: str, value: float) -> None:
    images = digits()[0][TEST][:20]
    tensors = {"image": images.copy(), "probabilities": run(local(), {"image": images})["probabilities"]}
    tensors[name][4, 1] = value
    found = scorer().score(tensors)
    assert np.isnan(found).tolist() == [place == 4 for place in range(20)]


def test_features_are_not_carried_beyond_what_the_fit_has_seen() -> None:
    steps = Columns([oh.TensorSpec("f", "float32", None)])
    kept = within(steps, "f", (np.array([0, -1], np.float32), np.array([1, 1], np.float32)))
    np.testing.assert_array_equal(
        evaluated(steps, kept, {"f": np.array([[9, -9], [0.5, 0]], np.float32)}), [[1, -1], [0.5, 0]]
    )


def _refused(code: str, *args: Any, **options: Any) -> None:
    with pytest.raises(oh.Error) as problem:
        oh.fit_judge(*args, **options)
    assert problem.value.code == code, problem.value


def test_it_must_be_clear_what_holds_the_probabilities() -> None:
    both = oh.parallel(a=dense("a", "x", "y", (2, 3)), b=dense("b", "x", "z", (2, 3)))
    _refused("OH620", both, np.ones((9, 2), np.float32), np.ones(9, bool))
    _refused("OH620", local().select(["label"]), digits()[0][FIT], digits()[1][FIT])


@pytest.mark.parametrize(
    "data",
    [
        {"picture": np.ones((9, 22), np.float32)},
        {"image": np.ones((9, 21), np.float32)[:0]},
        {"image": np.array([["a"] * 22] * 9, object)},
        {"image": np.ones((9, 22), np.float32), "more": np.ones(8)},
        {"image": np.float32(1)},
        np.full((9, 22), NAN, np.float32),
        {"image": np.ones((9, 22), np.float32), "probabilities": np.ones((9, 3), np.float32)},
        {"image": np.ones((9, 22), np.float32), "probabilities": np.full((9, 10), "much")},
        [],
        5,
        "rows",
    ],
)
def test_data_that_do_not_fit_local_are_refused(data: Any) -> None:
    _refused("OH621", local(), data, np.ones(9, bool))


def test_answers_of_two_models_are_not_mixed() -> None:
    images, labels = digits()
    data = {"image": images[FIT], "probabilities": run(local(), {"image": images[FIT]})["probabilities"]}
    _refused("OH621", local(), data, labels[FIT])


def test_what_is_no_model_is_refused() -> None:
    _refused("OH621", "small.onnx", digits()[0][FIT], digits()[1][FIT])


@pytest.mark.parametrize("features", [["hidden"], "image", [7], ["texts"], 7, None])
def test_features_that_cannot_be_read_are_refused(features: Any) -> None:
    proto = local().to_proto()
    proto.graph.node.append(helper.make_node("Cast", ["label"], ["texts"], to=TensorProto.STRING))
    proto.graph.output.append(helper.make_tensor_value_info("texts", TensorProto.STRING, ["n"]))
    _refused("OH622", oh.Model.from_proto(proto), digits()[0][FIT], digits()[1][FIT], features=features)


def test_features_may_come_one_by_one() -> None:
    images, labels = digits()
    told = oh.fit_judge(local(), images[FIT], labels[FIT], features=iter(["image"]))  # type: ignore[arg-type]
    assert str(told) == str(oh.fit_judge(local(), images[FIT], labels[FIT], features=["image"]))


def test_rows_may_come_in_one_array_that_is_filled_anew() -> None:
    images, labels = digits()
    given = {"image": images[FIT], **run(local(), {"image": images[FIT]})}

    def refilled() -> Iterator[dict[str, Any]]:
        buffers = {name: np.empty_like(array[:100]) for name, array in given.items()}
        for start in range(0, 700, 100):
            for name, array in given.items():
                buffers[name][:] = array[start : start + 100]
            yield buffers

    whole = oh.fit_judge(local(), given, labels[FIT], features=["image"])
    assert oh.fit_judge(local(), refilled(), labels[FIT], features=["image"]).shares == whole.shares


def test_labels_in_an_array_of_objects_are_what_they_hold() -> None:
    images, labels = digits()
    told = oh.fit_judge(local(), images[FIT], np.array(labels[FIT].tolist(), object))
    assert str(told) == str(oh.fit_judge(local(), images[FIT], labels[FIT]))


def test_it_must_be_clear_what_labels_are_compared_with() -> None:
    _refused("OH623", local(), digits()[0][FIT], np.array(["three"] * 700, object))


@pytest.mark.parametrize(
    "good",
    [
        np.ones(699, bool), np.ones((700, 2), bool), np.ones(700, np.float32), True, digits()[1][TEST], None,
        set(range(700)), dict.fromkeys(range(700), True), iter([True] * 700), [[1], [1, 2]] * 350, [object()] * 700,
    ],
)  # fmt: skip
def test_what_is_said_of_the_rows_has_to_fit_them(good: Any) -> None:
    _refused("OH624", local(), digits()[0][FIT], good)


@pytest.mark.parametrize(
    "outputs",
    [None, 5, {}, {"probabilities": np.ones((2, 10), np.float32)}, {"probabilities": np.ones((2, 9)), "image": [5]}],
)
def test_a_scorer_refuses_what_it_cannot_read(outputs: Any) -> None:
    with pytest.raises(oh.Error) as problem:
        scorer().score(outputs)
    assert problem.value.code == "OH627"


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    _refused("OH551", local(), digits()[0][FIT], digits()[1][FIT])


def test_judge_learned_takes_what_a_fit_gave() -> None:
    with pytest.raises(oh.ComposeError) as problem:
        oh.judge.learned("probabilities")  # type: ignore[arg-type]
    assert problem.value.code == "OH208"

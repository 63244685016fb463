"""Judges as functions: one node each in the file, with the verdicts that numpy gives whatever shape is declared."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, inliner

import onnxhybrid as oh
from onnxhybrid.model.dtypes import numpy_dtype
from tests.strategies import Array, dense, of_graph, rows, run

COMPARISONS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
SCORES = ("max_probability", "margin", "entropy", "logit_max", "value")
NAN, INF = float("nan"), float("inf")


def _softmax(row: Array) -> Any:
    if np.isnan(row).any() or (row == INF).any() or (row == -INF).all():
        return np.full_like(row, NAN)
    powers = np.exp(row - row.max())
    return powers / powers.sum()


def _score(name: str, row: Array) -> Any:
    """The score of the classes of one row: probabilities, or for logit_max any numbers. NaN where it has none."""
    probabilities = name != "logit_max"
    if not row.size or np.isnan(row).any() or (probabilities and np.isinf(row).any()):
        return NAN
    if name == "margin":
        return np.subtract(*np.sort(row)[:-3:-1]) if row.size > 1 else NAN
    if name == "entropy":
        return NAN if (row < 0).any() else -sum(p * np.log(p) for p in row if p > 0)
    return row.max()


def _scores(name: str, softmax: bool, values: Array) -> list[Array]:
    """The scores of each row of a tensor; a row that cannot be judged has a NaN among them."""
    if name == "value":
        return [sample.ravel() if sample.size else np.array([NAN]) for sample in values]
    values = values if values.ndim > 1 else values[None]
    found = []
    for sample in values:
        classes = sample.reshape(-1, sample.shape[-1]) if sample.size else np.zeros((1, 0))
        found.append(np.array([_score(name, _softmax(row) if softmax and row.size else row) for row in classes]))
    return found


def _verdicts(scores: list[Array], comparison: str, threshold: float, negated: bool) -> list[bool]:
    return [
        not np.isnan(row).any() and bool(COMPARISONS[comparison](row, threshold).all()) != negated for row in scores
    ]


def _close(scores: list[Array], threshold: float) -> bool:
    """Whether rounding may decide; of what is only chosen among the numbers it never does."""
    return any(np.isclose(row, threshold, rtol=1e-3, atol=1e-4).any() for row in scores)


def _keeping(shape: Sequence[int | str | None], dtype: str, opset: int) -> oh.Model:
    """A local model whose p is what it is fed, beside an answer of as many rows."""
    specs = [oh.TensorSpec(name, dtype, tuple(shape)).to_value_info() for name in ("x", "p")]
    rows = [oh.TensorSpec(name, "float32", (None, 1)).to_value_info() for name in ("given", "said")]
    nodes = [helper.make_node(kind, [a], [b]) for kind, a, b in (("Identity", "x", "p"), ("Abs", "given", "said"))]
    return of_graph(helper.make_graph(nodes, "keeping", [specs[0], rows[0]], [specs[1], rows[1]]), opset=opset)


def _other(opset: int) -> oh.Model:
    values = [oh.TensorSpec(name, "float32", (None, 1)).to_value_info() for name in ("given", "said")]
    return of_graph(
        helper.make_graph([helper.make_node("Neg", ["given"], ["said"])], "other", values[:1], values[1:]), opset=opset
    )


_NUMBERS = st.one_of(
    st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 0.5, 1.0, 1e-45, -1e-45]), st.floats(-4, 4, width=16), st.floats(0, 1)
)


@st.composite
def _tensors(draw: st.DrawFn) -> tuple[Array, tuple[int | str | None, ...]]:
    """A tensor and a shape to declare it by: sizes are fixed, named or unknown."""
    sizes = draw(st.lists(st.sampled_from([0, 1, 1, 2, 3, 4, 17]), min_size=1, max_size=4))
    while np.prod(sizes) > 60:
        sizes[sizes.index(max(sizes))] = 2
    usual = draw(st.booleans())
    values = np.array([draw(st.floats(0, 1) if usual else _NUMBERS) for _ in range(int(np.prod(sizes)))])
    fixed = draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    declared = tuple(size if fix and size else None for size, fix in zip(sizes, fixed, strict=True))
    return values.reshape(sizes), declared


@settings(max_examples=60, deadline=None)
@given(
    _tensors(),
    st.sampled_from(SCORES),
    st.booleans(),
    st.sampled_from(sorted(COMPARISONS)),
    st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.9, 1.0]),
    st.booleans(),
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([14, 17, 18, 21]),
)
def test_a_cascade_accepts_what_numpy_accepts_whatever_shape_is_declared(
    tensor: tuple[Array, tuple[int | str | None, ...]], name: str, softmax: bool, comparison: str, threshold: float,
    negated: bool, dtype: str, within: str, opset: int,
) -> None:  # fmt: skip
    values, declared = tensor[0].astype(numpy_dtype(dtype)), tensor[1]
    softmax = softmax and name not in ("logit_max", "value")
    score = getattr(oh.judge, name)("p", dtype=within, **({"softmax": True} if softmax else {}))
    judge = COMPARISONS[comparison](score, threshold)
    scores = _scores(name, softmax, values.astype(within))
    if (softmax or name in ("margin", "entropy")) and _close(scores, threshold):
        return
    expected = _verdicts(scores, comparison, threshold, negated)
    local = _keeping(declared, dtype, opset)
    judge = ~judge if negated else judge
    given = np.ones((len(expected), 1), np.float32)
    feeds = {"x": values, "given": given}
    try:
        composed = oh.cascade(local, _other(opset), accept=judge).select(["said"])
    except oh.ComposeError as error:
        assert error.code == "OH208"
        # Nothing is accepted; or, without softmax, nothing would be if these were probabilities.
        assert not any(expected) or (not softmax and not 0 < threshold < 1)
        return
    (said,) = oh.Session(composed).run(None, feeds)
    np.testing.assert_array_equal(said, given if all(expected) else -given)
    reporting = oh.cascade(local, _other(opset), accept=judge, rows=True, report=True)
    said, accepted, compared = oh.Session(reporting).run(["said", "accepted", "score"], feeds)
    np.testing.assert_array_equal(said[:, 0], np.where(expected, 1, -1))
    np.testing.assert_array_equal(accepted, np.array(expected, bool))
    np.testing.assert_array_equal(np.isnan(compared), [np.isnan(row).any() for row in scores])


SURE = oh.judge.max_probability("p") >= 0.8
A, B = (dense(name, "x", "p", (3, 5), seed=seed, softmax=True) for seed, name in enumerate("ab"))
JUDGES = {
    "max_probability ≥ 0.8": SURE,
    "max_probability < 0.8": ~SURE,
    "margin > threshold": oh.judge.margin("p") > oh.Input("threshold", default=0.1),
    "entropy_of_logits ≤ 0.5": oh.judge.entropy("p", softmax=True) <= 0.5,
    "logit_max ≥ -1.5": oh.judge.logit_max("p") >= -1.5,
    "value < 1": oh.judge.value("p", dtype="float64") < 1,
    "size ≥ 2": oh.judge.length("p", axis=0) >= 2,
    "equals 'ja'": oh.judge.equals("p", "ja"),
    "not equals 3": ~oh.judge.equals("p", 3),
}


@pytest.mark.parametrize("reading", sorted(JUDGES))
def test_a_judge_is_one_node_that_says_what_it_judges(reading: str) -> None:
    proto = JUDGES[reading].to_proto()
    (node,) = proto.graph.node
    assert node.name == reading
    assert [(f.domain, f.name) for f in proto.functions] == [(node.domain, node.op_type)]
    assert proto.ir_version >= 8


def test_a_cascade_holds_the_judge_as_one_node_and_one_function() -> None:
    proto = oh.cascade(A, B, accept=SURE).to_proto()
    onnx.checker.check_model(proto, full_check=True)
    assert [node.name for node in proto.graph.node if node.domain.endswith(".judge")] == ["judge/max_probability ≥ 0.8"]
    assert [function.name for function in proto.functions] == ["all_max_probability_at_least"]


def _same(one: oh.Model, other: oh.Model | onnx.ModelProto, count: int = 4) -> None:
    other = other if isinstance(other, oh.Model) else oh.Model.from_proto(other)
    for seed in range(3):
        feeds = {"x": rows(count, 3, seed)}
        for name, value in run(one, feeds).items():
            np.testing.assert_array_equal(run(other, feeds)[name], value)


@pytest.mark.parametrize("judge", [SURE, SURE & (oh.judge.margin("p") >= 0.1), SURE | ~(oh.judge.entropy("p") > 0.5)])
@pytest.mark.parametrize("options", [{}, {"rows": True}, {"report": True}, {"rows": True, "report": True}])
def test_a_reader_that_inlines_functions_gives_the_same(judge: oh.Model, options: dict[str, bool]) -> None:
    composed = oh.cascade(A, B, accept=judge, **options)
    inlined = inliner.inline_local_functions(composed.to_proto())
    assert not inlined.functions
    _same(composed, inlined)


@pytest.mark.parametrize("opset", [18, 21, 24])
@pytest.mark.parametrize("name", SCORES)
def test_a_cascade_follows_to_newer_opsets_and_meets_others_there(name: str, opset: int) -> None:
    def judged(model: oh.Model) -> oh.Model:
        return oh.cascade(model, B, accept=getattr(oh.judge, name)("p") >= 0.3, rows=True)

    old, new = judged(A), judged(dense("c", "x", "p", (3, 5), seed=4, opset=opset, softmax=True))
    both = oh.parallel(old=old, new=new)
    assert len(both.to_proto().functions) == 1
    feeds = {"x": rows(4, 3)}
    ours = run(both, feeds)
    np.testing.assert_array_equal(ours["old/p"], run(old, feeds)["p"])
    np.testing.assert_array_equal(ours["new/p"], run(new, feeds)["p"])


@pytest.mark.parametrize("options", [{}, {"rows": True}, {"report": True}, {"rows": True, "report": True}])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_the_size_of_an_axis_is_one_verdict_whatever_is_reported(
    options: dict[str, bool], turned: bool, size: int
) -> None:
    judge = oh.judge.length("p", axis=0) >= 2
    judge = ~~~judge if turned else judge
    composed = oh.cascade(A, B, accept=judge, **options)
    feeds = {"x": rows(size, 3)}
    if options.get("rows") and size > 1:
        with pytest.raises(oh.Error, match="OH546"):
            oh.Session(composed).run(None, feeds)
        return
    ours = run(composed, feeds)
    accepted = (size >= 2) != turned
    np.testing.assert_array_equal(ours["p"], run(A if accepted else B, feeds)["p"])
    if "report" in options:
        assert (ours["accepted"].tolist(), ours["score"].tolist()) == (
            [accepted] if "rows" in options else accepted,
            [size],
        )


def test_judges_of_several_ranks_have_functions_of_their_own() -> None:
    flat, deep = _keeping((None, 3), "float32", 17), _keeping((None, 2, 3), "float32", 17)
    judge = oh.judge.max_probability("p") >= 0.5
    cascades = [oh.cascade(local, _other(17), accept=judge, rows=True) for local in (flat, deep)]
    both = oh.parallel(flat=cascades[0], deep=cascades[1].rename({"x": "x3", "given": "given3"}))
    names = sorted(function.name for function in both.to_proto().functions)
    assert names == ["max_probability_at_least", "max_probability_at_least_of_rank_3"]
    x = np.array([[0.9, 0.1, 0], [0.4, 0.3, 0.3]], np.float32)
    ours = run(both, {"x": x, "x3": x[None].repeat(2, 0), "given": np.ones((2, 1), np.float32),
                      "given3": np.ones((2, 1), np.float32)})  # fmt: skip
    assert ours["flat/said"].ravel().tolist() == [1, -1]
    assert ours["deep/said"].ravel().tolist() == [-1, -1]


def test_a_cascade_can_be_cut_bound_nested_and_guarded() -> None:
    judge = oh.judge.max_probability("p") >= oh.Input("threshold", default=0.5)
    before = dense("before", "z", "x", (3, 3))
    composed = oh.chain(before, oh.cascade(A, B, accept=judge))
    head, tail = oh.split(composed, at=["x"])
    feeds = {"z": rows(4, 3), "threshold": np.array([0.2], np.float32)}
    by_hand = run(composed, feeds)["p"]
    np.testing.assert_array_equal(run(oh.chain(head, tail), feeds)["p"], by_hand)
    np.testing.assert_array_equal(run(composed.bind(threshold=0.2), feeds)["p"], by_hand)
    moved = composed.prefix("a/").rename({"a/z": "z", "a/threshold": "threshold"})
    np.testing.assert_array_equal(run(moved, feeds)["a/p"], by_hand)
    nested = oh.switch("on", oh.fallback(composed, A.rename({"x": "z"})), B.rename({"x": "z"}))
    np.testing.assert_array_equal(run(nested, {**feeds, "on": np.array(True)})["p"], by_hand)


def test_a_score_is_reported_of_a_judge_that_was_turned_around_twice() -> None:
    feeds = {"x": rows(4, 3)}
    for judge in (~SURE, ~~SURE):
        ours = run(oh.cascade(A, B, accept=judge, rows=True, report=True), feeds)
        np.testing.assert_array_equal(ours["score"], run(A, feeds)["p"].max(-1))


@pytest.mark.parametrize("size", [1, 15, 16, 17, 64, 1000])
@pytest.mark.parametrize("bad", [NAN, INF])
def test_logits_that_have_no_softmax_are_refused_at_any_place_of_rows_of_any_length(size: int, bad: float) -> None:
    judge = oh.judge.max_probability("p", softmax=True)
    places = sorted({0, size // 2, size - 1})
    values = np.random.default_rng(size).normal(size=(len(places) + 2, size)).astype(np.float32)
    values[range(len(places)), places] = bad
    values[-1] = -INF
    local = _keeping((None, size), "float32", 17)
    composed = oh.cascade(local, _other(17), accept=(judge >= 0) & (judge <= 1), rows=True)
    said = run(composed, {"x": values, "given": np.ones((len(values), 1), np.float32)})["said"]
    assert said.ravel().tolist() == [-1] * len(places) + [1, -1]


@pytest.mark.parametrize(
    "judge",
    [
        oh.judge.max_probability("p") >= 80,
        oh.judge.max_probability("p") > 1,
        oh.judge.max_probability("p", softmax=True) >= oh.Input("threshold", default=80),
        oh.judge.margin("p", softmax=True) >= 1.5,
        oh.judge.entropy("p", softmax=True) >= 1.7,
        oh.judge.entropy("p") <= -0.1,
        oh.judge.length("p", axis=1) >= 6,
        ~(oh.judge.max_probability("p") <= 80),
        SURE & (oh.judge.max_probability("p") >= 80),
        (oh.judge.margin("p") < 0) | (oh.judge.max_probability("p") >= 80),
    ],
)
def test_a_judge_that_can_accept_nothing_is_an_error_when_composing(judge: oh.Model) -> None:
    with pytest.raises(oh.ComposeError, match="every row") as caught:
        oh.cascade(A, B, accept=judge)
    assert caught.value.code == "OH208"


@pytest.mark.parametrize(
    "judge",
    [
        oh.judge.max_probability("p") >= 1,
        oh.judge.max_probability("p") <= 80,
        ~(oh.judge.max_probability("p") >= 80),
        oh.judge.max_probability("p") >= oh.Input("threshold"),
        oh.judge.margin("p") >= 2.5,
        oh.judge.logit_max("p") >= 80,
        oh.judge.entropy("p", softmax=True) >= 1.6,
        oh.judge.length("p", axis=1) >= 5,
        SURE | (oh.judge.max_probability("p") >= 80),
    ],
)
def test_a_judge_that_can_accept_something_composes(judge: oh.Model) -> None:
    assert oh.cascade(A, B, accept=judge).outputs == B.outputs


def _of(shape: Sequence[int | str | None], dtype: str = "float32") -> tuple[oh.Model, oh.Model]:
    return _keeping(shape, dtype, 17), _other(17)


@pytest.mark.parametrize(
    ("shape", "dtype", "judge"),
    [
        (("n", 1), "float32", oh.judge.margin("p") >= 0.1),
        (("n", 4, 1), "float32", ~(oh.judge.margin("p", softmax=True) >= oh.Input("threshold"))),
        ((), "float32", oh.judge.margin("p") >= 0.1),
        (("n", 0), "float32", oh.judge.max_probability("p") >= 0.1),
        ((0,), "float32", oh.judge.logit_max("p") >= 0.1),
        (("n", 0, 3), "float16", oh.judge.entropy("p") >= 0.1),
        (("n", 0), "float32", oh.judge.value("p") >= 0.1),
        (("n", 4), "float32", oh.judge.max_probability("p", softmax=True) <= 0.2),
        (("n",), "uint8", oh.judge.value("p") > 255),
        (("n",), "uint8", oh.judge.value("p") < 0),
        (("n", 3), "int8", oh.judge.logit_max("p") >= oh.Input("threshold", default=128)),
    ],
)
def test_a_judge_whose_local_output_can_reach_nothing_is_an_error_when_composing(
    shape: Sequence[int | str], dtype: str, judge: oh.Model
) -> None:
    local, remote = _of(shape, dtype)
    with pytest.raises(oh.ComposeError, match=r"OH208.*every row"):
        oh.cascade(local, remote, accept=judge)


@pytest.mark.parametrize(
    ("shape", "dtype", "judge"),
    [
        (("n", 2), "float32", oh.judge.margin("p") >= 0.1),
        (("n", None), "float32", oh.judge.margin("p") >= 0.1),
        ((0,), "float32", oh.judge.value("p") >= 0.1),
        ((0, 3), "float32", oh.judge.max_probability("p") >= 0.1),
        (("n", 4), "float32", oh.judge.max_probability("p", softmax=True) <= 0.25),
        (("n",), "uint8", oh.judge.value("p") >= 255),
        (("n",), "int64", oh.judge.value("p") >= 1e18),
        (("n",), "float16", oh.judge.value("p") >= 300),
        (("n", 1), "float32", (oh.judge.margin("p") >= 0.1) | (oh.judge.value("p") >= 0.1)),
    ],
)
def test_a_judge_whose_local_output_can_reach_something_composes(
    shape: Sequence[int | str | None], dtype: str, judge: oh.Model
) -> None:
    local, remote = _of(shape, dtype)
    assert oh.cascade(local, remote, accept=judge).outputs == remote.outputs


@pytest.mark.parametrize("name", ["max_probability", "margin", "entropy", "logit_max"])
def test_a_number_for_each_row_is_not_taken_for_the_classes_of_one_row(name: str) -> None:
    judge = getattr(oh.judge, name)("p") >= 0.5
    local, remote = (dense(label, "x", "p", (3, 1), seed=seed) for seed, label in enumerate("lr"))
    flat = of_graph(
        helper.make_graph(
            [helper.make_node("Flatten", ["p"], ["q"], axis=0), helper.make_node("Squeeze", ["q"], ["s"])],
            "flat",
            [oh.TensorSpec("p", "float32", ("n", 1)).to_value_info()],
            [oh.TensorSpec("s", "float32", ("n",)).to_value_info()],
        )
    )
    local, remote = (oh.chain(model, flat).rename({"s": "p"}) for model in (local, remote))
    with pytest.raises(oh.ComposeError, match=r"OH208.*one row.*value\('p'\)"):
        oh.cascade(local, remote, accept=judge, rows=True)
    assert oh.cascade(local, remote, accept=oh.judge.value("p") >= 0.5, rows=True).outputs


def test_an_axis_that_does_not_exist_is_an_error_when_composing() -> None:
    for axis in (2, -3, 5):
        with pytest.raises(oh.ComposeError, match=rf"OH208.*axis {axis}.*2 axes"):
            oh.cascade(A, B, accept=oh.judge.length("p", axis=axis) >= 1)


def test_one_verdict_for_all_rows_is_an_error_when_composing_by_rows() -> None:
    p = oh.TensorSpec("p", "float32", ("n", 5)).to_value_info()
    verdict = oh.TensorSpec("v", "bool", ()).to_value_info()
    nodes = [helper.make_node("ReduceMax", ["p"], ["m"], keepdims=0), helper.make_node("Greater", ["m", "t"], ["v"])]
    limit = helper.make_tensor("t", TensorProto.FLOAT, [], [0.5])
    own = of_graph(helper.make_graph(nodes, "own", [p], [verdict], [limit]))
    assert oh.cascade(A, B, accept=own).outputs == B.outputs
    with pytest.raises(oh.ComposeError, match=r"OH208.*one verdict"):
        oh.cascade(A, B, accept=own, rows=True)


def _maps(factor: int = 1) -> oh.Model:
    """What exporters of scikit-learn's classifiers give unless told not to: here `x` times a factor, as maps."""
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    output = helper.make_value_info("output_probability", helper.make_sequence_type_proto(kind))
    scale = helper.make_tensor("f", TensorProto.FLOAT, [], [factor])
    scores = helper.make_node("Mul", ["x", "f"], ["scores"])
    node = helper.make_node("ZipMap", ["scores"], [output.name], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])
    x = oh.TensorSpec("x", "float32", ("n", 3)).to_value_info()
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return of_graph(helper.make_graph([scores, node], "maps", [x], [output], [scale]), opset_imports=imports)


def test_an_output_of_maps_is_told_from_one_of_another_name() -> None:
    with pytest.raises(oh.ComposeError, match=r"OH206.*'output_probability' is seq\(map.*'zipmap': False"):
        oh.cascade(_maps(), B, accept=SURE)
    with pytest.raises(oh.ComposeError, match=r"OH206.*'zipmap': False"):
        oh.switch("on", _maps(), B.rename({"p": "output_probability"}))
    combinators: list[Callable[[], oh.Model]] = [
        lambda: oh.switch("on", B, _maps()),
        lambda: oh.route("i", [B, A, _maps()]),
        lambda: oh.fallback(_maps(), B),
        lambda: oh.ensemble([A, _maps()]),
    ]
    for composed in combinators:
        with pytest.raises(oh.ComposeError, match=r"OH206.*'output_probability' is seq\(map.*'zipmap': False"):
            composed()
    (finding,) = oh.validate(_maps())
    assert finding.code == "OH127"


MAPS: list[tuple[Callable[[], oh.Model], dict[str, Any], int]] = [
    (lambda: oh.switch("on", _maps(), _maps(-1)), {"on": np.array(False)}, -1),
    (lambda: oh.switch("on", _maps(), _maps(-1)), {"on": np.array(True)}, 1),
    (lambda: oh.route("i", [_maps(), _maps(2), _maps(-1)]), {"i": np.array(1)}, 2),
    (lambda: oh.fallback(_maps(), _maps(-1)), {}, 1),
    (lambda: oh.cascade(_maps(), _maps(-1), accept=oh.judge.max_probability("output_probability") >= 0.5), {}, 1),
    (lambda: oh.cascade(_maps(), _maps(-1), accept=oh.judge.max_probability("output_probability") >= 0.95), {}, -1),
]


@pytest.mark.parametrize(("compose", "feeds", "factor"), MAPS)
def test_maps_of_the_same_labels_are_made_behind_the_choice(
    compose: Callable[[], oh.Model], feeds: dict[str, Any], factor: int
) -> None:
    hybrid = compose()
    assert [spec.dtype for spec in hybrid.outputs] == ["seq(map(int64,tensor(float32)))"]
    x = np.array([[0.1, 0.8, 0.1]], np.float32)
    by_hand = run(_maps(factor), {"x": x})["output_probability"]
    assert oh.Session(hybrid).run(None, {"x": x, **feeds})[0] == by_hand


def test_maps_of_other_labels_are_not() -> None:
    other = _maps().to_proto()
    other.graph.node[-1].attribute[0].ints[0] = 7
    with pytest.raises(oh.ComposeError, match=r"OH206.*'zipmap': False"):
        oh.switch("on", _maps(), oh.Model.from_proto(other))

"""Judges: each verdict equals what numpy says of the row, and what cannot be judged is never accepted."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, ValueInfoProto, compose, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.model.dtypes import numpy_dtype
from tests.strategies import Array, dense, of_graph, rows, run

COMPARISONS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


def verdict(judge: oh.Model, value: Any, **more: Array) -> list[bool]:
    given = np.array(value, np.float32) if isinstance(value, list) else np.asarray(value)
    (accepted,) = oh.Session(judge).run(None, {"p": given, **more})
    assert accepted.dtype == bool
    assert accepted.ndim == 1
    return accepted.tolist()  # type: ignore[no-any-return]


def softmax(logits: Array) -> Any:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _margin(p: Array) -> Any:
    ordered = np.sort(p, axis=-1)
    return ordered[..., -1] - ordered[..., -2]


def _entropy(p: Array) -> Any:
    return -(p * np.log(np.where(p == 0, 1, p))).sum(axis=-1)


BY_HAND: dict[str, Callable[[Array], Array]] = {
    "max_probability": lambda p: p.max(axis=-1),
    "margin": _margin,
    "entropy": _entropy,
    "logit_max": lambda p: p.max(axis=-1),
}


SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=2, max_side=4)
VALUES = arrays.arrays(np.float32, SHAPES, elements=st.floats(-4, 4, width=16))


@given(
    st.sampled_from(sorted(BY_HAND)),
    VALUES,
    st.booleans(),
    st.sampled_from(sorted(COMPARISONS)),
    st.floats(0, 2, width=16),
    st.booleans(),
)
def test_a_verdict_is_what_numpy_says_of_all_scores_of_a_row(
    name: str, values: Array, logits: bool, comparison: str, threshold: float, negated: bool
) -> None:
    score = getattr(oh.judge, name)("p", **({} if name == "logit_max" else {"softmax": logits}))
    given = values if logits or name == "logit_max" else softmax(values)
    p = softmax(values) if name != "logit_max" else values
    judge = COMPARISONS[comparison](score, threshold)
    by_hand = np.atleast_2d(BY_HAND[name](p).reshape(len(p) if p.ndim > 1 else 1, -1))
    near = np.isclose(by_hand, threshold, rtol=1e-4, atol=1e-5).any(axis=1) & (name != "logit_max")
    expected = COMPARISONS[comparison](by_hand, np.float32(threshold)).all(axis=1) != negated
    ours = verdict(~judge if negated else judge, given)
    assert [a for a, unsure in zip(ours, near, strict=True) if not unsure] == expected[~near].tolist()


@pytest.mark.parametrize("shape", [(0, 3), (0, 0, 3), (0, 4, 3)])
@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_no_rows_have_no_verdicts(name: str, shape: tuple[int, ...]) -> None:
    assert verdict(getattr(oh.judge, name)("p") >= 0, np.zeros(shape, np.float32)) == []


@pytest.mark.parametrize("name", sorted(BY_HAND))
@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 0, 3)])
def test_a_row_of_nothing_is_never_accepted(name: str, shape: tuple[int, ...]) -> None:
    count = shape[0] if len(shape) > 1 else 1
    for judge in (getattr(oh.judge, name)("p") >= 0, getattr(oh.judge, name)("p") < 9):
        assert verdict(judge, np.zeros(shape, np.float32)) == [False] * count
        assert verdict(~judge, np.zeros(shape, np.float32)) == [False] * count


NAN, INF = float("nan"), float("inf")
GOOD = [0.9, 0.06, 0.04]


@pytest.mark.parametrize("row", [[NAN, 0.9, 0.1], [0.9, NAN, 0.1], [0.9, 0.1, NAN], [NAN, NAN, NAN], [NAN, INF, 0.1]])
@pytest.mark.parametrize("name", [*sorted(BY_HAND), "value"])
def test_a_row_that_holds_nan_is_never_accepted(name: str, row: list[float]) -> None:
    score = getattr(oh.judge, name)("p")
    for judge in (score >= -9, score <= 9, (score >= -9) & (score <= 9), (score < -9) | (score <= 9)):
        assert verdict(judge, np.array([row, GOOD], np.float32)) == [False, True]
        assert verdict(~judge, np.array([row, GOOD], np.float32)) == [False, False]
        assert verdict(~(~judge), np.array([row, GOOD], np.float32)) == [False, True]
    judge = score > 9
    assert verdict(~judge, np.array([[row], [GOOD]], np.float32)) == [False, True]
    assert verdict(~judge.rename({"accepted": "fine"}).prefix("a/").rename({"a/p": "p"}), [row, GOOD]) == [False, True]


@pytest.mark.parametrize("row", [[INF, 0.5, 0], [-INF, 0.5, 0], [INF, -INF, 0], [INF, INF, INF], [-INF, -INF, -INF]])
@pytest.mark.parametrize("name", ["max_probability", "margin", "entropy"])
def test_an_infinite_probability_is_never_accepted(name: str, row: list[float]) -> None:
    score = getattr(oh.judge, name)("p")
    for judge in (score >= -99, score <= 99, ~(score > 99)):
        assert verdict(judge, np.array([row, GOOD], np.float32)) == [False, True]


def test_a_logit_may_be_minus_infinity_but_not_all_of_them_and_none_plus_infinity() -> None:
    values = np.array(
        [[-INF, 3.0, -INF], [-INF, -INF, -INF], [INF, 0, 0], [INF, -INF, 0], [1e30, -1e30, 0]], np.float32
    )
    for name, exact in (("max_probability", 1.0), ("margin", 1.0), ("entropy", 0.0)):
        score = getattr(oh.judge, name)("p", softmax=True)
        assert verdict((score >= exact - 1e-6) & (score <= exact + 1e-6), values) == [True, False, False, False, True]


def test_infinities_are_numbers_to_logit_max_and_value() -> None:
    values = np.array([[-INF, -INF], [INF, 0], [-INF, 2]], np.float32)
    assert verdict(oh.judge.logit_max("p") > 1, values) == [False, True, True]
    assert verdict(oh.judge.value("p") <= 1, values) == [True, False, False]


def test_the_margin_of_one_class_cannot_be_judged() -> None:
    for score in (oh.judge.margin("p"), oh.judge.margin("p", softmax=True)):
        assert verdict(score <= 9, np.ones((2, 1), np.float32)) == [False, False]
        assert verdict(score >= -9, np.ones((2, 1), np.float32)) == [False, False]


def test_the_entropy_of_a_certain_row_is_exactly_nothing() -> None:
    values = np.array([[0, 1, 0], [1, 0, -0.0], [0.5, 0.5, 0], [1.5, -0.5, 0]], np.float32)
    assert verdict(oh.judge.entropy("p") <= 0, values) == [True, True, False, False]


def test_a_scalar_is_one_row_to_every_judge_of_numbers() -> None:
    for name in ("max_probability", "logit_max", "value"):
        assert verdict(getattr(oh.judge, name)("p") >= 0.5, np.float32(0.75)) == [True]
    assert verdict(oh.judge.value("p") >= 0.5, np.array([0.75, 0.25], np.float32)) == [True, False]
    assert verdict(oh.judge.value("p") >= 0.5, np.array([[0.75], [0.25]], np.float32)) == [True, False]


def _cast(dtype: str, opset: int, *, negated: bool = False) -> oh.Model:
    """Takes x, a float32 -> p, x as another type, and said, x or its negation."""
    x, p, said = (
        oh.TensorSpec(n, t, (1,)).to_value_info() for n, t in (("x", "float32"), ("p", dtype), ("said", "float32"))
    )
    nodes = [
        helper.make_node("Cast", ["x"], ["p"], to=p.type.tensor_type.elem_type),
        helper.make_node("Neg" if negated else "Identity", ["x"], ["said"]),
    ]
    return of_graph(helper.make_graph(nodes, "cast", [x], [p, said]), opset=opset)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("opset", [13, 18, 21, 24])
def test_a_cascade_judges_numbers_of_any_type(dtype: str, opset: int) -> None:
    local, remote = _cast(dtype, opset), _cast(dtype, opset, negated=True)
    composed = oh.cascade(local, remote, accept=oh.judge.value("p") >= 2).select(["said"])
    for value in (1.0, 2.0, 3.0):
        (said,) = oh.Session(composed).run(None, {"x": np.array([value], np.float32)})
        assert said.tolist() == [value if value >= 2 else -value]


def test_float64_tells_apart_what_float32_cannot() -> None:
    values = np.array([2.0**24 + 1, 2.0**24])
    assert verdict(oh.judge.value("p", dtype="float64") > 2.0**24, values) == [True, False]
    assert verdict(oh.judge.max_probability("p", dtype="float64") >= 1e-50, np.array([[1e-51], [1e-50]])) == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        ("ja", np.array(["ja", "Ja", "", "ja\0"], object), [True, False, False, False]),
        ("日本\n", np.array([["日本\n", "日本\n"], ["日本\n", "日本"]], object), [True, False]),
        (3, np.array([3, -3, 2**62]), [True, False, False]),
        (2**63 - 1, np.array(2**63 - 1), [True]),
        (True, np.array([True, False]), [True, False]),
        (np.int32(7), np.zeros((0,), np.int64), []),
        ("x", np.zeros((2, 0), object), [False, False]),
    ],
)
def test_equals_compares_texts_whole_numbers_and_bools(value: Any, given: Array, expected: list[bool]) -> None:
    assert verdict(oh.judge.equals("p", value), given) == expected
    name = oh.Input("wanted", default=value)
    kind = numpy_dtype(oh.judge.equals("p", name).inputs[1].dtype)
    assert verdict(oh.judge.equals("p", name), given) == expected
    assert verdict(oh.judge.equals("p", name), given, wanted=np.array([value], kind)) == expected
    if given.size:
        assert verdict(~oh.judge.equals("p", value), given) == [not accepted for accepted in expected]


TEXTS = np.array(["", "a", "añb", "日本語字\n😀", "x" * 999, "é" * 1000, "😀" * 1001], object)


@pytest.mark.parametrize("limit", [-1, 0, 3, 1000])
@pytest.mark.parametrize("comparison", sorted(COMPARISONS))
def test_length_counts_characters(limit: int, comparison: str) -> None:
    if (limit, comparison) == (1000, ">"):
        limit = 998
    judge = COMPARISONS[comparison](oh.judge.length("p"), limit)
    expected = [bool(COMPARISONS[comparison](len(text), limit)) for text in TEXTS]
    assert verdict(judge, TEXTS) == expected
    assert verdict(~judge, TEXTS) == [not accepted for accepted in expected]


def test_length_takes_the_size_of_an_axis_too() -> None:
    assert verdict(oh.judge.length("p", axis=0) >= 1, np.zeros((0, 4), np.float32)) == [False]
    assert verdict(oh.judge.length("p", axis=-1) >= oh.Input("most", default=4.0), np.zeros((0, 4), np.float32)) == [
        True
    ]
    assert verdict(oh.judge.length("p", axis=np.int64(0)) < 3, np.ones((2, 5), np.float32)) == [True]
    assert verdict(oh.judge.length("p", axis=0, dtype="str") < 3, np.array(["a", "b"], object)) == [True]


P, Q = (oh.judge.max_probability(name) >= 0.5 for name in ("p", "q"))


COMBINED: dict[str, tuple[oh.Model, Callable[[Array, Array], Array]]] = {
    "and": (P & Q, lambda p, q: p & q),
    "or": (P | Q, lambda p, q: p | q),
    "not": (~P & Q, lambda p, q: ~p & q),
    "nested": (~(P & ~Q) | (P & Q), lambda p, q: ~(p & ~q) | (p & q)),
    "never": (~(P | Q) & ~~P, lambda p, q: ~(p | q) & p),
}


@pytest.mark.parametrize("name", sorted(COMBINED))
def test_and_or_not_combine_verdicts_row_by_row(name: str) -> None:
    judge, by_hand = COMBINED[name]
    session = oh.Session(judge)
    for sure in ([], [(0, 0)], [(0, 0), (0, 1), (1, 0), (1, 1)]):
        values = np.array(sure, np.float32).reshape(-1, 2)
        (accepted,) = session.run(None, {"p": values[:, :1], "q": values[:, 1:]})
        np.testing.assert_array_equal(accepted, by_hand(values[:, 0] == 1, values[:, 1] == 1))


def _own(shape: Any, *, dtype: str = "bool", name: str = "own") -> oh.Model:
    """A judge that somebody made with onnx.helper: `fine` as it is."""
    values = [oh.TensorSpec(n, dtype, shape).to_value_info() for n in (name, f"{name}/accepted")]
    return of_graph(
        helper.make_graph([helper.make_node("Identity", [name], [values[1].name])], "own", values[:1], values[1:])
    )


def test_judges_that_users_made_are_judges_like_any() -> None:
    own = _own(("n", 2))
    feeds = {
        "p": np.array([[0.9], [0.9], [0.1]], np.float32),
        "own": np.array([[True, True], [True, False], [True, True]]),
    }
    for judge, expected in (
        (own & P, [True, False, False]),
        (P & own, [True, False, False]),
        (own | P, [True, True, True]),
        (own & own, [True, False, True]),
        (~(own & P), [False, True, True]),
    ):
        (accepted,) = oh.Session(judge).run(None, {s.name: feeds[s.name] for s in judge.inputs})
        assert accepted.tolist() == expected
    (accepted,) = oh.Session(~own).run(None, {"own": feeds["own"]})
    assert accepted.tolist() == (~feeds["own"]).tolist()


def test_an_old_judge_and_one_that_hands_on_its_input_can_be_negated() -> None:
    x, y = (oh.TensorSpec(name, kind, (None,)).to_value_info() for name, kind in (("x", "float32"), ("y", "bool")))
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    old = of_graph(
        helper.make_graph([helper.make_node("Greater", ["x", "zero"], ["y"])], "old", [x], [y], [zero]), opset=9
    )
    (accepted,) = oh.Session(~old).run(None, {"x": np.array([-1, 0, 1, NAN], np.float32)})
    assert accepted.tolist() == [True, True, False, False]
    handed = of_graph(helper.make_graph([], "handed", [y], [y]))
    (accepted,) = oh.Session(~handed).run(None, {"y": np.array([True, False])})
    assert accepted.tolist() == [False, True]


def _handed_on() -> oh.Model:
    a, b = (oh.TensorSpec(name, "bool", (None,)).to_value_info() for name in ("accepted", "held"))
    return of_graph(
        helper.make_graph([helper.make_node("Identity", ["accepted"], ["held"], name="held")], "on", [a], [b])
    )


@pytest.mark.parametrize(
    "renamed",
    [
        lambda judge: judge.prefix("a/", inputs=False, functions=True),
        lambda judge: oh.Model.from_proto(compose.add_prefix(judge.to_proto(), "a/", rename_inputs=False)),
        lambda judge: oh.chain(judge, _handed_on()),
        lambda judge: judge.prefix("a/", inputs=False, functions=True) & judge,
    ],
)
def test_a_row_that_holds_nan_stays_refused_whatever_the_judge_goes_through(
    renamed: Callable[[oh.Model], oh.Model],
) -> None:
    values = np.array([[NAN, 0.5], [0.9, 0.1], [0.4, 0.6], [np.inf, 0]], np.float32)
    judge = renamed(oh.judge.max_probability("p") >= 0.8)
    for _ in range(2):
        judge = ~judge
        assert verdict(judge, values) == [False, False, True, False]
        judge = ~judge
        assert verdict(judge, values) == [False, True, False, False]


def test_a_judge_whose_nodes_are_called_like_what_they_write_can_be_negated() -> None:
    nodes = [
        helper.make_node("IsInf", ["x"], ["y"], name="y"),
        helper.make_node("And", ["y", "y"], ["z"], name="y/not"),
    ]
    x, z = (oh.TensorSpec(name, kind, (None,)).to_value_info() for name, kind in (("x", "float32"), ("z", "bool")))
    feeds = {"x": np.array([np.inf, 0], np.float32)}
    for count in (1, 2):
        judge = of_graph(helper.make_graph(nodes[:count], "own", [x], [z if count > 1 else _bool("y")]))
        for expected in (False, True), (True, False), (False, True):
            judge = ~judge
            assert run(judge, feeds).popitem()[1].tolist() == list(expected)


def _bool(name: str) -> ValueInfoProto:
    return oh.TensorSpec(name, "bool", (None,)).to_value_info()


def test_a_comparison_that_others_read_stays_when_the_verdict_is_turned_around() -> None:
    nodes = [
        helper.make_node("Greater", ["x", "x"], ["c"]),
        helper.make_node("Cast", ["c"], ["n"], to=TensorProto.FLOAT),
        helper.make_node("GreaterOrEqual", ["n", "x"], ["d"]),
        helper.make_node("Or", ["c", "d"], ["y"]),
    ]
    x, y = (oh.TensorSpec(name, kind, (None,)).to_value_info() for name, kind in (("x", "float32"), ("y", "bool")))
    judge = of_graph(helper.make_graph(nodes, "both", [x], [y]))
    feeds = {"x": np.array([-1, 0, 1], np.float32)}
    assert run(~judge, feeds)["y"].tolist() == [not value for value in run(judge, feeds)["y"]]


def test_judges_share_a_threshold_of_one_name() -> None:
    def judge(name: str, default: float | None) -> oh.Model:
        return oh.judge.max_probability(name) >= oh.Input("t", default=default)

    both = judge("p", 0.5) & judge("q", 0.5)
    assert [value.name for value in both.inputs] == ["p", "t", "q"]
    assert both.inputs[1].optional
    feeds = {"p": np.array([[0.6]], np.float32), "q": np.array([[0.7]], np.float32)}
    assert oh.Session(both).run(None, feeds)[0].tolist() == [True]
    assert oh.Session(both).run(None, {**feeds, "t": np.array([0.65], np.float32)})[0].tolist() == [False]
    with pytest.raises(oh.ComposeError, match="OH211"):
        judge("p", 0.5) & judge("q", 0.6)


def test_loaded_models_combine_where_nothing_but_the_models_was_imported(tmp_path: Path) -> None:
    _own(("n",)).save(tmp_path / "judge.onnx")
    program = (
        "import sys; from onnxhybrid.model import load\n"
        "judge = load(sys.argv[1])\n"
        "assert 'onnxhybrid.compose' not in sys.modules\n"
        "print([output.name for output in (judge & ~judge | judge).outputs])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "judge.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "['accepted']\n"


def test_combining_judges_changes_none_of_them_and_gives_the_same_bytes_twice() -> None:
    before = P.to_proto(), Q.to_proto()
    once, twice = (
        [model.to_proto().SerializeToString() for model in (P & Q, P | Q, ~P, ~(P & ~Q), oh.judge.equals("p", "é"))]
        for _ in range(2)
    )
    assert once == twice
    assert (P.to_proto(), Q.to_proto()) == before


def test_a_long_combination_of_judges_can_be_turned_around() -> None:
    judge = P
    for _ in range(12):
        judge = judge & P
    assert verdict(~judge, [[0.4], [0.6]]) == [True, False]


def test_a_judge_in_a_cascade_decides_with_all_of_its_parts() -> None:
    local = oh.parallel(a=dense("a", "x", "y", (3, 4), seed=1, softmax=True), b=dense("b", "x", "y", (3, 4), seed=2))
    local = local.rename({"a/y": "p", "b/y": "q"})
    remote = oh.parallel(a=dense("a", "x", "y", (3, 4), seed=3), b=dense("b", "x", "y", (3, 4), seed=4))
    remote = remote.rename({"a/y": "p", "b/y": "q"})
    judge = (oh.judge.margin("p") >= 0.01) & ~(oh.judge.entropy("q", softmax=True) > 9.0)
    composed = oh.cascade(local, remote, accept=judge)
    for seed in range(5):
        feeds = {"x": rows(2, 3, seed)}
        by_hand = run(local, feeds)
        accepted = bool((_margin(by_hand["p"]) >= 0.01).all())
        for name, value in run(local if accepted else remote, feeds).items():
            np.testing.assert_array_equal(run(composed, feeds)[name], value)


def test_a_threshold_may_be_a_number_of_numpys() -> None:
    for threshold in (np.float16(0.5), np.float64(0.5), np.int8(0)):
        assert verdict(of(operator.ge, oh.judge.value("p"), threshold), [0.5, -1.0]) == [True, False]


SCORE = oh.judge.max_probability("p")


def of(function: Any, *arguments: Any, **options: Any) -> Any:
    """A call that a type checker would not let pass."""
    return function(*arguments, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SCORE >= 1e300,
        lambda: SCORE >= 10**400,
        lambda: SCORE >= 1e-60,
        lambda: SCORE >= NAN,
        lambda: SCORE >= True,
        lambda: of(operator.ge, SCORE, "0.8"),
        lambda: of(operator.ge, SCORE, 1j),
        lambda: oh.Input("t", default=1e300) <= SCORE,
        lambda: oh.Input("t", default="much") <= SCORE,
        lambda: of(operator.ge, SCORE, SCORE),
        lambda: SCORE == 0.8,
        lambda: SCORE != 0.8,
        lambda: SCORE >= 0.8 & SCORE,
        lambda: SCORE & P,
        lambda: ~SCORE,
        lambda: ~oh.judge.length("p"),
        lambda: of(oh.judge.length, "p") == 3,
        lambda: of(oh.judge.length, "p") >= 1001,
        lambda: oh.judge.length("p") > 1000,
        lambda: of(oh.judge.length, "p") >= 2.5,
        lambda: of(oh.judge.length, "p") >= oh.Input("n", default=3),
        lambda: of(oh.judge.length, "p", axis=1.5),
        lambda: of(oh.judge.length, "p", axis=2**63),
        lambda: of(oh.judge.length, "p", axis=-(10**30)),
        lambda: of(oh.judge.length, "p", dtype="int64"),
        lambda: of(oh.judge.length, ""),
        lambda: of(oh.judge.equals, "p", 0.5),
        lambda: of(oh.judge.equals, "p", None),
        lambda: of(oh.judge.equals, "p", 2**63),
        lambda: oh.judge.equals("p", oh.Input("v")),
        lambda: oh.judge.equals("p", oh.Input("p", default=1)),
        lambda: of(oh.judge.equals, 3, 1),
        lambda: of(oh.judge.margin, "p", softmax="yes"),
        lambda: of(oh.judge.value, "p", dtype="int64"),
        lambda: of(oh.judge.value, None),
        lambda: P & dense("a", "x", "y", (3, 3)),
        lambda: SCORE >= 0.8 & P,
        lambda: SCORE >= 0.8 | P,
        lambda: ~dense("a", "x", "y", (3, 3)),
        lambda: ~oh.parallel(a=P, b=P),
    ],
)
def test_what_makes_no_judge_is_an_error_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(oh.ComposeError, match="OH208") as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", [True, None, SCORE, "p"])
def test_a_judge_is_combined_with_judges_only(other: Any) -> None:
    with pytest.raises(oh.ComposeError, match="OH205"):
        P & other
    with pytest.raises(oh.ComposeError, match="OH205"):
        P | other

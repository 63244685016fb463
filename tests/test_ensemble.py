"""`ensemble`: the answers of all models become one, as numpy would make it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

import onnxhybrid as oh
from onnxhybrid.model.dtypes import numpy_dtype
from tests.strategies import dense, local_models, of_graph, rows, run

X = rows(2, 3, 1)
INF, NAN = float("inf"), float("nan")


@given(st.lists(local_models(outputs=("y", "u")), min_size=1, max_size=4), st.sampled_from(["mean", "max"]))
def test_an_ensemble_equals_what_numpy_makes_of_its_models(models: list[oh.Model], combine: Any) -> None:
    ours = run(oh.ensemble(models, combine), {"x": X})
    hands = [run(model, {"x": X}) for model in models]
    assert list(ours) == ["y", "u"]
    for name, value in ours.items():
        every = np.stack([by_hand[name] for by_hand in hands])
        np.testing.assert_allclose(value, every.mean(axis=0) if combine == "mean" else every.max(axis=0), rtol=1e-5)


def voices(dtype: str, count: int = 4) -> list[oh.Model]:
    """Models that each hand on an input of their own as `y`."""
    models = []
    for number in range(count):
        values = [oh.TensorSpec(name, dtype, None).to_value_info() for name in (f"x{number}", "y")]
        node = helper.make_node("Identity", [f"x{number}"], ["y"])
        models.append(of_graph(helper.make_graph([node], "voice", values[:1], values[1:])))
    return models


VALUES: dict[str, list[Any]] = {
    "str": ["a", "b", "é", ""],
    "bool": [True, False],
    "uint64": [1, 2**63 + 1, 2**64 - 1],
    **{name: [-1, 0, 100] for name in ("int8", "int16", "int32", "int64")},
    **{name: [1, 0, 200] for name in ("uint8", "uint16", "uint32")},
}


@pytest.mark.parametrize("dtype", sorted(VALUES))
def test_a_vote_gives_what_most_say_and_of_equals_the_earliest(dtype: str) -> None:
    session = oh.Session(oh.ensemble(voices(dtype), "vote"))
    kind = numpy_dtype(dtype)
    for shape in ((), (7,), (2, 0), (3, 4)):
        choices = np.random.default_rng(len(shape)).integers(0, len(VALUES[dtype]), (4, *shape))
        said = np.array(VALUES[dtype], kind)[choices].reshape(4, *shape)
        (elected,) = session.run(None, {f"x{number}": np.array(said[number], kind) for number in range(4)})
        expected = np.empty(shape, kind)
        for place in np.ndindex(*shape):
            votes = [said[(number, *place)] for number in range(4)]
            most = max(map(votes.count, votes))
            expected[place] = next(vote for vote in votes if votes.count(vote) == most)
        assert elected.dtype == expected.dtype
        np.testing.assert_array_equal(np.asarray(elected), expected)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "uint32", "int64"]
)
def test_the_largest_of_numbers_of_any_type_keeps_the_type(dtype: str) -> None:
    said = [np.random.default_rng(number).integers(0, 100, (2, 3)).astype(dtype) for number in range(4)]
    (largest,) = oh.Session(oh.ensemble(voices(dtype), "max")).run(None, {f"x{n}": v for n, v in enumerate(said)})
    assert largest.dtype == dtype
    np.testing.assert_array_equal(largest, np.max(said, axis=0))


def test_nan_is_nobodys_answer_and_so_stays_nan() -> None:
    said = np.array([[NAN, 1, 1, -INF], [1, NAN, 1, -INF], [1, 1, NAN, -INF], [1, 1, 1, 2]], np.float32)
    feeds = {f"x{number}": value for number, value in enumerate(said)}
    for combine in ("mean", "max"):
        session = oh.Session(oh.ensemble(voices("float32"), combine))
        np.testing.assert_array_equal(session.run(None, feeds)[0], getattr(np, combine)(said, axis=0))


def test_the_mean_of_half_floats_does_not_overflow() -> None:
    feeds = {f"x{number}": np.array([60000], np.float16) for number in range(4)}
    assert oh.Session(oh.ensemble(voices("float16"))).run(None, feeds)[0].tolist() == [60000]


def test_answers_of_different_shapes_are_an_error_and_not_stretched() -> None:
    feeds = {f"x{number}": np.zeros((1 if number else 2, 3), np.float32) for number in range(4)}
    for combine in ("mean", "max"):
        with pytest.raises(oh.Error, match="OH540"):
            oh.Session(oh.ensemble(voices("float32"), combine)).run(None, feeds)


MODELS = [dense("m", "x", "y", (3, 3), seed=seed) for seed in range(3)]


def _reduced(source: str, target: str, operator: str = "ReduceMin") -> oh.Model:
    values = [oh.TensorSpec(source, "float32", (None, "n", 3)), oh.TensorSpec(target, "float32", ("n", 3))]
    node = helper.make_node(operator, [source], [target], axes=[0], keepdims=0)
    infos = [value.to_value_info() for value in values]
    return of_graph(helper.make_graph([node], "reduced", infos[:1], infos[1:]))


@pytest.mark.parametrize(("source", "target"), [("all/y", "y"), ("y", "least"), ("whatever", "y")])
def test_a_model_may_combine_the_answers_of_all(source: str, target: str) -> None:
    ours = run(oh.ensemble(MODELS, _reduced(source, target)), {"x": X})
    by_hand = np.min([run(model, {"x": X})["y"] for model in MODELS], axis=0)
    np.testing.assert_array_equal(ours[target], by_hand)


def test_a_model_may_combine_single_answers_and_inputs_of_its_own() -> None:
    infos = [oh.TensorSpec(n, "float32", None).to_value_info() for n in ("0/y", "2/y", "weight", "y")]
    nodes = [helper.make_node("Mul", ["0/y", "weight"], ["w"]), helper.make_node("Sub", ["w", "2/y"], ["y"])]
    weighed = of_graph(helper.make_graph(nodes, "weighed", infos[:3], infos[3:]))
    composed = oh.ensemble(MODELS, weighed)
    assert [value.name for value in composed.inputs] == ["x", "weight"]
    (ours,) = oh.Session(composed).run(None, {"x": X, "weight": np.array([2], np.float32)})
    first, _, third = (run(model, {"x": X})["y"] for model in MODELS)
    np.testing.assert_allclose(ours, first * 2 - third, rtol=1e-6)


def test_outputs_may_have_any_names() -> None:
    names = ("y", "0/y", "all/y", "all/y_1", "all/all/y")
    models = [dense("stack", "x", "y", (3, 3), seed=seed) for seed in range(2)]
    wide = [oh.parallel(**{f"m{n}": model for n, _ in enumerate(names)}) for model in models]
    wide = [model.rename({f"m{n}/y": name for n, name in enumerate(names)}) for model in wide]
    expected = np.max([run(model, {"x": X})["y"] for model in models], axis=0)
    ours = run(oh.ensemble(wide, "max"), {"x": X})
    assert list(ours) == list(names)
    for value in ours.values():
        np.testing.assert_array_equal(value, expected)


def test_ensembles_change_no_model_and_give_the_same_bytes_twice() -> None:
    before = [model.to_proto() for model in MODELS]
    once, twice = (
        [
            composed.to_proto().SerializeToString()
            for composed in (oh.ensemble(MODELS), oh.ensemble(voices("str"), "vote"), oh.route("i", MODELS))
        ]
        for _ in range(2)
    )
    assert once == twice
    assert [model.to_proto() for model in MODELS] == before


@pytest.mark.parametrize(
    ("code", "models", "combine"),
    [
        ("OH205", [], "mean"),
        ("OH205", MODELS[0], "mean"),
        ("OH205", [MODELS[0], None], "mean"),
        ("OH206", [MODELS[0], dense("b", "x", "z", (3, 3))], "mean"),
        ("OH206", [*voices("int64", 1), *voices("int32", 1)], "vote"),
        ("OH202", [MODELS[0], dense("b", "x", "y", (3, 4))], "mean"),
        ("OH213", voices("int64"), "mean"),
        ("OH213", voices("str"), "max"),
        ("OH213", voices("bool"), "max"),
        ("OH213", voices("float32"), "vote"),
        ("OH213", voices("complex64"), "mean"),
        ("OH213", MODELS, oh.parallel(a=_reduced("q", "r"), b=_reduced("t", "r"))),
        ("OH215", MODELS, "median"),
        ("OH215", MODELS, None),
        ("OH215", MODELS, ["mean"]),
        ("OH201", voices("int64"), _reduced("y", "z")),
    ],
)  # fmt: skip
def test_what_cannot_be_combined_is_a_coded_error(code: str, models: Any, combine: Any) -> None:
    with pytest.raises(oh.ComposeError) as caught:
        oh.ensemble(models, combine)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)

"""Models that others made: every composition of them equals its parts run by hand, or is refused with a code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.corpus import backend, networks, opset_steps, pipelines, releases
from tests.corpus.case import Case, same
from tests.corpus.compositions import Outcome
from tests.corpus.sources import composed

EACH = 48
"""Of the operators' cases, each that many-th is composed here; `python -m benchmarks.corpus` composes all."""

CODES = {"OH102", "OH206", "OH238"}


def hold(outcomes: list[Outcome], *, refused: float) -> None:
    """None failed, at most a share was refused, and every refusal has a code that such models may get."""
    assert [outcome for outcome in outcomes if outcome.result == "failed"] == []
    refusals = [outcome for outcome in outcomes if outcome.result == "refused"]
    assert {outcome.detail[1:6] for outcome in refusals} <= CODES
    assert len(refusals) <= refused * len(outcomes), refusals


def test_a_sample_of_the_cases_of_the_onnx_package_composes() -> None:
    outcomes = list(composed(list(itertools.islice(backend.cases(), 0, None, EACH))))
    assert len(outcomes) > 200
    hold(outcomes, refused=0.03)


def test_pipelines_of_scikit_learn_compose() -> None:
    outcomes = list(composed(list(itertools.islice(pipelines.cases(), 0, None, 8))))
    assert len(outcomes) > 50
    maps = [o for o in outcomes if "map(" in o.detail]  # no operator passes a map on, in a branch or over a cut
    hold([o for o in outcomes if o not in maps], refused=0.03)
    hold(maps, refused=1)


def test_a_speech_detector_and_a_transformer_encoder_compose() -> None:
    chosen = [case for case in networks.cases() if case.name in ("silero_vad", "minilm")]
    outcomes = [*composed(chosen, ["silero"]), *composed(chosen, ["minilm"], ["chain", "splice"])]
    assert {outcome.case for outcome in outcomes} == {"silero_vad", "minilm"}
    hold(outcomes, refused=0)


def test_the_encoder_is_the_one_that_was_trained() -> None:
    (case,) = (case for case in networks.cases() if case.name == "minilm")
    words = {"cat": 4937, "kitten": 18401, "parliament": 3323}
    ids = np.array([[101, word, 102] for word in words.values()], np.int64)
    result = Case("words", case.proto, {"input_ids": ids, "attention_mask": np.ones_like(ids)}).expected()
    assert result is not None
    cat, kitten, parliament = result["embedding"]
    assert cat @ kitten > 0.7 > 0.4 > cat @ parliament


def test_axes_move_to_an_input_inside_of_branches_too() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    values[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])

    def branch(name: str, keepdims: int) -> object:
        node = helper.make_node("ReduceSum", ["x"], [name], axes=[1], keepdims=keepdims)
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    chosen = helper.make_node("If", ["c"], ["y"], then_branch=branch("a", 0), else_branch=branch("b", 1))
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    graph = helper.make_graph([chosen], "old", [condition, values[0]], [values[1]])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for truth in (True, False):
        case = Case("axes", proto, {"c": np.array(truth), "x": x})
        assert all(outcome.result == "equal" for outcome in composed([case]))


@pytest.mark.parametrize("spelling", ["", "ai.onnx"])
def test_a_function_may_spell_the_standard_domain_as_it_likes(spelling: str) -> None:
    body = [helper.make_node("Add", ["a", "a"], ["b"], domain=spelling)]
    function = helper.make_function("own", "Twice", ["a"], ["b"], body, [helper.make_opsetid(spelling, 13)])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Twice", ["x"], ["y"], domain="own")], "g", values[:1], values[1:])
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    proto = helper.make_model(graph, opset_imports=imports, functions=[function], ir_version=8)
    composed_twice = oh.parallel(a=oh.Model.from_proto(proto), b=oh.Model.from_proto(proto))
    (first, second) = oh.Session(composed_twice).run(None, {"x": np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(first, [2, 4])
    np.testing.assert_array_equal(second, [2, 4])


def test_statistics_of_a_training_network_are_not_written_over_what_the_other_part_reads() -> None:
    (case,) = (case for case in backend.cases() if case.name == "test_batchnorm_example_training_mode")
    assert {outcome.result for outcome in composed([case])} == {"equal"}


def test_nodes_in_any_order_are_sorted_as_onnx_runtime_sorts_them() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    one = numpy_helper.from_array(np.ones(2, np.float32), "one")
    nodes = [helper.make_node("Neg", ["t"], ["y"]), helper.make_node("Add", ["x", "one"], ["t"])]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [one])
    case = Case(
        "unsorted",
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        {"x": np.array([1, 2], np.float32)},
    )
    assert all(outcome.result == "equal" for outcome in composed([case]))


@pytest.mark.parametrize("release", ["1.6.0", "1.12.0"])
def test_models_of_past_opsets_give_what_they_gave_beside_parts_of_newer_ones(release: str) -> None:
    cases = (case for case in releases.cases([release]) if 7 <= releases.opset(case) <= 19)
    outcomes = list(opset_steps.composed(itertools.islice(cases, 7, None, EACH), (14, 18, 22, 26)))
    assert len(outcomes) > 80
    hold(outcomes, refused=0.02)


def training(*, inner: bool, weights: bool) -> oh.Model:
    """BatchNormalization in training mode, with its statistics as outputs; they are weights, inputs, or computed."""
    names = ("scale", "bias", "mean", "var")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 2])
    inputs = [] if weights else [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in names]
    given = [numpy_helper.from_array(value, name) for name, value in STATISTICS.items()] if weights else []
    nodes = [helper.make_node("Abs", [name], [f"|{name}|"]) for name in names[2:]] if inner else []
    read = [*names[:2], *(node.output[0] for node in nodes)] if inner else [*names]
    nodes.append(helper.make_node("BatchNormalization", ["x", *read], ["y", "m", "v"], training_mode=1))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "m", "v")]
    graph = helper.make_graph(nodes, "training", [x, *inputs], outputs, given)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8))


_ROWS = np.random.default_rng(0).random((4, 3), np.float32)
STATISTICS = dict(zip(("scale", "bias", "mean", "var"), _ROWS, strict=True))


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("threshold", [-1e9, 1e9])
def test_each_run_of_a_composed_training_network_starts_from_the_same_statistics(
    inner: bool, weights: bool, threshold: float
) -> None:
    model = training(inner=inner, weights=weights)
    feeds = {"x": np.random.default_rng(1).random((2, 3, 2), np.float32)} | ({} if weights else STATISTICS)
    expected = oh.Session(model).run(None, {name: value.copy() for name, value in feeds.items()})
    session = oh.Session(oh.cascade(model, model, accept=oh.judge.value("y") >= threshold))
    for _ in range(3):
        given = session.run(None, {name: value.copy() for name, value in feeds.items()})
        assert same(given, expected)

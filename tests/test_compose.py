"""The combinators: a composed model equals its parts run by hand, and what does not fit is a coded error."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import Array, dense, local_models, of_graph, rows, run

X = rows(4, 3, 1)
Z = rows(4, 3, 2)


def same(ours: dict[str, Array], by_hand: dict[str, Array]) -> None:
    assert list(ours) == list(by_hand)
    for name, value in by_hand.items():
        np.testing.assert_array_equal(ours[name], value)


@given(local_models(), local_models(inputs=("y",), outputs=("u",)), local_models(inputs=("u", "x"), outputs=("v",)))
def test_a_chain_equals_its_models_run_one_after_the_other(a: oh.Model, b: oh.Model, c: oh.Model) -> None:
    by_hand = {"x": X}
    for model in (a, b, c):
        by_hand |= run(model, by_hand)
    same(run(oh.chain(a, b, c), {"x": X}), {"v": by_hand["v"]})


@given(local_models(outputs=("y", "kept")), local_models(inputs=("y", "fed"), outputs=("u",)))
def test_a_chain_keeps_outputs_that_nothing_consumed_and_asks_for_inputs_that_nothing_feeds(
    a: oh.Model, b: oh.Model
) -> None:
    composed = oh.chain(a, b)
    assert [value.name for value in composed.inputs] == ["x", "fed"]
    first = run(a, {"x": X})
    second = run(b, {"y": first["y"], "fed": Z})
    same(run(composed, {"x": X, "fed": Z}), {"kept": first["kept"], "u": second["u"]})


@given(local_models(), local_models(inputs=("image",), outputs=("label",)))
def test_a_chain_connects_one_to_one_where_there_is_only_one_way(a: oh.Model, b: oh.Model) -> None:
    same(run(oh.chain(a, b), {"x": X}), run(b, {"image": run(a, {"x": X})["y"]}))


@given(local_models(outputs=("y", "u")), local_models(inputs=("p", "q"), outputs=("v",)))
def test_connect_says_what_goes_where(a: oh.Model, b: oh.Model) -> None:
    first = run(a, {"x": X})
    by_hand = run(b, {"p": first["u"], "q": first["y"]})
    same(run(oh.chain(a, b, connect={"p": "u", "q": "y"}), {"x": X}), by_hand)


@given(local_models(inputs=("x", "z")), local_models(inputs=("z", "x"), outputs=("y", "u")))
def test_parallel_equals_its_models_side_by_side(a: oh.Model, b: oh.Model) -> None:
    feeds = {"x": X, "z": Z}
    ours = run(oh.parallel(edge=a, cloud=b), feeds)
    hands = [(label, run(model, feeds)) for label, model in (("edge", a), ("cloud", b))]
    same(ours, {f"{label}/{name}": value for label, by_hand in hands for name, value in by_hand.items()})


@given(local_models(outputs=("y", "u")), local_models(inputs=("x", "z"), outputs=("u", "y")), st.booleans())
def test_a_switch_equals_the_branch_that_its_condition_names(a: oh.Model, b: oh.Model, chosen: bool) -> None:
    feeds = {"x": X, "z": Z, "c": np.array(chosen)}
    by_hand = run(a if chosen else b, feeds)
    same(run(oh.switch("c", then=a, else_=b), feeds), {name: by_hand[name] for name in ("y", "u")})


@given(local_models(), local_models(), st.floats(-2, 2, width=32))
def test_a_switch_takes_a_model_as_its_condition(a: oh.Model, b: oh.Model, value: float) -> None:
    is_positive = of_graph(
        helper.make_graph(
            [
                helper.make_node("ReduceMax", ["z"], ["largest"], keepdims=0),
                helper.make_node("Greater", ["largest", "zero"], ["y"]),
            ],
            "is_positive",
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, [None])],
            [helper.make_tensor_value_info("y", TensorProto.BOOL, [])],
            [numpy_helper.from_array(np.array(0, np.float32), "zero")],
        )
    )
    feeds = {"x": X, "z": np.array([value], np.float32)}
    same(run(oh.switch(is_positive, a, b), feeds), run(a if value > 0 else b, feeds))


@given(
    st.floats(0, 1, width=32),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from([13, 17, 18, 21]),
    st.sampled_from([13, 17, 20]),
)
def test_a_cascade_equals_local_where_every_row_is_accepted_and_remote_otherwise(
    threshold: float, count: int, softmax: bool, local_opset: int, remote_opset: int
) -> None:
    local = dense("small", "x", "probs", (3, 5), seed=1, softmax=not softmax, opset=local_opset)
    remote = dense("large", "x", "probs", (3, 5), seed=2, softmax=not softmax, opset=remote_opset)
    judge = oh.judge.max_probability("probs", softmax=softmax) >= oh.Input("threshold", default=0.8)
    composed = oh.cascade(local, remote, accept=judge)
    feeds = {"x": rows(count, 3)}
    probs = run(local, feeds)["probs"]
    if softmax:
        probs = run(dense_softmax(), {"logits": probs})["p"]
    accepted = bool((probs.max(axis=-1, initial=0) >= np.float32(threshold)).all()) if count else True
    ours = run(composed, {**feeds, "threshold": np.array([threshold], np.float32)})
    by_hand = run(local if accepted else remote, feeds)
    np.testing.assert_allclose(ours["probs"], by_hand["probs"], rtol=1e-5)
    assert [value.name for value in composed.inputs] == ["x", "threshold"]


def dense_softmax() -> oh.Model:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 5]) for name in ("logits", "p")]
    node = helper.make_node("Softmax", ["logits"], ["p"], axis=-1)
    return of_graph(helper.make_graph([node], "softmax", values[:1], values[1:]))


def test_a_threshold_with_a_default_may_be_left_out() -> None:
    local, remote = (dense(name, "x", "p", (3, 5), seed=seed, softmax=True) for name, seed in (("a", 1), ("b", 2)))
    for default, expected in ((0.0, local), (1.0, remote)):
        judge = oh.judge.max_probability("p") >= oh.Input("t", default=default)
        composed = oh.cascade(local, remote, accept=judge)
        assert composed.inputs[-1].optional
        same(run(composed, {"x": X}), run(expected, {"x": X}))


def test_a_judge_may_read_an_output_that_remote_does_not_give() -> None:
    logits, local = dense("l", "x", "label", (3, 5)), _with_probabilities()
    composed = oh.cascade(local, logits, accept=oh.judge.logit_max("p") >= 2.0)
    assert [value.name for value in composed.outputs] == ["label"]
    same(run(composed, {"x": X}), run(logits, {"x": X}))


def _with_probabilities() -> oh.Model:
    both = oh.parallel(l=dense("l", "x", "label", (3, 5)), p=dense("p", "x", "label", (3, 5), softmax=True))
    return both.rename({"l/label": "label", "p/label": "p"})


@pytest.mark.parametrize("name", ["input", "limit", "rows", "score", "accepted", "judge/rows", "threshold_1"])
def test_a_judge_may_read_a_tensor_of_any_name(name: str) -> None:
    for other in ("threshold", "accepted_1", "judge/score"):
        judge = oh.judge.max_probability(name) >= oh.Input(other, default=0.5)
        assert [value.name for value in judge.inputs] == [name, other]
        (verdict,) = oh.Session(judge).run(None, {name: np.array([[0.9, 0.1]], np.float32)})
        assert verdict.tolist() == [True]


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_a_judge_reads_probabilities_of_any_float_type(kind: str) -> None:
    def cast(model: oh.Model) -> oh.Model:
        values = [
            oh.TensorSpec("p", "float32", ("n", 5)).to_value_info(),
            oh.TensorSpec("q", kind, ("n", 5)).to_value_info(),
        ]
        node = helper.make_node("Cast", ["p"], ["q"], to=values[1].type.tensor_type.elem_type)
        return oh.chain(model, of_graph(helper.make_graph([node], "cast", values[:1], values[1:])))

    local, remote = (cast(dense("m", "x", "p", (3, 5), seed=seed, softmax=True)) for seed in (1, 2))
    composed = oh.cascade(local, remote, accept=oh.judge.max_probability("q") >= 0.0)
    same(run(composed, {"x": X}), run(local, {"x": X}))


@given(local_models(), local_models(), local_models(inputs=("y",), outputs=("z",)), st.booleans(), st.booleans())
def test_combinators_nest(a: oh.Model, b: oh.Model, c: oh.Model, one: bool, two: bool) -> None:
    inner = oh.switch("one", a, b)
    outer = oh.switch("two", oh.chain(inner, c), oh.chain(b, c))
    feeds = {"x": X, "one": np.array(one), "two": np.array(two)}
    chosen = (a if one else b) if two else b
    same(run(outer, feeds), run(c, run(chosen, feeds)))


@given(local_models(inputs=("x", "z")), local_models(inputs=("x",)))
def test_composing_leaves_its_arguments_unchanged_and_gives_the_same_bytes_twice(a: oh.Model, b: oh.Model) -> None:
    before = a.to_proto(), b.to_proto()
    once, twice = (
        [
            composed.to_proto().SerializeToString()
            for composed in (
                oh.parallel(a=a, b=b),
                oh.switch("c", a, b),
                oh.chain(a, b.rename({"x": "y", "y": "v"})),
                oh.cascade(b, a, accept=oh.judge.max_probability("y") >= 0.5),
            )
        ]
        for _ in range(2)
    )
    assert once == twice
    assert (a.to_proto(), b.to_proto()) == before


def test_branch_weights_are_shared_in_the_main_graph() -> None:
    composed = oh.switch("c", dense("a", "x", "y", (3, 500)), dense("b", "x", "y", (3, 500), seed=1))
    (node,) = [node for node in composed.skeleton.graph.node if node.op_type == "If"]
    assert not any(attribute.g.initializer for attribute in node.attribute)
    assert len(composed.skeleton.graph.initializer) == 4


def test_weights_are_not_copied_to_be_composed() -> None:
    a, b = dense("a", "x", "y", (300, 300)), dense("b", "y", "z", (300, 300))
    composed = oh.chain(a, b)
    assert set(composed.weights.values()) == {*a.weights.values(), *b.weights.values()}
    assert composed.skeleton.ByteSize() < 10_000


def test_node_names_and_metadata_say_which_part_is_which() -> None:
    composed = oh.parallel(edge=dense("a", "x", "y", (3, 3)), cloud=dense("b", "x", "y", (3, 3)))
    names = {node.name for node in composed.skeleton.graph.node}
    assert names == {"edge/matmul", "edge/add", "cloud/matmul", "cloud/add"}
    assert '"label": "edge"' in composed.metadata["onnxhybrid.parts"]


def test_metadata_of_all_parts_is_kept() -> None:
    a = dense("a", "x", "y", (3, 3)).with_metadata({"author": "ann", "labels": "digits"})
    b = dense("b", "y", "z", (3, 3)).with_metadata({"author": "bob", "labels": "digits"})
    metadata = oh.chain(a, b).metadata
    assert (metadata["author"], metadata["b/author"], metadata["labels"]) == ("ann", "bob", "digits")


@pytest.mark.parametrize("text", ["not json", "[" * 100_000])
def test_a_foreign_entry_of_our_own_name_is_no_hindrance(text: str) -> None:
    foreign = dense("a", "x", "y", (3, 3)).with_metadata({"onnxhybrid.parts": text})
    assert oh.chain(foreign, dense("b", "y", "z", (3, 3))).outputs


def test_sizes_of_one_name_stay_apart_where_nothing_says_that_they_are_equal() -> None:
    a, b = dense("a", "x", "y", (3, 3)), dense("b", "u", "v", (3, 3))
    composed = oh.parallel(a=a, b=b)
    assert [value.shape for value in composed.inputs] == [("n", 3), ("b/n", 3)]
    assert [value.shape for value in composed.outputs] == [("n", 3), ("b/n", 3)]
    ours = run(composed, {"x": rows(2, 3), "u": rows(5, 3)})
    assert [len(value) for value in ours.values()] == [2, 5]


def test_a_shared_input_promises_what_both_parts_want() -> None:
    a, b = dense("a", "x", "y", (3, 3), rows="n"), dense("b", "x", "y", (3, 3), rows=2)
    for composed in (oh.parallel(a=a, b=b), oh.parallel(a=b, b=a)):
        assert composed.inputs[0].shape == (2, 3)


def test_branches_promise_the_weaker_of_their_shapes() -> None:
    composed = oh.switch("c", dense("a", "x", "y", (3, 3), rows=2), dense("b", "u", "y", (3, 3), rows=4))
    assert composed.outputs[0].shape == (None, 3)


def test_functions_of_all_parts_are_kept_also_where_one_name_has_two_meanings() -> None:
    def with_function(source: str, target: str, operator: str) -> oh.Model:
        function = helper.make_function(
            "local", "Shape", ["a"], ["b"], [helper.make_node(operator, ["a"], ["b"])], [helper.make_opsetid("", 17)]
        )
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in (source, target)]
        graph = helper.make_graph(
            [helper.make_node("Shape", [source], [target], domain="local")], operator, values[:1], values[1:]
        )
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        return of_graph(graph, functions=[function], opset_imports=imports)

    a, b = with_function("x", "y", "Neg"), with_function("y", "z", "Neg")
    np.testing.assert_array_equal(run(oh.chain(a, b), {"x": X})["z"], X)
    np.testing.assert_array_equal(run(oh.chain(a, with_function("y", "z", "Abs")), {"x": X})["z"], np.abs(X))


def test_an_opset_step_that_cannot_be_proven_is_a_coded_error() -> None:
    def with_if(operator_opset: int, source: str, target: str) -> oh.Model:
        inner = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
        node = helper.make_node("GroupNormalization", [source, "one", "one"], ["inner"], num_groups=1)
        body = helper.make_graph([node], "b", [], [inner], [numpy_helper.from_array(np.ones(1, np.float32), "one")])
        graph = helper.make_graph(
            [
                helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))),
                helper.make_node("If", ["c"], [target], then_branch=body, else_branch=body),
            ],
            "with_if",
            [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["n", 3])],
            [helper.make_tensor_value_info(target, TensorProto.FLOAT, None)],
        )
        return of_graph(graph, opset=operator_opset)

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("x", "y")]
    flat = helper.make_graph([helper.make_node("Flatten", ["x"], ["y"])], "flat", values[:1], values[1:])
    with pytest.raises(
        oh.ComposeError, match=r"OH102.*imports ai.onnx 18 and the part 'flat' 21; .*GroupNormalization"
    ):
        oh.parallel(a=with_if(18, "x", "y"), b=of_graph(flat, opset=21, ir_version=10))


def test_an_operator_that_changed_is_converted_where_the_converter_knows_the_step() -> None:
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x"], ["y"], axes=[1], name="sum")],
        "old",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    )
    old = of_graph(graph, opset=11)
    composed = oh.parallel(old=old, new=dense("b", "x", "y", (3, 3)))
    assert composed.opsets[""] == 17
    np.testing.assert_array_equal(run(composed, {"x": X})["old/y"], run(old, {"x": X})["y"])


@pytest.mark.parametrize("opset", [7, 9])
def test_models_of_the_oldest_files_compose_too(opset: int) -> None:
    weight = rows(3, 3, 5)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 3]) for name in ("x", "w", "y")]
    values[1] = helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 3])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "old",
        values[:2],
        values[2:],
        [numpy_helper.from_array(weight, "w")],
    )
    old = of_graph(graph, opset=opset, ir_version=3)
    assert [value.name for value in old.inputs] == ["x"]
    composed = oh.chain(old, dense("new", "y", "z", (3, 2)))
    assert [value.name for value in composed.inputs] == ["x"]
    np.testing.assert_allclose(
        run(composed, {"x": X})["z"], run(dense("new", "y", "z", (3, 2)), {"y": X @ weight})["z"], rtol=1e-5
    )


def _with_default(value: float) -> oh.Model:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "w", "y")]
    default = numpy_helper.from_array(np.array([value], np.float32), "w")
    return of_graph(
        helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", values[:2], values[2:], [default])
    )


def test_a_shared_input_may_be_left_out_only_if_every_part_says_so() -> None:
    alike = oh.parallel(a=_with_default(2.0), b=_with_default(2.0))
    assert [(value.name, value.optional) for value in alike.inputs] == [("x", False), ("w", True)]
    needed = oh.parallel(a=_with_default(2.0), b=_needs_w())
    assert ("w", False) in [(value.name, value.optional) for value in needed.inputs]


def test_defaults_that_are_stored_in_different_forms_are_one_default(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [40]) for name in ("x", "w", "y")]
    number = np.linspace(0, 1, 40, dtype=np.float32)
    raw, typed = numpy_helper.from_array(number, "w"), helper.make_tensor("w", TensorProto.FLOAT, [40], number.tolist())
    forms = []
    for tensor in (raw, typed):
        graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", values[:2], values[2:], [tensor])
        forms.append(of_graph(graph))
    for position, form in enumerate(forms[:]):
        path = tmp_path / f"{position}.onnx"
        onnx.save(form.to_proto(), path, save_as_external_data=True, location=f"{position}.data", size_threshold=0)
        forms.append(oh.load(path))
    for form in forms:
        composed = oh.parallel(a=forms[0], b=form)
        assert [(value.name, value.optional) for value in composed.inputs] == [("x", False), ("w", True)]


def test_no_composition_lets_a_training_node_overwrite_what_others_read() -> None:
    names = ("scale", "bias", "mean", "var")
    node = helper.make_node("BatchNormalization", ["x", *names], ["y", "mean_out", "var_out"], training_mode=1)
    vector = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in (*names, "mean_out", "var_out")]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy")
    training = of_graph(helper.make_graph([node], "training", [x, *vector[:4]], [y, *vector[4:]]))
    feeds = {"x": X, **{name: rows(1, 3, seed)[0] ** 2 for seed, name in enumerate(names)}}
    by_hand = run(training, feeds)
    for composed in (oh.switch("c", training, training), oh.parallel(a=training)):
        ours = run(composed, {**feeds, "c": np.array(True)})
        same(dict(zip(by_hand, ours.values(), strict=True)), by_hand)
    same(run(oh.cascade(training, training, accept=oh.judge.max_probability("y") >= 0.5), feeds), by_hand)
    after = dense("d", "y", "z", (3, 2))
    same(run(oh.chain(training.select(["y"]), after), feeds), run(after, by_hand))


def _needs_w() -> oh.Model:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("w", "y")]
    return of_graph(helper.make_graph([helper.make_node("Neg", ["w"], ["y"])], "g", values[:1], values[1:]))


def _ir3(source: str, target: str) -> oh.Model:
    """A model of the oldest files, where the weight `w` is an input that nobody can feed."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 3]) for name in (source, "w", target)]
    weight = numpy_helper.from_array(np.full((4, 3), 2, np.float32), "w")
    nodes = [helper.make_node("Mul", [source, "w"], [target])]
    return of_graph(helper.make_graph(nodes, "old", values[:2], values[2:], [weight]), opset=9, ir_version=3)


def test_the_weights_of_the_oldest_files_are_no_inputs_for_any_combinator() -> None:
    both = oh.parallel(a=dense("a", "x", "y", (3, 3)), b=dense("b", "x", "y", (3, 3))).rename({"a/y": "u", "b/y": "w"})
    composed = oh.chain(both, _ir3("u", "v"))
    assert [value.name for value in composed.outputs] == ["w", "v"]
    np.testing.assert_allclose(run(composed, {"x": X})["v"], run(both, {"x": X})["u"] * 2, rtol=1e-6)
    assert [value.name for value in oh.chain(_ir3("x", "y"), dense("n", "y", "w", (3, 3))).outputs] == ["w"]
    assert [value.name for value in oh.switch("c", _ir3("x", "y"), dense("n", "x", "y", (3, 3))).inputs] == ["x", "c"]


def test_a_sequence_can_come_out_of_a_branch_whatever_the_opset_of_the_parts() -> None:
    def pair(first: str, second: str) -> oh.Model:
        node = helper.make_node("SequenceConstruct", [first, second], ["s"])
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
        sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [1])
        return of_graph(helper.make_graph([node], "pair", values, [sequence]), opset=11)

    feeds = {name: np.array([value], np.float32) for name, value in (("a", 1), ("b", 2))}
    composed = oh.switch("c", pair("a", "b"), pair("b", "a"))
    for chosen, expected in ((True, [1, 2]), (False, [2, 1])):
        assert [int(value[0]) for value in run(composed, {**feeds, "c": np.array(chosen)})["s"]] == expected


def _odd(change: str) -> oh.Model:
    """X -> y = x + 1 (4, 3), in a form that some files have."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 3]) for name in ("x", "y", "stale")]
    ones = numpy_helper.from_array(np.ones((4, 3), np.float32), "ones")
    graph = helper.make_graph([helper.make_node("Add", ["x", "ones"], ["y"])], "odd", values[:1], values[1:2], [ones])
    if change == "output twice":
        graph.output.append(values[1])
    elif change == "stale value_info":
        graph.value_info.append(values[2])
    elif change == "unused weights":
        graph.initializer.append(numpy_helper.from_array(np.ones((64, 64), np.float32), "unused"))
    elif change == "no name":
        graph.name = ""
    elif change == "domain ai.onnx":
        graph.node[0].domain = "ai.onnx"
    elif change == "sparse weights":
        sparse = graph.sparse_initializer.add(dims=[4, 3])
        sparse.values.CopyFrom(numpy_helper.from_array(np.ones(12, np.float32), "ones"))
        sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(12), ""))
        del graph.initializer[:]
    return of_graph(graph)


@pytest.mark.parametrize(
    "change", ["output twice", "stale value_info", "unused weights", "domain ai.onnx", "sparse weights", "no name"]
)
def test_what_files_write_in_several_forms_composes_in_each(change: str) -> None:
    odd, judge = _odd(change), oh.judge.logit_max("y") >= 99.0
    chained = oh.chain(odd.rename({"y": "z"}), dense("d", "z", "w", (3, 2)))
    for composed in (oh.parallel(a=odd, b=odd), oh.switch("c", odd, odd), oh.cascade(odd, odd, accept=judge), chained):
        feeds = {"x": X, "c": np.array(True)}
        names = [value.name for value in composed.inputs]
        session = oh.Session(composed)
        outputs = session.run(None, {name: feeds[name] for name in names})
        if composed is not chained:
            for output in outputs:
                np.testing.assert_array_equal(output, X + 1)


def test_functions_of_one_name_in_two_domains_are_aligned_each() -> None:
    imports = [helper.make_opsetid("", 13)]
    functions = [
        helper.make_function(domain, "F", ["a"], ["b"], [helper.make_node(operator, ["a"], ["b"])], imports)
        for domain, operator in (("one", "Neg"), ("two", "Abs"))
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 3]) for name in ("x", "y")]
    nodes = [
        helper.make_node("F", ["x"], ["t"], domain="one"),
        helper.make_node("F", ["t"], ["y"], domain="two"),
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    opsets = [*imports, helper.make_opsetid("one", 1), helper.make_opsetid("two", 1)]
    model = of_graph(graph, opset_imports=opsets, functions=functions)
    composed = oh.parallel(a=model, b=dense("b", "x", "y", (3, 2), opset=18))
    assert [function.opset_import[0].version for function in composed.skeleton.functions] == [18, 18]
    np.testing.assert_array_equal(run(composed, {"x": X})["a/y"], np.abs(X))


def _keeping(output: str, source: str = "x") -> oh.Model:
    """`source` (4, 3) -> output = -source, and source as it is."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 3]) for name in (source, output)]
    nodes = [helper.make_node("Neg", [source], [output])]
    return of_graph(helper.make_graph(nodes, "keeping", values[:1], [values[1], values[0]]))


def test_an_input_that_models_of_a_chain_give_back_stays_an_output() -> None:
    first, second = _keeping("y"), _keeping("z")
    same(run(oh.chain(first, second), {"x": X}), {"y": -X, "z": -X, "x": X})
    same(run(oh.chain(first, second, _keeping("u", "y")), {"x": X}), {"z": -X, "x": X, "u": X, "y": -X})
    same(run(oh.chain(*oh.split(first, at=["x", "y"])), {"x": X}), {"y": -X, "x": X})


def test_an_input_that_a_model_gives_back_is_told_from_another_tensor_of_its_name() -> None:
    first, second = _keeping("y"), _keeping("z")
    with pytest.raises(oh.ComposeError, match=r"OH210.*'x'"):
        oh.chain(first.select(["y"]), second, connect={"x": "y"})
    computed = dense("then", "u", "x", (3, 3)).expose(["product"]).rename({"product": "y"})
    with pytest.raises(oh.ComposeError, match=r"OH210.*'else' gives its input back as it is: .*select"):
        oh.switch("c", then=computed, else_=first)


def test_a_conversion_that_is_known_to_change_values_is_refused() -> None:
    scales = numpy_helper.from_array(np.array([1, 1, 2, 0.5], np.float32), "scales")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4, 4]) for name in "xy"]
    nodes = [helper.make_node("Resize", ["x", "scales"], ["y"], mode="nearest")]
    old = of_graph(helper.make_graph(nodes, "old", values[:1], values[1:], [scales]), opset=10, ir_version=5)
    with pytest.raises(oh.ComposeError, match=r"OH102.*Resize"):
        oh.parallel(old=old, new=dense("b", "z", "y", (3, 3)))


def test_a_chain_of_comparisons_does_not_drop_a_condition() -> None:
    score = oh.judge.max_probability("p")
    with pytest.raises(oh.ComposeError, match="OH208"):
        unchecked(0.2 <= score <= 0.9)


def test_an_input_of_the_remote_may_be_called_like_a_judged_output() -> None:
    local = _with_probabilities()
    remote = dense("remote", "p", "label", (5, 5))
    composed = oh.cascade(local, remote, accept=oh.judge.logit_max("p") >= 2.0)
    assert [value.name for value in composed.inputs] == ["x", "p"]
    feeds = {"x": X, "p": rows(4, 5)}
    same(run(composed, feeds), run(remote, feeds))


def test_binding_a_model_of_the_oldest_files_leaves_its_weights_constant() -> None:
    assert not _ir3("x", "y").bind(x=np.ones((4, 3), np.float32)).inputs


A = dense("a", "x", "y", (3, 3))


def _bool_input(shape: tuple[int, ...]) -> oh.Model:
    values = [helper.make_tensor_value_info(name, TensorProto.BOOL, shape) for name in ("c", "b")]
    return of_graph(helper.make_graph([helper.make_node("Not", ["c"], ["b"])], "not", values[:1], values[1:]))


def unchecked(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("code", "compose"),
    [
        ("OH201", lambda: oh.chain(A, of_graph(helper.make_graph(
            [helper.make_node("Identity", ["y"], ["z"])], "half",
            [helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["n", 3])],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT16, ["n", 3])])))),
        ("OH202", lambda: oh.chain(A, dense("b", "y", "z", (4, 3)))),
        ("OH202", lambda: oh.parallel(a=A, b=dense("b", "x", "y", (4, 3)))),
        ("OH203", lambda: oh.chain(A, dense("b", "u", "v", (4, 3)))),
        ("OH203", lambda: oh.chain(_with_probabilities(), dense("b", "u", "v", (5, 3)))),
        ("OH204", lambda: oh.chain(A, dense("b", "u", "v", (3, 3)), connect={"u": "yy"})),
        ("OH204", lambda: oh.chain(A, dense("b", "u", "v", (3, 3)), connect={"w": "y"})),
        ("OH205", lambda: oh.chain(A)),
        ("OH205", lambda: oh.chain(A, unchecked("b.onnx"))),
        ("OH205", oh.parallel),
        ("OH205", lambda: oh.switch("c", A, unchecked(None))),
        ("OH205", lambda: oh.cascade(A, A, accept=unchecked(0.8))),
        ("OH206", lambda: oh.switch("c", A, dense("b", "x", "z", (3, 3)))),
        ("OH206", lambda: oh.cascade(A, dense("b", "x", "z", (3, 3)), accept=oh.judge.max_probability("y") >= 1)),
        ("OH207", lambda: oh.switch(A, A, A)),
        ("OH207", lambda: oh.switch("x", A, A)),
        ("OH207", lambda: oh.switch("c", _bool_input((2,)), _bool_input((2,)))),
        ("OH207", lambda: oh.switch(_bool_input((2,)), A, A)),
        ("OH208", lambda: oh.cascade(A, A, accept=oh.judge.max_probability("probs") >= 0.5)),
        ("OH208", lambda: oh.cascade(A, A, accept=A)),
        ("OH208", lambda: oh.judge.max_probability("y") >= unchecked("much")),
        ("OH208", lambda: oh.judge.max_probability("") >= 0.5),
        ("OH208", lambda: oh.judge.max_probability("y") >= unchecked(None)),
        ("OH205", lambda: oh.chain(unchecked([A, A]))),
        ("OH205", oh.chain),
        ("OH208", lambda: oh.judge.max_probability("y") >= oh.Input("y")),
        ("OH210", lambda: oh.parallel(**{"a": A.rename({"y": "b/y"}), "a/b": A})),
        ("OH211", lambda: oh.parallel(a=_with_default(1.0), b=_with_default(2.0))),
        ("OH210", lambda: oh.chain(A, dense("b", "y", "x", (3, 3)))),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_coded_error(code: str, compose: object) -> None:
    with pytest.raises(oh.ComposeError) as caught:
        compose()  # type: ignore[operator]
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("accept", [0.8, "y", None, lambda y: y > 0.8])
def test_what_is_no_judge_is_answered_with_what_one_looks_like(accept: Any) -> None:
    with pytest.raises(oh.ComposeError, match=r"OH205.*accept is a judge, as in oh\.judge\.max_probability"):
        oh.cascade(A, A, accept=accept)


def test_branches_nest_as_deeply_as_a_file_can_be_read_and_no_deeper(tmp_path: Path) -> None:
    local = dense("a", "x", "y", (3, 3))
    deep = functools.reduce(lambda model, number: oh.switch(f"c{number}", local, model), range(30), local)
    deep.save(tmp_path / "m.onnx")
    feeds = {"x": rows(2, 3)} | {f"c{number}": np.array(False) for number in range(30)}
    np.testing.assert_array_equal(
        oh.Session(oh.load(tmp_path / "m.onnx")).run(None, feeds)[0], oh.Session(local).run(None, {"x": rows(2, 3)})[0]
    )
    with pytest.raises(oh.ComposeError, match="OH245"):
        oh.switch("last", local, deep)


def test_cost_does_not_explode_with_equal_node_names_or_many_parts() -> None:
    nodes = [helper.make_node("Relu", [f"t{n}"], [f"t{n + 1}"], name="relu") for n in range(20_000)]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("t0", "t20000"))
    model = of_graph(helper.make_graph(nodes, "g", [x], [y]))
    names = [node.name for node in oh.parallel(a=model, b=model).skeleton.graph.node]
    assert len(set(names)) == 40_000
    assert len(oh.chain(*(dense("g", f"x{n}", f"x{n + 1}", (2, 2)) for n in range(500))).skeleton.graph.node) == 1_000


def _as_wide_as(width: int, declared: int | None, opset: int) -> oh.Model:
    """Float32[n, 3] -> float32[n, width], whose width the file need not tell: it follows from the weights."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", declared])
    weight = numpy_helper.from_array(rows(3, width, seed=width), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return of_graph(helper.make_graph([node], "wide", [x], [y], [weight]), opset=opset)


@pytest.mark.parametrize("opset", [8, 10, 11, 17])
@pytest.mark.parametrize("declared", [None, -1, 5])
def test_branches_may_differ_in_a_size_whatever_the_opset_and_whatever_the_files_tell(
    opset: int, declared: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    narrow, wide = _as_wide_as(2, None, opset), _as_wide_as(5, declared, opset)
    for model in (oh.switch("c", then=narrow, else_=wide), oh.switch("c", then=wide, else_=narrow)):
        for choice in (True, False):
            (output,) = oh.Session(model).run(None, {"x": X, "c": np.array(choice)})
            expected = oh.Session(narrow if output.shape[1] == 2 else wide).run(None, {"x": X})[0]
            np.testing.assert_array_equal(output, expected)
    assert "does not match actual shape" not in capfd.readouterr().err


def test_branches_of_old_operators_that_cannot_be_lifted_still_compose() -> None:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, *sizes])
        for name, *sizes in (("x", 2, 2), ("y", 4, 4))
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    node = helper.make_node("Upsample", ["x", "scales"], ["y"])
    old = of_graph(helper.make_graph([node], "old", values[:1], values[1:], [scales]), opset=9, ir_version=5)
    (output,) = oh.Session(oh.switch("c", then=old, else_=old)).run(
        None, {"x": np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2), "c": np.array(True)}
    )
    assert output.shape == (1, 1, 4, 4)


def declared_by_name(source: str, target: str, operator: str, domain: str = "") -> oh.Model:
    """A model whose output has a name and no type, as ONNX Runtime takes it."""
    nodes = [
        helper.make_node("Neg", [source], [f"-{source}"]),
        helper.make_node(operator, [f"-{source}"], [target], domain=domain),
    ]
    value = helper.make_tensor_value_info(source, TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(nodes, "named", [value], [helper.make_empty_tensor_value_info(target)])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=imports, ir_version=8))


@pytest.mark.parametrize(("operator", "domain"), [("Relu", ""), ("Gelu", "com.microsoft")])
def test_an_output_that_is_declared_by_name_alone_has_the_type_that_is_inferred(operator: str, domain: str) -> None:
    named = declared_by_name("x", "y", operator, domain)
    x = np.array([[1, -2, 3, 4]], np.float32)
    (expected,) = oh.Session(named).run(None, {"x": x})
    other = dense("d", "x", "y", (4, 4))
    composed: list[tuple[oh.Model, dict[str, Any]]] = [
        (oh.switch("c", then=named, else_=other), {"c": np.array(True)}),
        (oh.route("i", [named, other]), {"i": np.array(0)}),
        (oh.cascade(named, other, accept=oh.judge.value("y") >= -9), {}),
        (oh.fallback(named, other), {}),
        (oh.ensemble([named, named]), {}),
    ]
    for model, more in composed:
        np.testing.assert_allclose(run(model, {"x": x, **more})["y"], expected, rtol=1e-6)
    after = run(oh.chain(named, declared_by_name("y", "z", "Exp")), {"x": x})["z"]
    np.testing.assert_allclose(after, np.exp(-expected), rtol=1e-6)


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.FLOAT8E8M0, TensorProto.FLOAT4E2M1])
def test_an_element_type_that_no_branch_gives_is_refused(kind: int) -> None:
    values = [helper.make_tensor_value_info(name, kind, [2]) for name in "xy"]
    model = of_graph(
        helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "narrow", values[:1], values[1:]),
        opset_imports=[helper.make_opsetid("", 25)],
        ir_version=13,
    )
    with pytest.raises(oh.ComposeError, match=r"OH206.*cannot give from a branch"):
        oh.switch("c", then=model, else_=model)

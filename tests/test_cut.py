"""Cutting: a model cut in two and chained again is the model, and what cannot be cut is told why."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.model.messages import replace
from tests.begun import await_, begin, graph
from tests.strategies import Array, dense, local_models, of_graph, rows, run

X = rows(4, 3, 1)


def unchecked(value: Any) -> Any:
    return value


def same(ours: dict[str, Array], by_hand: dict[str, Array]) -> None:
    assert list(ours) == list(by_hand)
    for name, value in by_hand.items():
        np.testing.assert_array_equal(ours[name], value)


def floats(*names: str, shape: tuple[int | str | None, ...] = ("n", 3)) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]


def nodes(*rows: tuple[str, str, str]) -> list[onnx.NodeProto]:
    """Nodes written as (operator, inputs, outputs); a node is called like its first output."""
    return [helper.make_node(op, i.split(), o.split(), name=f"make_{o.split()[0]}") for op, i, o in rows]


def graph_of(
    made: list[onnx.NodeProto], inputs: str = "x", outputs: str = "y", weights: tuple[str, ...] = (), **more: Any
) -> oh.Model:
    constants = [numpy_helper.from_array(np.full(3, n + 2, np.float32), name) for n, name in enumerate(weights)]
    return of_graph(helper.make_graph(made, "g", floats(*inputs.split()), floats(*outputs.split()), constants), **more)


# x -> a -> b -> y, and a -> y
RESIDUAL = graph_of(
    nodes(("Mul", "x w", "a"), ("Neg", "a", "b"), ("Add", "a b", "c"), ("Mul", "c w", "y")), weights=("w",)
)


@given(local_models(inputs=("x", "z"), outputs=("y", "u")), st.data())
def test_a_model_cut_in_two_and_chained_again_is_the_model(model: oh.Model, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.sampled_from([spec.name for spec in model.tensors()]), min_size=1, unique=True))
    feeds = {"x": X, "z": rows(4, 3, 2)}
    try:
        head, tail = oh.split(model, at=at)
    except oh.ComposeError as problem:
        assert problem.code == "OH237"
        return
    assert [value.name for value in head.outputs] == at
    assert [value.name for value in head.inputs] == ["x", "z"]
    assert [value.name for value in tail.inputs] == at
    by_hand = run(tail, run(head, feeds))
    same(by_hand, run(model, feeds))
    same(run(oh.chain(head, tail), feeds), by_hand)


@given(local_models(inputs=("x", "z"), outputs=("y", "u")), st.data())
def test_the_inputs_are_a_cut_and_so_are_all_outputs(model: oh.Model, data: st.DataObject) -> None:
    feeds = {"x": X, "z": rows(4, 3, 2)}
    for at in (["z", "x"], ["u", "y"]):
        same(run(oh.chain(*oh.split(model, at=at)), feeds), run(model, feeds))


@given(local_models(inputs=("x", "z"), outputs=("y", "u")), st.data())
def test_a_model_spliced_into_its_own_place_changes_nothing(model: oh.Model, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.sampled_from([spec.name for spec in model.tensors()]), min_size=1, unique=True))
    feeds = {"x": X, "z": rows(4, 3, 2)}
    try:
        _, tail = oh.split(model, at=at)
        spliced = oh.splice(model, inputs=at, outputs=["y", "u"], replacement=tail)
    except oh.ComposeError as problem:
        assert problem.code in ("OH237", "OH240", "OH241", "OH242")
        return
    assert [value.name for value in spliced.inputs] == ["x", "z"]
    same(run(spliced, feeds), run(model, feeds))


def test_offloading_publishes_the_tail_and_chains_the_head_to_what_comes_back() -> None:
    published: list[oh.Model] = []

    def publish(tail: oh.Model) -> oh.Model:
        published.append(tail)
        return tail.prefix("r/").rename({"r/c": "c", "r/y": "y"})

    hybrid = oh.offload(RESIDUAL, at=["c"], to=publish)
    assert [str(spec) for spec in published[0].inputs] == ["c: float32[n, 3]"]
    same(run(hybrid, {"x": X}), run(RESIDUAL, {"x": X}))


def test_a_remote_tail_may_take_a_token_and_give_a_status_besides() -> None:
    def to(tail: oh.Model) -> oh.Model:
        return oh.remote.triton(
            "http://127.0.0.1:1",
            "tail",
            inputs=tail.inputs,
            outputs=tail.outputs,
            auth=oh.Input("token"),
            on_error="flag",
        )

    hybrid = oh.offload(RESIDUAL, at=["a"], to=to)
    assert [spec.name for spec in hybrid.inputs] == ["x", "token"]
    assert [spec.name for spec in hybrid.outputs] == ["y", "ok", "status", "error"]
    assert hybrid.remotes[0].inputs == ("a",)


def test_all_tensors_of_a_model_are_listed_with_what_is_known_of_them() -> None:
    assert [str(spec) for spec in RESIDUAL.tensors()] == [
        "x: float32[n, 3]", "w: float32[3]", "a: float32[n, 3]", "b: float32[n, 3]", "c: float32[n, 3]",
        "y: float32[n, 3]",
    ]  # fmt: skip


def test_the_outputs_of_a_remote_call_are_listed_as_they_are_declared() -> None:
    remote = oh.remote.triton(
        "http://127.0.0.1:1", "m", inputs=RESIDUAL.inputs, outputs=[oh.TensorSpec("h", "float16", (4, None))]
    )
    assert [str(spec) for spec in remote.tensors()] == ["x: float32[n, 3]", "h: float16[4, ?]"]


def test_types_behind_operators_that_only_the_runtime_knows_are_known() -> None:
    gelu = helper.make_node("Gelu", ["x"], ["h"], domain="com.microsoft")
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = graph_of([gelu, *nodes(("Neg", "h", "y"))], opset_imports=imports)
    head, tail = oh.split(model, at=["h"])
    assert [str(spec) for spec in tail.inputs] == ["h: float32[n, 3]"]
    same(run(oh.chain(head, tail), {"x": X}), run(model, {"x": X}))


def test_a_type_that_nobody_knows_can_be_given() -> None:
    unknown = helper.make_node("Mystery", ["x"], ["h"], domain="com.example")
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    model = graph_of([unknown, *nodes(("Neg", "h", "y"))], opset_imports=imports)
    assert [spec.dtype for spec in model.tensors()] == ["float32", "undefined", "float32"]
    with pytest.raises(oh.ComposeError, match=r"OH238.*oh\.TensorSpec\('h'"):
        oh.split(model, at=["h"])
    head, tail = oh.split(model, at=[oh.TensorSpec("h", "float16", ("n", 3))])
    assert [str(spec) for spec in (*head.outputs, *tail.inputs)] == ["h: float16[n, 3]"] * 2


def test_a_stale_declaration_of_an_inner_tensor_does_not_become_the_border() -> None:
    proto = RESIDUAL.to_proto()
    proto.graph.value_info.extend(floats("c", shape=(7, 7)))
    _, tail = oh.split(oh.Model.from_proto(proto), at=["c"])
    assert tail.inputs[0].shape == ("n", 3)


def test_weights_that_both_sides_read_go_to_both_by_reference() -> None:
    large = numpy_helper.from_array(np.ones((300, 3), np.float32), "w")
    made = nodes(("Gemm", "x w", "a"), ("Relu", "a", "b"), ("MatMul", "b w", "y"))
    made[0].attribute.append(helper.make_attribute("transB", 1))
    model = of_graph(helper.make_graph(made, "g", floats("x"), floats("y"), [large]))
    head, tail = oh.split(model, at=["b"])
    assert set(head.weights) == set(tail.weights) == set(model.weights) != set()
    same(run(oh.chain(head, tail), {"x": X}), run(model, {"x": X}))


def test_an_input_with_a_default_goes_where_it_is_read() -> None:
    made = nodes(("Mul", "x t", "a"), ("Relu", "a", "b"), ("Mul", "b t", "y"))
    one = numpy_helper.from_array(np.full(3, 2, np.float32), "t")
    model = of_graph(helper.make_graph(made, "g", [*floats("x"), *floats("t", shape=(3,))], floats("y"), [one]))
    head, tail = oh.split(model, at=["b"])
    assert [(spec.name, spec.optional) for spec in tail.inputs] == [("b", False), ("t", True)]
    chained = oh.chain(head, tail)
    for feeds in ({"x": X}, {"x": X, "t": np.full(3, 5, np.float32)}):
        same(run(chained, feeds), run(model, feeds))


def test_nothing_of_a_model_is_lost_by_cutting_it() -> None:
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    made = [helper.make_node("Twice", ["x"], ["a"], domain="own", name="twice", doc_string="doubles")]
    made += nodes(
        ("Cast", "a", "h"), ("Cast", "h", "i"), ("Cast", "s", "k"), ("Add", "i k", "j"), ("Add", "j sparse", "y")
    )
    for node, kind in zip(made[1:4], (TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.FLOAT), strict=True):
        node.attribute.append(helper.make_attribute("to", kind))
    made[0].metadata_props.add(key="part", value="first")
    half = helper.make_tensor("s", TensorProto.BFLOAT16, [3], [1.0, 2.0, 3.0])
    graph = helper.make_graph(made, "g", floats("x"), floats("y"), [half])
    sparse = graph.sparse_initializer.add(dims=[3])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(2, np.float32), "sparse"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(2), ""))
    graph.quantization_annotation.add(tensor_name="h").quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 3), helper.make_opsetid("com.other", 5)]
    model = of_graph(graph, opset_imports=imports, functions=[function], ir_version=10).with_metadata({"by": "ann"})
    head, tail = oh.split(model, at=["h"])
    for side in (head, tail):
        assert (side.ir_version, side.opsets, side.metadata) == (10, model.opsets, {"by": "ann"})
        assert side.skeleton.functions == model.skeleton.functions
    assert head.skeleton.graph.node[0] == model.skeleton.graph.node[0]
    assert [note.tensor_name for note in tail.skeleton.graph.quantization_annotation] == ["h"]
    assert [tensor.data_type for tensor in tail.skeleton.graph.initializer] == [TensorProto.BFLOAT16]
    assert tail.skeleton.graph.sparse_initializer == model.skeleton.graph.sparse_initializer
    same(run(oh.chain(head, tail), {"x": X}), run(model, {"x": X}))


def behind_unknown(domain: str, operator: str, dtype: str, opset: int = 12, **attributes: Any) -> oh.Model:
    """Text -> code, by an operator behind one that nobody knows, and x -> y by one that has to be converted."""
    made = [
        helper.make_node("Unknown", ["text"], ["words"], domain="own"),
        helper.make_node(operator, ["words"], ["code"], domain=domain, **attributes),
        helper.make_node("Squeeze", ["x"], ["y"]),
    ]
    if opset < 13:
        made[-1].attribute.append(helper.make_attribute("axes", [0]))
    takes = [
        oh.TensorSpec("text", "str", ("n",)).to_value_info(),
        oh.TensorSpec("x", "float32", (1, 3)).to_value_info(),
    ]
    gives = [oh.TensorSpec("code", dtype, None).to_value_info(), oh.TensorSpec("y", "float32", None).to_value_info()]
    imports = [helper.make_opsetid(name, version) for name, version in (("", opset), ("ai.onnx.ml", 1), ("own", 1))]
    return of_graph(helper.make_graph(made, "g", takes, gives), opset_imports=imports)


FRAGILE = {
    "RegexFullMatch": lambda: behind_unknown("", "RegexFullMatch", "bool", 20, pattern="a"),
    "LabelEncoder": lambda: behind_unknown("ai.onnx.ml", "LabelEncoder", "int64", classes_strings=["a"]),
    "DictVectorizer": lambda: behind_unknown("ai.onnx.ml", "DictVectorizer", "int64", string_vocabulary=["a"]),
}
"""Models with operators of which onnx's inference ends the process where the type of what they read is unknown."""


@pytest.mark.parametrize("operator", FRAGILE)
def test_operators_that_onnx_cannot_look_at_can_be_cut_and_aligned(operator: str) -> None:
    model = FRAGILE[operator]()
    assert [spec.name for spec in model.tensors()] == ["text", "x", "words", "code", "y"]
    words = oh.TensorSpec("words", "str", ("n",))
    assert [spec.name for spec in oh.split(model, at=[words, "x"])[1].outputs] == ["code", "y"]
    newer = of_graph(helper.make_graph(nodes(("Neg", "z", "u")), "newer", floats("z"), floats("u")), opset=21)
    composed = oh.parallel(a=model, b=newer)
    assert [(n.domain, n.op_type) for n in composed.to_proto().graph.node if n.output[0] == "a/code"] == [
        (n.domain, n.op_type) for n in model.skeleton.graph.node if n.output[0] == "code"
    ]


def test_what_sparse_weights_become_can_be_cut() -> None:
    graph = helper.make_graph(nodes(("Abs", "sparse", "a"), ("Add", "x a", "y")), "g", floats("x"), floats("y"))
    sparse = graph.sparse_initializer.add(dims=[3])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(2, np.float32), "sparse"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(2), "indices"))
    model = of_graph(graph)
    assert [str(spec) for spec in model.tensors()[1:3]] == ["sparse: float32[3]", "a: float32[3]"]
    same(run(oh.chain(*oh.split(model, at=["x", "a"])), {"x": X}), run(model, {"x": X}))


@pytest.mark.parametrize("name", ["a b", "a/b", "-> y", "'quoted'", "größe", "\n", "0"])
def test_a_tensor_of_any_name_can_be_cut(name: str) -> None:
    model = RESIDUAL.rename({"c": name})
    same(run(oh.chain(*oh.split(model, at=[name])), {"x": X}), run(model, {"x": X}))


def test_a_path_around_the_cut_is_shown() -> None:
    with pytest.raises(oh.ComposeError) as caught:
        oh.split(RESIDUAL, at=["b"])
    assert "'x' -> Mul(make_a) -> 'a' -> Add(make_c) -> 'c' -> Mul(make_y) -> 'y'" in str(caught.value)


def test_a_branch_that_takes_a_tensor_from_outside_is_on_the_path() -> None:
    def branch(name: str) -> onnx.GraphProto:
        return helper.make_graph([helper.make_node("Neg", ["a"], [name])], name, [], floats(name))

    chosen = helper.make_node("If", ["c"], ["d"], name="choose", then_branch=branch("t"), else_branch=branch("e"))
    made = [*nodes(("Relu", "x", "a"), ("Abs", "a", "b")), chosen, *nodes(("Add", "b d", "y"))]
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    model = of_graph(helper.make_graph(made, "g", [*floats("x"), condition], floats("y")))
    with pytest.raises(oh.ComposeError, match=r"OH237.*'a' -> If\(choose\) -> 'd'"):
        oh.split(model, at=["b", "c"])
    head, tail = oh.split(model, at=["a", "c"])
    feeds = {"x": X, "c": np.array(True)}
    same(run(oh.chain(head, tail), feeds), run(model, feeds))


def test_what_gives_something_else_each_time_does_not_run_on_both_sides() -> None:
    noise = helper.make_node("RandomNormal", [], ["r"], shape=[3], name="noise")
    model = graph_of([noise, *nodes(("Add", "x r", "a"), ("Add", "a r", "y"))])
    with pytest.raises(oh.ComposeError, match=r"OH237.*RandomNormal\(noise\).*'r'"):
        oh.split(model, at=["a"])
    head, tail = oh.split(model, at=["a", "r"])
    assert [node.op_type for node in tail.skeleton.graph.node] == ["Add"]
    assert [spec.name for spec in head.outputs] == ["a", "r"]


def test_a_ticket_does_not_leave_its_model() -> None:
    remote = oh.remote.triton("http://127.0.0.1:1", "m", inputs=RESIDUAL.inputs, outputs=RESIDUAL.outputs)
    waits = [await_(["ticket"], [name], name) for name in "yz"]  # two of them, so the call stays in several nodes
    begun = graph([begin(remote, "ticket", ["x"]), *waits], floats("x"), floats("y", "z"))
    with pytest.raises(oh.ComposeError, match=r"OH237.*ticket"):
        oh.split(begun, at=["ticket"])


def test_a_map_that_is_an_output_does_not_cross() -> None:
    zipped = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])
    value = onnx.ValueInfoProto(name="y")
    element = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    value.type.CopyFrom(helper.make_sequence_type_proto(element))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = of_graph(helper.make_graph([zipped], "g", floats("x"), [value]), opset_imports=imports)
    with pytest.raises(oh.ComposeError, match=r"OH238.*map"):
        oh.split(model, at=["y"])
    assert oh.split(model, at=["x"])[1].outputs == model.outputs


def test_a_replacement_takes_the_place_of_the_nodes_between() -> None:
    spliced = oh.splice(RESIDUAL, ["a"], ["c"], dense("b", "u", "v", (3, 3)))
    assert [node.op_type for node in spliced.skeleton.graph.node] == ["Mul", "MatMul", "Add", "Mul"]
    a = X * 2
    by_hand = run(dense("b", "u", "v", (3, 3)), {"u": a})["v"] * 2
    np.testing.assert_allclose(run(spliced, {"x": X})["y"], by_hand, rtol=1e-5)
    assert {node.name for node in spliced.skeleton.graph.node} == {
        "make_a", "replacement/matmul", "replacement/add", "make_y"
    }  # fmt: skip


def test_a_remote_model_can_be_spliced_in_with_its_wire_names_and_what_it_gives_besides() -> None:
    specs = {"inputs": [oh.TensorSpec("u", "float32", ("n", 3))], "outputs": [oh.TensorSpec("v", "float32", ("n", 3))]}
    remote = oh.remote.triton("http://127.0.0.1:1", "m", **unchecked(specs), on_error="flag", auth=oh.Input("token"))
    with pytest.raises(oh.ComposeError, match="OH239"):
        oh.splice(RESIDUAL, ["a"], ["c"], remote)
    spliced = oh.splice(RESIDUAL, ["a"], ["c"], remote.rename({"u": "a", "v": "c"}))
    assert [spec.name for spec in spliced.inputs] == ["x", "token"]
    assert [spec.name for spec in spliced.outputs] == ["y", "ok", "status", "error"]
    assert (spliced.remotes[0].inputs, spliced.remotes[0].outputs) == (("u",), ("v",))


def test_extra_inputs_of_a_replacement_become_inputs_of_the_whole_or_are_shared_by_name() -> None:
    scaled = graph_of(nodes(("Mul", "h x", "s"), ("Add", "s bias", "y")), inputs="h x bias")
    spliced = oh.splice(RESIDUAL, ["a"], ["c"], scaled.rename({"h": "a", "y": "c"}))
    assert [spec.name for spec in spliced.inputs] == ["x", "bias"]
    bias = rows(4, 3, 5)
    np.testing.assert_allclose(run(spliced, {"x": X, "bias": bias})["y"], (X * 2 * X + bias) * 2, rtol=1e-6)


def _half(source: str, target: str) -> oh.Model:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["n", 3]) for name in (source, target)]
    return of_graph(helper.make_graph([helper.make_node("Neg", [source], [target])], "half", values[:1], values[1:]))


def _with_threshold(value: float) -> oh.Model:
    default = numpy_helper.from_array(np.full(3, value, np.float32), "t")
    inputs = [*floats("a"), *floats("t", shape=(3,))]
    return of_graph(helper.make_graph(nodes(("Mul", "a t", "c")), "g", inputs, floats("c"), [default]))


SMALL = dense("b", "u", "v", (3, 3))
BOTH = graph_of(nodes(("Neg", "x", "p"), ("Abs", "x", "q"), ("Add", "p q", "y")))


@pytest.mark.parametrize(
    ("code", "cut"),
    [
        ("OH205", lambda: oh.split(unchecked("model.onnx"), at=["a"])),
        ("OH205", lambda: oh.splice(RESIDUAL, ["a"], ["c"], unchecked(None))),
        ("OH205", lambda: oh.splice(unchecked(RESIDUAL.to_proto()), ["a"], ["c"], SMALL)),
        ("OH235", lambda: oh.split(RESIDUAL, at="a")),
        ("OH235", lambda: oh.split(RESIDUAL, at=[])),
        ("OH235", lambda: oh.split(RESIDUAL, at=unchecked(None))),
        ("OH235", lambda: oh.split(RESIDUAL, at=unchecked([1]))),
        ("OH235", lambda: oh.split(RESIDUAL, at=["a", "a"])),
        ("OH235", lambda: oh.splice(RESIDUAL, ["a"], [], SMALL)),
        ("OH236", lambda: oh.split(RESIDUAL, at=["A"])),
        ("OH236", lambda: oh.split(RESIDUAL, at=[""])),
        ("OH236", lambda: oh.split(RESIDUAL, at=["\udc80"])),
        ("OH237", lambda: oh.split(RESIDUAL, at=["b"])),
        ("OH237", lambda: oh.split(RESIDUAL, at=["w"])),
        ("OH238", lambda: oh.split(RESIDUAL, at=[oh.TensorSpec("a", "int64", ("n", 3))])),
        ("OH238", lambda: oh.split(RESIDUAL, at=[oh.TensorSpec("a", "float32", ("n", 4))])),
        ("OH238", lambda: oh.split(RESIDUAL, at=[oh.TensorSpec("a", "float32", (3,))])),
        ("OH239", lambda: oh.splice(RESIDUAL, ["a", "x"], ["c"], SMALL)),
        ("OH239", lambda: oh.splice(RESIDUAL, ["a"], ["b", "c"], SMALL)),
        ("OH240", lambda: oh.splice(BOTH, ["p"], ["q"], SMALL)),
        ("OH240", lambda: oh.splice(RESIDUAL, [], ["x"], graph_of(nodes(("Relu", "u", "v")), "u", "v"))),
        ("OH241", lambda: oh.splice(RESIDUAL, ["x"], ["b"], SMALL)),
        ("OH242", lambda: oh.splice(RESIDUAL, ["y"], ["a"], SMALL)),
        ("OH242", lambda: oh.splice(RESIDUAL, ["a"], ["a"], SMALL)),
        ("OH243", lambda: oh.splice(RESIDUAL, ["a"], ["c"], graph_of(nodes(("Add", "a b", "c")), "a y", "c"))),
        ("OH201", lambda: oh.splice(RESIDUAL, ["a"], ["c"], _half("u", "v"))),
        ("OH202", lambda: oh.splice(RESIDUAL, ["a"], ["c"], dense("b", "u", "v", (4, 3)))),
        ("OH211", lambda: oh.splice(
            oh.splice(RESIDUAL, ["a"], ["c"], _with_threshold(2.0)), ["a"], ["c"], _with_threshold(3.0))),
        ("OH244", lambda: oh.offload(RESIDUAL, ["a"], unchecked(None))),
        ("OH244", lambda: oh.offload(RESIDUAL, ["a"], unchecked(lambda tail: None))),
        ("OH244", lambda: oh.offload(RESIDUAL, ["a"], lambda tail: SMALL)),
        ("OH244", lambda: oh.offload(RESIDUAL, ["a"], lambda tail: tail.rename({"y": "z"}))),
        ("OH244", lambda: oh.offload(RESIDUAL, ["a"], lambda tail: _half("a", "y"))),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_is_a_coded_error_in_one_line(code: str, cut: Any) -> None:
    with pytest.raises(oh.ComposeError) as caught:
        cut()
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_valid_is_not_cut() -> None:
    cycle = graph_of(nodes(("Add", "x b", "a"), ("Relu", "a", "b"), ("Neg", "b", "y")))
    with pytest.raises(oh.ValidationError, match="OH105"):
        oh.split(cycle, at=["b"])


def test_a_replacement_may_read_a_weight_that_nobody_else_needs() -> None:
    inputs = [*floats("x"), *floats("w", shape=(3,))]
    scaled = of_graph(helper.make_graph(nodes(("Div", "x w", "y")), "g", inputs, floats("y")))
    spliced = oh.splice(graph_of(nodes(("Mul", "x w", "y")), weights=("w",)), ["x", "w"], ["y"], scaled)
    np.testing.assert_array_equal(run(spliced, {"x": X})["y"], X / 2)


def test_a_misspelled_tensor_gets_near_matches() -> None:
    model = RESIDUAL.rename({"a": "features", "b": "feature_map"})
    with pytest.raises(oh.ComposeError, match=r"OH236.*'features'"):
        oh.split(model, at=["feature"])


def test_cutting_leaves_the_model_as_it_was_and_gives_the_same_bytes_twice() -> None:
    def cut() -> list[bytes]:
        models = (*oh.split(RESIDUAL, ["c"]), oh.splice(RESIDUAL, ["a"], ["c"], SMALL))
        return [model.to_proto().SerializeToString() for model in models]

    before = RESIDUAL.to_proto()
    assert cut() == cut()
    assert RESIDUAL.to_proto() == before


def overloaded(called: str, *, swapped: bool) -> oh.Model:
    """The input + a - a, where a comes from one of two functions of one name: random numbers, or constants."""
    text = """<ir_version: 10, opset_import: ["": 17, "own": 1]> g (float[n,4] x) => (float[n,4] y) {
        a = own.N () h = Add (x, a) y = Sub (h, a)
    }
    <domain: "own", opset_import: ["": 17], overload: "noise"> N () => (r) { r = RandomNormal <shape = [4]> () }
    <domain: "own", opset_import: ["": 17], overload: "fixed"> N () => (r) {
        r = Constant <value = float[4] {1,2,3,4}> ()
    }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.node[0].overload = called
    if swapped:
        replace(proto.functions, list(proto.functions)[::-1])
    return oh.Model.from_proto(proto)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_function_is_told_from_another_overload_of_its_name(swapped: bool) -> None:
    with pytest.raises(oh.ComposeError, match=r"OH237.*RandomNormal|OH237.*'a'"):
        oh.split(overloaded("noise", swapped=swapped), at=["h"])
    x = np.ones((2, 4), np.float32)
    (again,) = oh.Session(oh.chain(*oh.split(overloaded("fixed", swapped=swapped), at=["h"]))).run(None, {"x": x})
    np.testing.assert_array_equal(again, x)

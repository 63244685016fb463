"""Models with another interface: more outputs, other element types, one more axis, other base URLs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

import onnxhybrid as oh
from onnxhybrid.testing.strategies import feeds, models

Feed = dict[str, npt.NDArray[Any]]


def _model(text: str) -> oh.Model:
    return oh.Model.from_proto(parser.parse_model(text))


def _run(model: oh.Model | ModelProto, feed: Feed, outputs: list[str] | None = None) -> list[Any]:
    """What plain ONNX Runtime gives."""
    import onnxruntime

    proto = model.to_proto() if isinstance(model, oh.Model) else model
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    answers: list[Any] = session.run(outputs, feed)
    return answers


NEGATED = _model('<ir_version:8, opset_import:["":17]> a (float[n,4] x) => (float[n,4] f) { f = Neg(x) }')
RAISED = _model('<ir_version:8, opset_import:["":17]> b (float[n,4] f) => (float[n,4] y) { h = Abs(f) y = Exp(h) }')
X = np.arange(8, dtype=np.float32).reshape(2, 4)


def _call(url: str = "http://127.0.0.1:8000", name: str = "f") -> oh.Model:
    given, taken = oh.TensorSpec("x", "float32", ("n", 4)), oh.TensorSpec(name, "float32", ("n", 4))
    return oh.remote.triton(url, "m", inputs=[given], outputs=[taken])


# expose, select, keep ---------------------------------------------------------------------------------------------


def test_an_inner_tensor_becomes_an_output_behind_those_that_there_are() -> None:
    exposed = oh.chain(NEGATED, RAISED).expose(["h", "f"])
    assert [str(spec) for spec in exposed.outputs] == ["y: float32[n, 4]", "h: float32[n, 4]", "f: float32[n, 4]"]
    y, h, f = _run(exposed, {"x": X})
    np.testing.assert_array_equal(f, -X)
    np.testing.assert_array_equal(h, np.abs(X))
    np.testing.assert_allclose(y, np.exp(np.abs(X)), rtol=1e-6)


def test_what_is_an_output_already_stays_where_it_is() -> None:
    assert [spec.name for spec in NEGATED.expose("f").outputs] == ["f"]


def test_select_takes_inner_tensors_too() -> None:
    chosen = oh.chain(NEGATED, RAISED).select(["f", "y"])
    assert [spec.name for spec in chosen.outputs] == ["f", "y"]
    np.testing.assert_array_equal(_run(chosen, {"x": X})[0], -X)


def test_a_weight_becomes_an_output() -> None:
    text = "g (float[n,2] x) => (float[n,2] y) <float[2] w = {1, 2}> { y = Add(x, w) }"
    w = _run(_model(f'<ir_version:8, opset_import:["":17]> {text}').expose(["w"]), {"x": X[:, :2]})[1]
    np.testing.assert_array_equal(w, [1, 2])


@pytest.mark.parametrize("place", ["an initializer", "a constant"])
def test_a_sparse_weight_becomes_an_output_that_is_dense(place: str) -> None:
    values, indices = np.array([5, 6], np.float32), np.array([0, 3])
    tensors = (numpy_helper.from_array(values, "w"), numpy_helper.from_array(indices, "i"))
    weight = helper.make_sparse_tensor(*tensors, [1, 4])
    model = _model(
        '<ir_version:8, opset_import:["":17]> g (float[n,4] x) => (float[n,4] y) { y = Add(x, w) }'
    ).to_proto()
    if place == "an initializer":
        model.graph.sparse_initializer.append(weight)
    else:
        model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=weight))
    dense = np.array([[5, 0, 0, 6]], np.float32)
    exposed = oh.Model.from_proto(model).expose(["w"])
    assert [output.name for output in exposed.outputs] == ["y", "w"]
    for answer, wanted in zip(_run(exposed, {"x": X}), [X + dense, dense], strict=True):
        np.testing.assert_array_equal(answer, wanted)
    np.testing.assert_array_equal(_run(exposed.select(["w"]), {})[0], dense)


def test_a_weight_that_an_old_file_lists_as_an_input_becomes_an_output() -> None:
    text = '<ir_version:3, opset_import:["":7]> g (float[n,4] x, float[1,4] w) => (float[n,4] y) { y = Add(x, w) }'
    model = parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(X[1:], "w"))
    exposed = oh.Model.from_proto(model).expose(["w"])
    np.testing.assert_array_equal(_run(exposed, {"x": X})[1], X[1:])


def test_what_a_remote_call_answered_becomes_an_output() -> None:
    chained = oh.chain(_call(), RAISED)
    assert [str(spec) for spec in chained.expose(["f"]).outputs] == ["y: float32[n, 4]", "f: float32[n, 4]"]


def test_keep_leaves_a_consumed_output_in_its_place() -> None:
    kept = oh.chain(NEGATED, RAISED, keep=["f"])
    assert [spec.name for spec in kept.outputs] == ["f", "y"]
    np.testing.assert_array_equal(_run(kept, {"x": X})[0], -X)
    assert [spec.name for spec in oh.chain(NEGATED, RAISED, keep="y").outputs] == ["y"]


@pytest.mark.parametrize("keep", [["z"], "z", [1], 1, [None]])
def test_keep_names_outputs_of_the_models(keep: Any) -> None:
    with pytest.raises(oh.ComposeError, match="'f', 'y'") as caught:
        oh.chain(NEGATED, RAISED, keep=keep)
    assert caught.value.code == "OH204"


def test_two_kept_outputs_of_one_name_are_refused() -> None:
    again = _model('<ir_version:8, opset_import:["":17]> c (float[n,4] f) => (float[n,4] g) { g = Neg(f) }')
    renamed = again.rename({"g": "f2"}).rename({"f": "g", "f2": "f"})
    with pytest.raises(oh.ComposeError) as caught:
        oh.chain(NEGATED, renamed, RAISED, connect={"g": "f"}, keep=["f"])
    assert caught.value.code == "OH210"


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["hh"], "OH109", "did you mean 'h'"),
        (["x"], "OH115", "is an input"),
        ([], "OH109", "names of tensors"),
        (3, "OH109", "names of tensors"),
        ([3], "OH109", "names of tensors"),
    ],
)
def test_expose_says_what_cannot_be_an_output(names: Any, code: str, words: str) -> None:
    with pytest.raises(oh.ModelError, match=words) as caught:
        oh.chain(NEGATED, RAISED).expose(names)
    assert caught.value.code == code


def test_a_tensor_of_a_branch_is_no_output() -> None:
    switched = oh.switch("c", then=oh.chain(NEGATED, RAISED), else_=NEGATED.rename({"f": "y"}))
    (branch,) = (a.g for n in switched.to_proto().graph.node for a in n.attribute if a.name == "then_branch")
    (inner,) = (node.output[0] for node in branch.node if node.op_type == "Abs")
    with pytest.raises(oh.ModelError, match="of a branch") as caught:
        switched.expose([inner])
    assert caught.value.code == "OH109"


def test_a_tensor_without_a_type_is_no_output() -> None:
    graph = helper.make_graph(
        [helper.make_node("Odd", ["x"], ["h"], domain="com.example"), helper.make_node("Shape", ["h"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [None])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    with pytest.raises(oh.ModelError, match="value_info") as caught:
        oh.Model.from_proto(helper.make_model(graph, opset_imports=imports, ir_version=8)).expose(["h"])
    assert caught.value.code == "OH115"


@given(st.data())
def test_an_exposed_tensor_has_the_value_that_the_part_gives_by_hand(data: st.DataObject) -> None:
    x, m, y = (oh.TensorSpec(name, "float32", ("n", 3)) for name in "xmy")
    first, second = data.draw(models([x], [m])), data.draw(models([m], [y]))
    feed = data.draw(feeds(first))
    (by_hand,) = oh.Session(first).run(None, feed)
    _, exposed = oh.Session(oh.chain(first, second).expose(["m"])).run(None, feed)
    np.testing.assert_array_equal(exposed, by_hand)
    np.testing.assert_array_equal(oh.Session(oh.chain(first, second, keep=["m"])).run(["m"], feed)[0], by_hand)


# cast -------------------------------------------------------------------------------------------------------------


def test_an_output_gets_another_dtype() -> None:
    half = NEGATED.cast({"f": "float16"})
    assert str(half.outputs[0]) == "f: float16[n, 4]"
    (f,) = _run(half, {"x": X})
    assert f.dtype == np.float16
    np.testing.assert_array_equal(f, -X.astype(np.float16))


def test_an_input_takes_another_dtype() -> None:
    whole = NEGATED.cast({"x": np.int64, "f": np.dtype("float64")})
    assert [str(spec) for spec in (*whole.inputs, *whole.outputs)] == ["x: int64[n, 4]", "f: float64[n, 4]"]
    (f,) = _run(whole, {"x": X.astype(np.int64)})
    np.testing.assert_array_equal(f, -X.astype(np.float64))


def test_the_default_of_an_input_is_cast_with_it() -> None:
    threshold = oh.judge.max_probability("p") >= oh.Input("threshold", default=0.5)
    double = threshold.cast({"threshold": "float64"})
    (value,) = (tensor for tensor in double.to_proto().graph.initializer if tensor.name == "threshold")
    assert value.data_type == TensorProto.DOUBLE
    assert [(spec.name, spec.optional) for spec in double.inputs] == [("p", False), ("threshold", True)]
    p = np.array([[0.4, 0.6]], np.float32)
    assert _run(double, {"p": p})[0].item() is True
    assert _run(double, {"p": p, "threshold": np.array([0.7])})[0].item() is False


def test_a_default_that_its_new_dtype_cannot_hold_is_refused() -> None:
    with pytest.raises(oh.ModelError) as caught:
        (oh.judge.max_probability("p") >= oh.Input("threshold", default=0.5)).cast({"threshold": "int64"})
    assert caught.value.code == "OH111"


def test_an_output_that_other_nodes_read_is_cast_for_the_caller_alone() -> None:
    both = oh.chain(NEGATED, RAISED, keep=["f"]).cast({"f": "float64"})
    f, y = _run(both, {"x": X})
    assert (f.dtype, y.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(y, np.exp(X), rtol=1e-6)


def test_what_a_branch_reads_of_a_cast_input_is_as_it_was() -> None:
    switched = oh.switch("c", then=NEGATED, else_=NEGATED).cast({"x": "int32"})
    (f,) = _run(switched, {"x": X.astype(np.int32), "c": np.array(True)})
    np.testing.assert_array_equal(f, -X)


def test_a_remote_answer_is_cast_behind_its_call() -> None:
    cast = _call().cast({"f": "float64"})
    assert [spec.dtype for spec in cast.outputs] == ["float64"]
    assert oh.validate(cast)
    assert cast.remotes[0].outputs == ("f",)


def test_the_same_dtype_changes_nothing() -> None:
    assert NEGATED.cast({"x": "float32"}).to_proto() == NEGATED.to_proto()


@pytest.mark.parametrize(
    ("dtypes", "code"),
    [
        ({"z": "float32"}, "OH109"),
        ({"f": "nonsense"}, "OH110"),
        ({"f": "float4_e2m1fn"}, "OH115"),
        ({"f": "seq(tensor(float32))"}, "OH115"),
        (["f"], "OH109"),
        ({1: "float32"}, "OH109"),
    ],
)
def test_cast_says_what_it_cannot_do(dtypes: Any, code: str) -> None:
    with pytest.raises(oh.ModelError) as caught:
        NEGATED.cast(dtypes)
    assert caught.value.code == code


@pytest.mark.parametrize("declared", [onnx.ValueInfoProto(name="f"), helper.make_tensor_value_info("f", 0, None)])
def test_an_output_that_is_declared_by_name_only_is_cast_and_gets_axes(declared: onnx.ValueInfoProto) -> None:
    proto = NEGATED.to_proto()
    proto.graph.output[0].CopyFrom(declared)
    model = oh.Model.from_proto(proto)
    np.testing.assert_array_equal(_run(model.cast({"f": "int32"}), {"x": X})[0], (-X).astype(np.int32))
    np.testing.assert_array_equal(_run(model.expand_dims(-1), {"x": X})[0], -X[..., None])


def test_cast_says_where_no_opset_helps() -> None:
    with pytest.raises(oh.ModelError, match="no opset has a Cast that knows complex64"):
        NEGATED.cast({"f": "complex64"})


def test_no_dtype_is_no_float64() -> None:
    for make in (lambda: NEGATED.cast({"f": None}), lambda: oh.TensorSpec("x", None, [1])):  # type: ignore[dict-item, arg-type]
        with pytest.raises(oh.ModelError, match="OH110"):
            make()


def test_an_input_that_is_given_back_has_one_type() -> None:
    back = _model('<ir_version:8, opset_import:["":17]> g (float[n] x) => (float[n] x, float[n] y) { y = Neg(x) }')
    with pytest.raises(oh.ModelError) as caught:
        back.cast({"x": "float64"})
    assert caught.value.code == "OH115"
    with pytest.raises(oh.ModelError) as caught:
        back.expand_dims(0)
    assert caught.value.code == "OH115"


def test_a_token_is_not_cast() -> None:
    given, taken = oh.TensorSpec("x", "float32", ("n", 4)), oh.TensorSpec("f", "float32", ("n", 4))
    remote = oh.remote.triton("http://127.0.0.1:8000", "m", inputs=[given], outputs=[taken], auth=oh.Input("token"))
    with pytest.raises(oh.ModelError, match="token") as caught:
        remote.cast({"token": "int64"})
    assert caught.value.code == "OH115"


# expand_dims ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
@pytest.mark.parametrize("opset", [7, 11, 12, 13, 17, 21])
def test_an_axis_is_added_as_numpy_adds_it(axis: int, opset: int) -> None:
    text = "a (float[n,4] x) => (float[n,4] f, float[n,4] g) { f = Neg(x) g = Abs(f) }"
    expanded = _model(f'<ir_version:8, opset_import:["":{opset}]> {text}').expand_dims(axis)
    f, g = _run(expanded, {"x": X})
    np.testing.assert_array_equal(f, np.expand_dims(-X, axis))
    np.testing.assert_array_equal(g, np.expand_dims(np.abs(X), axis))
    assert expanded.outputs[0].shape == tuple(np.insert(np.array(["n", 4], object), axis % 3, 1))


@pytest.mark.parametrize("axis", [-2, 0, 1, 2])
def test_onnx_compose_gives_the_same_values(axis: int) -> None:
    proto = RAISED.to_proto()
    theirs = onnx.compose.expand_out_dim(proto, axis)
    for mine, other in zip(_run(RAISED.expand_dims(axis), {"f": X}), _run(theirs, {"f": X}), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_the_outputs_that_are_not_named_stay() -> None:
    expanded = oh.chain(NEGATED, RAISED, keep=["f"]).expand_dims(0, "y")
    assert [spec.shape for spec in expanded.outputs] == [("n", 4), (1, "n", 4)]


@pytest.mark.parametrize(("axis", "names"), [(3, None), (-4, None), (True, None), ("0", None), (0.0, None)])
def test_an_axis_has_a_place_in_the_shape(axis: Any, names: Any) -> None:
    with pytest.raises(oh.ModelError) as caught:
        NEGATED.expand_dims(axis, names)
    assert caught.value.code == "OH115"


def test_an_output_of_unknown_rank_keeps_it_unknown() -> None:
    text = '<ir_version:8, opset_import:["":17]> g (float x) => (float y) { y = Neg(x) }'
    proto = parser.parse_model(text)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.ClearField("shape")
    expanded = oh.Model.from_proto(proto).expand_dims(-1)
    assert expanded.outputs[0].shape is None
    assert _run(expanded, {"x": X})[0].shape == (2, 4, 1)


# prefix -----------------------------------------------------------------------------------------------------------


def test_a_prefix_leaves_inputs_and_outputs_where_they_are_asked_to_stay() -> None:
    model = oh.chain(NEGATED, RAISED)
    kept = model.prefix("m/", inputs=False, outputs=False)
    assert [spec.name for spec in (*kept.inputs, *kept.outputs)] == ["x", "y"]
    assert {"m/f", "m/h"} <= {spec.name for spec in kept.tensors()}
    np.testing.assert_array_equal(_run(kept, {"x": X})[0], _run(model, {"x": X})[0])
    assert [s.name for s in (*model.prefix("m/", outputs=False).inputs, *kept.outputs)] == ["m/x", "y"]


def test_an_inner_tensor_makes_way_for_an_input_that_keeps_its_name() -> None:
    model = _model('<ir_version:8, opset_import:["":17]> g (float[n,4] x) => (float[n,4] y) { h = Neg(x) y = Neg(h) }')
    model = model.rename({"x": "m/h"})
    kept = model.prefix("m/", inputs=False, outputs=False)
    np.testing.assert_array_equal(_run(kept, {"m/h": X})[0], X)


FUNCTION = (
    '<ir_version:8, opset_import:["":17, "local":1]> g (float[n] a, float[n] b) => (float[n] y) { y = local.f(a, b) }'
    ' <domain:"local", opset_import:["":17, "local":1]> f (a, b) => (y) { h = local.g(a) y = Sub(h, b) }'
    ' <domain:"local", opset_import:["":17]> g (a) => (y) { y = Abs(a) }'
)


def test_functions_get_the_prefix_where_that_is_asked() -> None:
    model = _model(FUNCTION)
    prefixed = model.prefix("m/", inputs=False, outputs=False, functions=True).to_proto()
    assert {function.name for function in prefixed.functions} == {"m/f", "m/g"}
    assert {function.name for function in model.prefix("m/").to_proto().functions} == {"f", "g"}
    feed = {"a": np.array([-1, 2], np.float32), "b": np.array([3, 4], np.float32)}
    np.testing.assert_array_equal(_run(prefixed, feed)[0], _run(model, feed)[0])


@given(st.data(), st.booleans(), st.booleans(), st.booleans())
def test_a_prefixed_model_gives_what_it_gave(data: st.DataObject, inputs: bool, outputs: bool, functions: bool) -> None:
    x, y = (oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy")
    model = data.draw(models([x], [y]))
    feed = data.draw(feeds(model))
    prefixed = model.prefix("p/", inputs=inputs, outputs=outputs, functions=functions)
    again = {("p/" if inputs else "") + name: value for name, value in feed.items()}
    (expected,), (got,) = oh.Session(model).run(None, feed), oh.Session(prefixed).run(None, again)
    np.testing.assert_array_equal(got, expected)
    assert prefixed.outputs[0].name == ("p/y" if outputs else "y")


@pytest.mark.parametrize("switch", ["inputs", "outputs", "functions"])
def test_a_switch_is_a_bool(switch: str) -> None:
    with pytest.raises(oh.ModelError) as caught:
        NEGATED.prefix("m/", **{switch: "no"})  # type: ignore[arg-type]
    assert caught.value.code == "OH113"


# retarget ---------------------------------------------------------------------------------------------------------


def test_calls_move_with_what_the_metadata_says_of_them() -> None:
    both = oh.parallel(a=_call(), b=_call("http://127.0.0.1:9000/v1/x"), c=NEGATED)
    nested = oh.chain(
        both,
        _model('<ir_version:8, opset_import:["":17]> g (float[n,4] z) => (float[n,4] y) { y = Neg(z) }'),
        connect={"z": "a/f"},
    )
    moved = nested.retarget({"http://127.0.0.1:8000": "https://gpu.example", "http://127.0.0.1:9000/": "https://b/c/"})
    assert sorted({remote.endpoint for remote in moved.remotes}) == ["https://b/c/v1/x", "https://gpu.example"]
    told = json.dumps(moved.metadata)
    assert "127.0.0.1" not in told
    assert "https://gpu.example" in moved.metadata["onnxhybrid.remotes"]
    assert "https://b/c/v1/x" in moved.metadata["onnxhybrid.parts"]
    assert {remote.endpoint for remote in nested.remotes} == {"http://127.0.0.1:8000", "http://127.0.0.1:9000/v1/x"}


def test_the_longer_url_counts_where_two_fit() -> None:
    remote = _call("http://127.0.0.1:8000/a/b")
    moved = remote.retarget({"http://127.0.0.1:8000/a": "http://b", "http://127.0.0.1:8000/a/b": "http://c"})
    assert moved.remotes[0].endpoint == "http://c"


def test_calls_in_branches_move_too() -> None:
    local = NEGATED.select(["f"])
    hybrid = oh.switch("c", then=local, else_=_call())
    moved = hybrid.retarget({"http://127.0.0.1:8000": "http://127.0.0.1:8001"})
    assert [remote.endpoint for remote in moved.remotes] == ["http://127.0.0.1:8001"]


@pytest.mark.parametrize(
    ("urls", "code"),
    [
        ({"http://127.0.0.1:80": "http://b"}, "OH116"),
        ({"http://127.0.0.1:8000": "grpc://b"}, "OH301"),
        ({"http://127.0.0.1:8000": "http://user:secret@b"}, "OH303"),
        ({"http://127.0.0.1:8000": ""}, "OH116"),
        ("http://b", "OH116"),
    ],
)
def test_retarget_says_what_it_cannot_do(urls: Any, code: str) -> None:
    with pytest.raises(oh.ModelError) as caught:
        _call().retarget(urls)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


# declare ----------------------------------------------------------------------------------------------------------

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


def _multiplied(given: Any = (2, 4), taken: Any = (2, 3)) -> oh.Model:
    """`y = relu(x @ MATRIX)`, with the inner tensor declared as `y` is."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("Relu", ["t"], ["y"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "multiplied",
        [value("x", TensorProto.FLOAT, given)],
        [value("y", TensorProto.FLOAT, taken)],
        [onnx.numpy_helper.from_array(MATRIX, "w")],
        value_info=[value("t", TensorProto.FLOAT, taken)],
    )
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def test_other_sizes_of_an_input_are_those_that_the_model_takes_from_then_on() -> None:
    three = np.ones((3, 4), np.float32)
    with pytest.raises(Exception, match="invalid dimensions"):
        _run(_multiplied(), {"x": three})
    opened = _multiplied().declare({"x": ("n", 4)})
    assert [str(spec) for spec in (*opened.inputs, *opened.outputs)] == ["x: float32[n, 4]", "y: float32[n, 3]"]
    np.testing.assert_array_equal(_run(opened, {"x": three})[0], three @ MATRIX)
    fixed = opened.declare({"x": (3, 4)})
    assert str(fixed.outputs[0]) == "y: float32[3, 3]"
    with pytest.raises(Exception, match="invalid dimensions"):
        _run(fixed, {"x": three[:2]})


def test_what_was_declared_inside_and_is_stale_now_is_dropped() -> None:
    inner = _multiplied().declare({"x": (None, 4)}).to_proto().graph.value_info
    assert [value.name for value in inner if oh.TensorSpec.of(value).shape is not None] == []
    kept = _multiplied().declare({"y": ("rows", 3)}).to_proto().graph.value_info
    assert [oh.TensorSpec.of(value).shape for value in kept] == [(2, 3)]


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        ({"x": ("n", 5)}, "x: float32"),
        ({"x": ("n", 4, 1)}, "rank"),
        ({"y": ("n", 4)}, "'y'"),
        ({"y": (3, 3)}, "'y'"),
        ({"y": (2,)}, "rank"),
        ({"x": ("n", 4), "y": ("n", "n")}, "'n'"),
        ({"x": ("n", 4), "y": (7, 3)}, "7"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_of_a_model_is_not_declared(sizes: Any, names: str) -> None:
    with pytest.raises(oh.ModelError, match=names) as caught:
        _multiplied().declare(sizes)
    assert caught.value.code == "OH118"


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_a_convolution_takes_as_many_channels_as_its_weights_have(operator: str) -> None:
    weight = onnx.numpy_helper.from_array(np.zeros((3, 3, 2, 2), np.float32), "w")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, "h", "v"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x", "w"], ["y"])], "c", values[:1], values[1:], [weight])
    images = oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))
    assert str(images.declare({"x": ("n", 3, None, None)}).inputs[0]) == "x: float32[n, 3, ?, ?]"
    with pytest.raises(oh.ModelError, match=r"OH118.*4 channels"):
        images.declare({"x": ("n", 4, None, None)})


def test_the_default_of_an_input_has_the_sizes_that_are_declared() -> None:
    optional = _model('<ir_version:8, opset_import:["":17]> d (float[2] x = {1,2}) => (float[k] y) { y = Neg(x) }')
    assert str(optional.declare({"x": (2,)}).outputs[0]) == "y: float32[2]"
    with pytest.raises(oh.ModelError, match=r"OH118.*default"):
        optional.declare({"x": (3,)})


def test_only_sizes_of_inputs_and_outputs_are_declared() -> None:
    for shapes, code in (({"t": (1,)}, "OH109"), ([("x", 1)], "OH109"), ({"x": "n"}, "OH110"), ({"x": (-1,)}, "OH110")):
        with pytest.raises(oh.ModelError) as caught:
            _multiplied().declare(shapes)  # type: ignore[arg-type]
        assert caught.value.code == code

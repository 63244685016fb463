"""Steps between opsets: each is proven by running the old model and the new one in ONNX Runtime."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.model.alignment import align
from tests.corpus.case import run, same

Attributes = dict[str, Any]
NEWER = (9, 10, 11, 12, 13, 14, 17, 18, 19, 21, 23, 25)
FLOAT = TensorProto.FLOAT


def of_node(
    operator: str, opset: int, x: np.ndarray[Any, Any], inputs: Any = (), outputs: int = 1, **attributes: Any
) -> ModelProto:
    """A model of one node that reads `x` and these weights; None is an input that is left out."""
    names = ["" if value is None else f"w{number}" for number, value in enumerate(inputs)]
    weights = [numpy_helper.from_array(value, name) for name, value in zip(names, inputs, strict=True) if name]
    written = [f"y{number}" for number in range(outputs)]
    node = helper.make_node(operator, ["x", *names], written, **attributes)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    value = helper.make_tensor_value_info("x", kind, [f"d{axis}" for axis in range(x.ndim)])
    results = [helper.make_empty_tensor_value_info(name) for name in written]
    graph = helper.make_graph([node], "old", [value], results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)


def kept(proto: ModelProto, x: np.ndarray[Any, Any], newer: Any = NEWER) -> int:
    """At how many newer opsets the model gives what it gave; at the others it is refused, or the test fails."""
    expected = run(proto, {"x": x})
    model, count = oh.Model.from_proto(proto), 0
    for opset in newer:
        if opset <= model.opsets[""]:
            continue
        try:
            (raised,) = align([model], opset)
        except oh.ComposeError as refusal:
            assert refusal.code == "OH102", refusal
            continue
        assert raised.opsets[""] == opset
        assert same(run(raised.to_proto(), {"x": x}), expected), opset
        count += 1
    return count


MODES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize")
ROUNDING = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
SIZES = st.sampled_from([0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.7])


@given(
    st.sampled_from(("nearest", "linear", "cubic")),
    st.sampled_from(MODES),
    st.sampled_from(ROUNDING),
    SIZES,
    SIZES,
    st.sampled_from((11, 12, 13, 18)),
    st.booleans(),
)
def test_resize_means_the_same_from_opset_11_on(
    mode: str, coordinates: str, rounding: str, height: float, width: float, opset: int, by_size: bool
) -> None:
    x = np.random.default_rng(0).random((1, 1, 5, 4), np.float32)
    none = np.zeros(0, np.float32) if opset < 13 else None
    crop = np.array([0, 0, 0.1, 0.2, 1, 1, 0.9, 0.8], np.float32)
    roi = crop if coordinates == "tf_crop_and_resize" else none
    inputs: list[Any] = [roi, np.array([1, 1, height, width], np.float32)]
    if by_size:
        inputs = [roi, none, np.array([1, 1, 5 * height, 4 * width], np.int64)]
    attributes: Attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        attributes["nearest_mode"] = rounding
    assert kept(of_node("Resize", opset, x, inputs, **attributes), x, (13, 18, 21)) == sum(
        n > opset for n in (13, 18, 21)
    )


@given(st.sampled_from(("nearest", "linear")), SIZES, SIZES)
def test_resize_of_opset_10_becomes_the_mode_that_it_was(mode: str, height: float, width: float) -> None:
    x = np.random.default_rng(0).random((1, 1, 5, 4), np.float32)
    old = of_node("Resize", 10, x, [np.array([1, 1, height, width], np.float32)], mode=mode)
    mixed = mode == "nearest" and min(height, width) < 1 < max(height, width)
    assert kept(old, x, (11, 13, 19)) == (0 if mixed else 3)


@given(st.sampled_from(("nearest", "linear")), st.sampled_from((7, 8, 9)), st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_upsample_becomes_resize(mode: str, opset: int, scale: float) -> None:
    x = np.random.default_rng(0).random((1, 1, 5, 4), np.float32)
    scales = [1.0, 1.0, scale, 2.0]
    given_as: Attributes = {"inputs": [np.array(scales, np.float32)]} if opset == 9 else {"scales": scales}
    assert kept(of_node("Upsample", opset, x, mode=mode, **given_as), x) == sum(newer > opset for newer in NEWER)


@given(
    st.sampled_from(("Softmax", "LogSoftmax", "Hardmax")),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.data(),
)
def test_softmax_over_several_axes_stays_what_it_was(operator: str, shape: list[int], data: st.DataObject) -> None:
    x = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    if axis is None and len(shape) < 2:
        axis = 0  # the default is 1
    attributes = {} if axis is None else {"axis": axis}
    assert kept(of_node(operator, 11, x, **attributes), x, (12, 13, 14, 18)) == 4


def _moved() -> Iterator[tuple[str, int, tuple[int, ...], int, Attributes]]:
    """Operators, their opset, the shape that they read, how many outputs they give, and attributes."""
    for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"):
        for axes, keepdims in itertools.product(({}, {"axes": [0]}, {"axes": [-1, 1]}), (0, 1)):
            yield f"Reduce{name}", 11, (2, 3, 4), 1, {**axes, "keepdims": keepdims}
    yield from (("Squeeze", 11, (1, 3, 1), 1, attributes) for attributes in ({}, {"axes": [0]}, {"axes": [-1, 0]}))
    yield from (("Unsqueeze", 11, (2, 3), 1, {"axes": axes}) for axes in ([0], [1, 3], [-1]))
    yield from (("Split", 11, (6, 2), 3, attributes) for attributes in ({}, {"split": [1, 2, 3]}))
    yield "Split", 13, (6, 2), 2, {"axis": 0}
    yield "Slice", 9, (4, 5), 1, {"starts": [1, 0], "ends": [3, 9]}
    yield "Slice", 9, (4, 5), 1, {"starts": [-3], "ends": [-1], "axes": [1]}
    yield "TopK", 9, (4, 5), 2, {"k": 2, "axis": 0}
    yield "Pad", 10, (2, 3), 1, {"pads": [1, 0, 0, 2], "value": 1.5}
    yield "Pad", 10, (2, 3), 1, {"pads": [1, 0, 1, 2], "mode": "reflect"}
    yield from (
        ("Clip", 10, (2, 3), 1, limits) for limits in ({}, {"min": 0.2}, {"max": 0.5}, {"min": 0.2, "max": 0.5})
    )
    yield "Dropout", 7, (2, 3), 1, {"ratio": 0.3}
    yield "ThresholdedRelu", 8, (2, 3), 1, {"alpha": 0.4}


@pytest.mark.parametrize(("operator", "opset", "shape", "outputs", "attributes"), list(_moved()))
def test_what_was_an_attribute_is_an_input(
    operator: str, opset: int, shape: tuple[int, ...], outputs: int, attributes: Attributes
) -> None:
    x = np.random.default_rng(0).random(shape, np.float32)
    old = of_node(operator, opset, x, outputs=outputs, **attributes)
    assert kept(old, x) == sum(newer > opset for newer in NEWER)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_limit_has_the_type_of_what_it_limits(dtype: type[np.generic]) -> None:
    x = np.random.default_rng(0).random((2, 3)).astype(dtype)
    assert kept(of_node("Pad", 10, x, pads=[1, 0, 0, 2], value=1.5), x, (11, 13, 21)) == 3


def parsed(text: str) -> oh.Model:
    return oh.Model.from_proto(onnx.parser.parse_model(text))


X = np.random.default_rng(0).random((2, 3), np.float32)
PART = "float[n,m] {0}) => (float[a,b] {1}) {{ {1} = {2} ({0}) }}"


def newer(source: str, target: str, operator: str = "Elu", opset: int = 22) -> oh.Model:
    """A part that cannot come below its opset."""
    return parsed(f'<ir_version: 8, opset_import: ["": {opset}]> newer ({PART.format(source, target, operator)}')


def gives_what_it_gave(old: oh.Model, output: str = "y") -> bool:
    composed = oh.parallel(a=old, b=newer("x", "z"))
    assert composed.opsets[""] == 22
    ours = run(composed.to_proto(), {"x": X})
    return same(ours[f"a/{output}"], run(old.to_proto(), {"x": X})[output])


def test_steps_are_taken_in_branches_loops_and_functions_too() -> None:
    text = """<ir_version: 8, opset_import: ["": 11, "own": 1]> old (float[n,m] x) => (float y) {
        c = Constant <value = bool {1}> ()
        n = Constant <value = int64 {2}> ()
        b = If (c) <then_branch = t () => (float u) { u = ReduceMean <axes = [1]> (x) },
                    else_branch = e () => (float v) { v = Hardmax <axis = 0> (x) }>
        f = own.Own (x)
        s = Add (b, f)
        y = Loop (n, c, s) <body = body (int64 i, bool go, float last) => (bool go2, float next) {
            go2 = Identity (go)
            next = Softmax <axis = 0> (last)
        }>
    }
    <domain: "own", opset_import: ["": 11]> Own (a) => (r) {
        m = ReduceMean <axes = [0]> (a)
        r = Softmax <axis = 0> (m)
    }"""
    proto = onnx.parser.parse_model(text)
    for graph in (proto.graph, *(a.g for node in proto.graph.node for a in node.attribute if a.HasField("g"))):
        for value in (*graph.input[1 if graph is proto.graph else 2 :], *graph.output):
            value.type.tensor_type.ClearField("shape") if value.name not in ("go", "go2") else None
    assert gives_what_it_gave(oh.Model.from_proto(proto))


def test_an_attribute_that_is_a_parameter_of_a_function_is_no_constant() -> None:
    text = """<ir_version: 8, opset_import: ["": 17, "own": 1]> old (float[n,m] x) => (float[a,b] y) {
        y = own.Own <axes = [1]> (x)
    }
    <domain: "own", opset_import: ["": 17]> Own <axes> (a) => (r) { r = ReduceMean <axes: ints = @axes> (a) }"""
    with pytest.raises(oh.ComposeError, match=r"OH102.*ReduceMean.*function 'Own'.*'axes' is a parameter"):
        gives_what_it_gave(parsed(text))


def own(version: int, source: str, target: str) -> oh.Model:
    return parsed(
        f'<ir_version: 8, opset_import: ["": 17, "own": {version}]> g (float[n,m] {source}) => (float[n,m] {target}) '
        f"{{ {target} = own.Twice ({source}) }} "
        '<domain: "own", opset_import: ["": 17]> Twice (a) => (r) { r = Add (a, a) }'
    )


def test_the_version_of_a_domain_of_model_local_functions_alone_means_nothing() -> None:
    composed = oh.chain(own(1, "x", "y"), own(2, "y", "z"))
    np.testing.assert_array_equal(run(composed.to_proto(), {"x": X})["z"], 4 * X)


def test_a_model_with_sparse_weights_is_converted() -> None:
    values = [helper.make_tensor_value_info(name, FLOAT, [2, 3]) for name in ("x", "y")]
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([5, 7], np.float32), "w"),
        numpy_helper.from_array(np.array([1, 4]), "i"),
        [2, 3],
    )
    nodes = [
        helper.make_node("Scatter", ["x", "i0", "u0"], ["s"]),  # another operator today, by the converter
        helper.make_node("Add", ["s", "w"], ["y"]),
    ]
    weights = [
        numpy_helper.from_array(np.zeros((1, 3), np.int64), "i0"),
        numpy_helper.from_array(np.ones((1, 3), np.float32), "u0"),
    ]
    graph = helper.make_graph(nodes, "old", values[:1], values[1:], weights, sparse_initializer=[sparse])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=8)
    assert gives_what_it_gave(oh.Model.from_proto(proto))


def test_operators_with_steps_and_others_of_the_converter_stand_in_one_graph() -> None:
    text = """<ir_version: 6, opset_import: ["": 9]> old (float[n,m] x) => (float[n,m] y) {
        i = Constant <value = int64[1,3] {0,0,0}> ()
        u = Constant <value = float[1,3] {1,1,1}> ()
        a = Hardmax <axis = 0> (x)
        b = Scatter (a, i, u)
        y = Softmax <axis = 1> (b)
    }"""
    assert gives_what_it_gave(parsed(text))


def test_a_part_comes_down_only_where_each_operator_is_what_it_was() -> None:
    stuck = "w = Constant <value = float[1] {1}> () y = GroupNormalization <num_groups = 1> (x, w, w)"
    old = f'<ir_version: 8, opset_import: ["": 18]> old (float[n,1,k] x) => (float[n,1,k] y) {{ {stuck} }}'
    x = np.random.default_rng(0).random((2, 1, 3), np.float32)
    relu = '<ir_version: 10, opset_import: ["": 21]> newer (float[n,1,k] y) => (float[n,1,k] z) { z = Relu (y) }'
    composed = oh.chain(parsed(old), parsed(relu))
    assert composed.opsets[""] == 20  # the newest of which GroupNormalization is the same
    expected = run(onnx.parser.parse_model(old), {"x": x})["y"]
    np.testing.assert_allclose(run(composed.to_proto(), {"x": x})["z"], np.maximum(expected, 0), rtol=1e-5)
    with pytest.raises(oh.ComposeError, match=r"OH102.*'old' imports ai.onnx 18 and the part 'newer' 21; .*GroupNorm"):
        oh.chain(parsed(old), parsed(relu.replace("Relu", "Identity")))


def test_a_message_names_both_parts() -> None:
    x = np.ones((1, 1, 4, 4), np.float32)
    old = oh.Model.from_proto(of_node("Resize", 10, x, [np.array([1, 1, 2, 0.5], np.float32)], mode="nearest"))
    with pytest.raises(oh.ComposeError, match=r"OH102.*imports ai.onnx 10 and the part 'judge' 14"):
        oh.cascade(old, old, accept=oh.judge.value("y0") >= 0)


def _attention(*outputs: str) -> oh.Model:
    node = helper.make_node("Attention", ["q", "q", "q"], outputs, qk_matmul_output_mode=2)
    q, given = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 2, 4]) for name in ("q", "Y"))
    imports = [helper.make_opsetid("", 23)]
    graph = helper.make_graph([node], "attention", [q], [given])
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=imports, ir_version=11))


def test_an_operator_of_which_an_output_changed_is_raised_where_nobody_asks_for_that_output() -> None:
    assert align([_attention("Y")], 24)[0].opsets[""] == 24
    with pytest.raises(oh.ComposeError, match=r"OH102.*Attention"):
        align([_attention("Y", "", "", "product")], 24)

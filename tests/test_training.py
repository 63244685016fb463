"""What a model says of its training stays true while the model changes, or is left out with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

import onnxhybrid as oh
from tests.strategies import dense

X = np.array([[1, -2, 3, 4]], np.float32)
TARGET = np.array([[2, 0, 1, -4]], np.float32)


def trained() -> oh.Model:
    """A model y = x * w, and a step of training that moves w along the gradient of (y - target)²."""
    proto = parser.parse_model(
        '<ir_version:8, opset_import:["":17]> net (float[n,4] x) => (float[n,4] y, float[n,4] h)'
        " <float[4] w = {1,2,3,4}> { t = Mul(x, w) h = Neg(t) y = Identity(t) }"
    )
    step = parser.parse_graph(
        "step (float[n,4] target) => (float[4] w_new, float count_new) <float rate = {0.5}, float count = {0}>"
        " { difference = Sub(y, target) slope = Mul(difference, x) mean = ReduceMean <axes = [0], keepdims = 0> (slope)"
        " t0 = Mul(mean, rate) w_new = Sub(w, t0) one = Constant <value = float {1}> () count_new = Add(count, one) }"
    )
    start = parser.parse_graph("start () => (float[4] w) { w = Constant <value = float[4] {0,0,0,0}> () }")
    info = proto.training_info.add(algorithm=step, initialization=start)
    info.update_binding.add(key="w", value="w_new")
    info.update_binding.add(key="count", value="count_new")
    info.initialization_binding.add(key="w", value="w")
    onnx.checker.check_model(proto)
    return oh.Model.from_proto(proto)


def step(model: oh.Model, given: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What a step of training writes, by the weight that it updates: the model's graph and the algorithm's, as one."""
    whole = ModelProto()
    whole.CopyFrom(model.to_proto())
    (info,) = whole.training_info
    for field in ("node", "input", "initializer"):
        getattr(whole.graph, field).extend(getattr(info.algorithm, field))
    del whole.graph.output[:]
    whole.graph.output.extend(info.algorithm.output)
    bound = {entry.key: entry.value for entry in info.update_binding}
    weights = {tensor.name for tensor in whole.graph.initializer}
    assert weights.issuperset([*bound, *(entry.key for entry in info.initialization_binding)])
    started = {value.name for value in info.initialization.output}
    assert started.issuperset(entry.value for entry in info.initialization_binding)
    whole.ClearField("training_info")
    onnx.checker.check_model(whole)
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(bound, session.run(list(bound.values()), given), strict=True))


EXPECTED = step(trained(), {"x": X, "target": TARGET})


def test_the_step_of_training_that_these_tests_compare_with_learns() -> None:
    w = np.array([1, 2, 3, 4], np.float32)
    np.testing.assert_allclose(EXPECTED["w"], w - 0.5 * ((X * w - TARGET) * X)[0])
    assert EXPECTED["count"] == 1


NAMES = ("x", "w", "t", "h", "y", "t0", "target", "w_new", "count", "rate", "mean", "other", "start")


@given(st.dictionaries(st.sampled_from(["x", "w", "t", "h", "y"]), st.sampled_from(NAMES), max_size=5))
def test_a_renamed_model_is_trained_as_before(names: dict[str, str]) -> None:
    try:
        model = trained().rename(names)
    except oh.ModelError as problem:
        assert problem.code == "OH113"  # two of them would have one name
        return
    (info,) = model.to_proto().training_info
    values = step(model, {names.get("x", "x"): X, info.algorithm.input[0].name: TARGET})
    for name, entry in zip(EXPECTED, info.update_binding, strict=True):
        np.testing.assert_array_equal(values[entry.key], EXPECTED[name])


@pytest.mark.parametrize("inputs", [True, False])
@pytest.mark.parametrize("outputs", [True, False])
def test_a_prefixed_model_is_trained_as_before(inputs: bool, outputs: bool) -> None:
    model = trained().prefix("p/", inputs=inputs, outputs=outputs)
    given = {"x": X, "target": TARGET}
    values = step(model, {f"p/{name}": value for name, value in given.items()} if inputs else given)
    np.testing.assert_array_equal(values["p/w"], EXPECTED["w"])
    np.testing.assert_array_equal(values["p/count"], EXPECTED["count"])


def test_functions_are_renamed_in_the_training_too() -> None:
    proto = trained().to_proto()
    proto.opset_import.add(domain="l", version=1)
    node = helper.make_node("Sub", ["a", "b"], ["c"])
    imports = [helper.make_opsetid("", 17)]
    proto.functions.append(helper.make_function("l", "minus", ["a", "b"], ["c"], [node], imports))
    first = proto.training_info[0].algorithm.node[0]
    first.domain, first.op_type = "l", "minus"
    model = oh.Model.from_proto(proto).prefix("p/", functions=True)
    np.testing.assert_array_equal(step(model, {"p/x": X, "p/target": TARGET})["p/w"], EXPECTED["w"])


def test_the_tensors_that_a_gradient_names_are_renamed() -> None:
    proto = trained().to_proto()
    gradient = helper.make_node(
        "Gradient", ["w"], ["g"], domain="ai.onnx.preview.training", xs=["w"], zs=["x", "target"], y="y"
    )
    proto.training_info[0].algorithm.node.append(gradient)
    renamed = oh.Model.from_proto(proto).rename({"w": "weight", "y": "out"}).to_proto()
    (node,) = (node for node in renamed.training_info[0].algorithm.node if node.op_type == "Gradient")
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert values == {"xs": [b"weight"], "zs": [b"x", b"target"], "y": b"out"}


def test_other_types_and_axes_of_outputs_and_inputs_are_none_of_the_training_s_business() -> None:
    for model in (trained().cast({"y": "float64"}), trained().expand_dims(0, ["y"])):
        np.testing.assert_array_equal(step(model, {"x": X, "target": TARGET})["w"], EXPECTED["w"])
    cast = trained().cast({"x": "float64"})
    np.testing.assert_array_equal(step(cast, {"x": X.astype(np.float64), "target": TARGET})["w"], EXPECTED["w"])


def test_what_does_not_touch_its_tensors_leaves_the_training_as_it_is(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (
            trained().select(["y"]),
            trained().expose(["t"]),
            trained().with_metadata({"a": "b"}),
            trained().select(["h", "y"]),
        ):
            np.testing.assert_array_equal(step(model, {"x": X, "target": TARGET})["w"], EXPECTED["w"])
        bound = trained().bind(x=X)
        np.testing.assert_array_equal(step(bound, {"target": TARGET})["w"], EXPECTED["w"])
        trained().save(tmp_path / "m.onnx")
        loaded = oh.load(tmp_path / "m.onnx")
        np.testing.assert_array_equal(step(loaded, {"x": X, "target": TARGET})["w"], EXPECTED["w"])


def test_the_training_keeps_its_weights_where_they_lie_beside_the_file(tmp_path: Path) -> None:
    proto = trained().to_proto()
    wanted = ModelProto.FromString(proto.SerializeToString()).training_info[0]
    rate, _ = proto.training_info[0].algorithm.initializer
    (tmp_path / "rate.bin").write_bytes(np.float32(0.5).tobytes())
    rate.ClearField("float_data")
    rate.data_location = TensorProto.EXTERNAL
    rate.external_data.add(key="location", value="rate.bin")
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    (tmp_path / "to").mkdir()
    oh.load(tmp_path / "m.onnx").save(tmp_path / "to" / "m.onnx")
    kept = onnx.load(tmp_path / "to" / "m.onnx").training_info[0]
    for one, other in zip(kept.algorithm.initializer, wanted.algorithm.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(one), numpy_helper.to_array(other))
    (tmp_path / "rate.bin").unlink()
    with pytest.raises(oh.ModelError, match="OH107"):
        oh.load(tmp_path / "m.onnx")


def test_a_selection_that_takes_away_what_the_training_names_leaves_it_out_and_says_so() -> None:
    with pytest.warns(UserWarning, match=r"^\[OH117\] .*'net'.*select.*'y'") as caught:
        model = trained().select(["h"])
    assert caught[0].filename == __file__
    assert not model.to_proto().training_info


b = dense("b", "y", "z", (4, 4))


@pytest.mark.parametrize(
    "compose",
    [
        lambda: oh.chain(trained(), b),
        lambda: oh.chain(b.rename({"y": "v", "z": "x"}), trained()),
        lambda: oh.parallel(a=trained(), b=b),
        lambda: oh.switch("c", then=trained().select(["y"]), else_=trained().select(["y"])),
        lambda: oh.cascade(trained().select(["y"]), b.rename({"y": "x", "z": "y"}), accept=oh.judge.value("y") >= 0),
        lambda: oh.split(trained(), ["t"]),
        lambda: oh.splice(trained(), ["t"], ["y"], b),
        lambda: oh.splice(oh.chain(b, b.rename({"y": "z", "z": "w"})), ["y"], ["z"], trained().select(["y"])),
    ],
)
def test_a_composition_has_no_training_and_says_so(compose: Any) -> None:
    with pytest.warns(UserWarning, match=r"^\[OH117\] .*'net'") as caught:
        composed = compose()
    assert {warning.filename for warning in caught} == {__file__}
    for model in composed if isinstance(composed, tuple) else (composed,):
        assert not model.to_proto().training_info


def test_models_without_training_are_composed_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        oh.chain(b, b.rename({"y": "z", "z": "w"})).rename({"w": "y1"}).select(["y1"]).prefix("p/")

"""Files of the forms that exporters and the Model Zoo write: they load, run and compose as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.strategies import dense

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Arrays = dict[str, np.ndarray[Any, Any]]


def file_of_the_zoo(path: Path, opset: int) -> Path:
    """A small image classifier as the Model Zoo has them: IR 3, where every weight is an input, too."""
    random = np.random.default_rng(opset)
    weights: Arrays = {
        "filter": random.normal(size=(4, 1, 3, 3)).astype(np.float32),
        **{name: random.random(4, np.float32) + 1 for name in ("scale", "bias", "mean", "variance")},
        "dense": random.normal(size=(10, 4)).astype(np.float32),
        "offset": random.normal(size=10).astype(np.float32),
        "shape": np.array([-1, 4]),
    }
    normal = ["mixed", "scale", "bias", "mean", "variance"]
    nodes = [
        helper.make_node("Conv", ["data", "filter"], ["mixed"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("BatchNormalization", normal, ["normal"]),
        helper.make_node("Dropout", ["normal"], ["kept"], ratio=0.5),
        helper.make_node("GlobalAveragePool", ["kept"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense", "offset"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    inputs = [
        helper.make_tensor_value_info("data", FLOAT, [1, 1, 8, 8]),
        *(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in tensors),
    ]
    output = helper.make_tensor_value_info("probabilities", FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "zoo", inputs, [output], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3), path)
    return path


@pytest.mark.parametrize("opset", [7, 8, 9])
def test_a_file_of_the_model_zoo_is_served_and_composed_and_keeps_what_it_means(opset: int, tmp_path: Path) -> None:
    path = file_of_the_zoo(tmp_path / "zoo.onnx", opset)
    feeds = {"data": np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)}
    (expected,) = onnxruntime.InferenceSession(path).run(None, feeds)
    zoo = oh.load(path)
    assert [spec.name for spec in zoo.inputs] == ["data"]
    with serve({"large": path}) as cloud:
        remote = oh.remote.triton(cloud.url, "large")
        for threshold in (0.0, 1.01):
            hybrid = oh.cascade(zoo, remote, accept=oh.judge.logit_max("probabilities") >= threshold)
            np.testing.assert_allclose(oh.Session(hybrid).run(None, feeds)[0], expected, rtol=1e-5)


def resized(path: Path, opset: int, operator: str, *, weights: tuple[float, ...] = (), **attributes: Any) -> oh.Model:
    """A file with Upsample or Resize of float32[n, 3], scales as a weight or as an attribute."""
    node = helper.make_node(operator, ["x", "scales"] if weights else ["x"], ["y"], mode="nearest", **attributes)
    values = [helper.make_tensor_value_info(name, FLOAT, ["n", size]) for name, size in (("x", 3), ("y", 6))]
    scales = [numpy_helper.from_array(np.array(weights, np.float32), "scales")] if weights else []
    graph = helper.make_graph([node], "g", values[:1], values[1:], scales)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4), path)
    return oh.load(path)


def test_an_operator_of_another_name_today_is_brought_up_to_date(tmp_path: Path) -> None:
    old = resized(tmp_path / "old.onnx", 7, "Upsample", scales=[1.0, 2.0])
    x = np.ones((1, 3), np.float32)
    (alone,) = oh.Session(old).run(None, {"x": x})
    expected = oh.Session(dense("d", "y", "z", (6, 2))).run(None, {"y": alone})
    np.testing.assert_allclose(oh.Session(oh.chain(old, dense("d", "y", "z", (6, 2)))).run(None, {"x": x}), expected)


def test_an_operator_that_cannot_be_brought_up_to_date_is_named(tmp_path: Path) -> None:
    old = resized(tmp_path / "old.onnx", 10, "Resize", weights=(0.5, 2.0))
    assert oh.Session(old).run(None, {"x": np.ones((2, 3), np.float32)})[0].shape == (1, 6)
    with pytest.raises(oh.ComposeError, match=r"OH102.*Resize.*grows along one axis and shrinks along another"):
        oh.chain(old, dense("d", "y", "z", (6, 2)))


def exported_by_torch(seed: int) -> oh.Model:
    """What `torch.onnx.export` makes of a model for question answering: opset 11, sizes that vary by name."""
    random = np.random.default_rng(seed)
    words, places = (random.normal(size=(size, 4)).astype(np.float32) for size in (32, 2))
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["word"]),
        helper.make_node("Gather", ["places", "segment_ids"], ["place"]),
        helper.make_node("Add", ["word", "place"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "head"], ["logits"]),
        helper.make_node("Cast", ["input_mask"], ["kept"], to=FLOAT),
        helper.make_node("Unsqueeze", ["kept"], ["column"], axes=[2]),
        helper.make_node("Mul", ["logits", "column"], ["masked"]),
        helper.make_node("Split", ["masked"], ["first", "second"], axis=2, split=[1, 1]),
        helper.make_node("Squeeze", ["first"], ["start_logits"], axes=[2]),
        helper.make_node("Squeeze", ["second"], ["end_logits"], axes=[2]),
    ]
    head = random.normal(size=(4, 2)).astype(np.float32)
    tensors = [
        numpy_helper.from_array(array, name) for name, array in {"words": words, "places": places, "head": head}.items()
    ]
    sizes = ["batch_size", "max_seq_len"]
    inputs = [helper.make_tensor_value_info(n, INT64, sizes) for n in ("input_ids", "input_mask", "segment_ids")]
    outputs = [helper.make_tensor_value_info(n, FLOAT, sizes) for n in ("start_logits", "end_logits")]
    graph = helper.make_graph(nodes, "torch_jit", inputs, outputs, tensors)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6))


def test_an_export_of_torch_is_scored_by_azureml_s_protocol_where_the_small_one_is_not_sure() -> None:
    small, large = exported_by_torch(1), exported_by_torch(2)
    feeds = {
        "input_ids": np.array([[1, 9, 4, 30, 2]]),
        "input_mask": np.array([[1, 1, 1, 1, 0]]),
        "segment_ids": np.array([[0, 0, 1, 1, 0]]),
    }
    with serve({"large": large}) as cloud:
        remote = oh.remote.azureml(f"{cloud.url}/score", inputs=small.inputs, outputs=small.outputs, auth=None)
        sure = oh.judge.max_probability("start_logits", softmax=True) >= oh.Input("threshold", default=0.5)
        session = oh.Session(oh.cascade(small, remote, accept=sure))
        for threshold, expected in ((0.0, small), (1.01, large)):
            answer = session.run(None, {**feeds, "threshold": np.array([threshold], np.float32)})
            for given, taken in zip(oh.Session(expected).run(None, feeds), answer, strict=True):
                np.testing.assert_allclose(given, taken, rtol=1e-5)


def test_the_probabilities_of_a_custom_vision_export_are_taken_from_in_front_of_its_maps() -> None:
    maps = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(FLOAT, []))
    nodes = [
        helper.make_node("Softmax", ["data"], ["model_output"], axis=1),
        helper.make_node("ArgMax", ["model_output"], ["classLabel"], axis=1, keepdims=0),
        helper.make_node("ZipMap", ["model_output"], ["loss"], domain="ai.onnx.ml", classlabels_strings=["a", "b"]),
    ]
    outputs = [
        helper.make_tensor_value_info("classLabel", INT64, ["n"]),
        helper.make_value_info("loss", helper.make_sequence_type_proto(maps)),
    ]
    graph = helper.make_graph(nodes, "export", [helper.make_tensor_value_info("data", FLOAT, ["n", 2])], outputs)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 1)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=7)

    zipmap = next(node for node in proto.graph.node if node.op_type == "ZipMap")
    proto.graph.output.append(helper.make_tensor_value_info(zipmap.input[0], FLOAT, ["n", "tags"]))
    model = oh.Model.from_proto(proto).select(["classLabel", zipmap.input[0]])
    model = model.rename({zipmap.input[0]: "probabilities"})

    data = np.array([[0.0, 1.0]], np.float32)
    judge = oh.judge.max_probability("probabilities") >= 0.6
    label, probabilities = oh.Session(oh.cascade(model, model, accept=judge)).run(None, {"data": data})
    assert label.tolist() == [1]
    assert probabilities[0, 1] == pytest.approx(1 / (1 + np.exp(-1)))

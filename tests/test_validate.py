"""`validate`: what it finds, and that it finds nothing where there is nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import dense, of_graph


def _remote(url: str, **options: Any) -> oh.Model:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy"]
    return oh.remote.triton(url, "m", inputs=specs[:1], outputs=specs[1:], **options)


def _codes(model: oh.Model | Path, **options: Any) -> list[str]:
    return [finding.code for finding in oh.validate(model, **options)]


def _graph(nodes: list[onnx.NodeProto], **more: object) -> oh.Model:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    return of_graph(helper.make_graph(nodes, "g", values[:1], values[1:]), **more)  # type: ignore[arg-type]


def test_a_sound_model_has_no_findings(tmp_path: Path) -> None:
    composed = oh.switch("c", dense("a", "x", "y", (3, 3)), _remote("https://gpu.example", auth=oh.Credential("gpu")))
    composed.save(tmp_path / "m.onnx")
    for model in (composed, tmp_path / "m.onnx"):
        report = oh.validate(model)
        assert report
        assert not report.findings
        assert json.loads(report.to_json()) == {"ok": True, "findings": []}


def test_a_file_that_cannot_be_loaded_is_a_finding(tmp_path: Path) -> None:
    assert _codes(tmp_path / "missing.onnx") == ["OH100"]


@pytest.mark.parametrize(
    ("code", "nodes"),
    [
        ("OH101", [helper.make_node("Odd", ["x"], ["y"], domain="com.example")]),
        ("OH104", [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])]),
        ("OH105", [helper.make_node("Relu", ["nothing"], ["y"])]),
        ("OH105", [helper.make_node("Relu", ["x"], ["z"])]),
    ],
)
def test_a_broken_graph_is_found(code: str, nodes: list[onnx.NodeProto]) -> None:
    report = oh.validate(_graph(nodes))
    assert not report
    assert code in [finding.code for finding in report.errors]


def test_a_remote_output_without_a_declared_type_is_found() -> None:
    proto = _remote("http://127.0.0.1:1").to_proto()
    proto.graph.node.append(helper.make_node("Identity", ["y"], ["z"]))
    proto.graph.output[0].name = "z"
    proto.opset_import.add(domain="", version=17)
    assert "OH114" in _codes(oh.Model.from_proto(proto))


def test_a_token_over_plain_http_is_a_warning_unless_it_stays_on_this_machine() -> None:
    report = oh.validate(_remote("http://gpu.example:8000", auth=oh.Credential("gpu")))
    assert report
    assert [finding.code for finding in report.warnings] == ["OH305"]
    for url in ("https://gpu.example", "http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"):
        assert not _codes(_remote(url, auth=oh.Credential("gpu")))
    assert _codes(_remote("http://gpu.example:8000")) == ["OH307"]
    assert not _codes(_remote("http://127.0.0.1:8000"))


def test_a_file_newer_than_the_runtime_is_found() -> None:
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    assert _codes(_graph(relu, ir_version=onnx.IR_VERSION + 5)) == ["OH103"]
    assert _codes(_graph(relu, opset=500)) == ["OH106"]
    assert _codes(_graph(relu, opset=22, ir_version=11), target="onnxruntime==1.18") == ["OH103", "OH106"]
    assert _codes(_graph(relu, opset=17), target="opset 16") == ["OH106"]
    assert not _codes(_graph(relu, opset=17), target="onnxruntime==1.18")


def test_every_release_since_1_14_is_a_target_and_none_reads_less_than_the_one_before() -> None:
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    read = []
    for minor in range(14, 32):
        target = f"onnxruntime==1.{minor}"
        read.append(
            (
                max(n for n in range(13, 27) if not _codes(_graph(relu, opset=n), target=target)),
                max(n for n in range(7, 14) if not _codes(_graph(relu, opset=13, ir_version=n), target=target)),
            )
        )
    assert read == sorted(read)
    assert read[0] == (18, 8)
    assert read[3] == (20, 9)


def test_traditional_models_newer_than_the_target_are_found() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in "xy"]
    node = helper.make_node("Binarizer", ["x"], ["y"], domain="ai.onnx.ml")
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 4)]
    model = oh.Model.from_proto(helper.make_model(graph, ir_version=7, opset_imports=imports))
    assert _codes(model, target="onnxruntime==1.16.3") == ["OH106"]
    assert not _codes(model, target="onnxruntime==1.17")
    assert not _codes(model)


@pytest.mark.parametrize("target", ["tensorrt==8", "onnxruntime", "opset", "onnxruntime==0.1", "opset 99"])
def test_a_target_that_is_not_known_is_a_coded_error(target: str) -> None:
    with pytest.raises(oh.ModelError, match="OH304"):
        oh.validate(dense("a", "x", "y", (3, 3)), target=target)


def with_weights(*weights: onnx.TensorProto, sparse: Sequence[onnx.SparseTensorProto] = ()) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], list(weights), sparse_initializer=list(sparse))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


TWO, FIVE = (numpy_helper.from_array(np.full(2, number, np.float32), "w") for number in (2, 5))
THREE = helper.make_sparse_tensor(
    numpy_helper.from_array(np.full(2, 3, np.float32), "w"), numpy_helper.from_array(np.arange(2)), [2]
)


def doubled_input(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(proto.graph.input[0])


def in_a_branch(proto: onnx.ModelProto) -> None:
    body = onnx.GraphProto(name="body", node=proto.graph.node, output=proto.graph.output)
    body.initializer.extend([TWO, FIVE])
    choice = helper.make_node("If", ["c"], ["z"], then_branch=body, else_branch=body)
    proto.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    proto.graph.output[0].name = "z"
    del proto.graph.node[:]
    proto.graph.node.append(choice)


@pytest.mark.parametrize(
    ("proto", "change", "text"),
    [
        (with_weights(TWO, FIVE), None, "2 initializers are called 'w'"),
        (with_weights(TWO, TWO), None, "2 initializers are called 'w'"),
        (with_weights(TWO, sparse=[THREE]), None, "2 initializers are called 'w'"),
        (with_weights(TWO), doubled_input, "2 inputs are called 'x'"),
        (with_weights(), in_a_branch, "2 initializers are called 'w'"),
        (with_weights(TWO), lambda proto: proto.opset_import.add(version=13), "ai.onnx is imported in the versions 13"),
        (with_weights(TWO), lambda proto: proto.opset_import.add(domain="ai.onnx", version=13), "versions 13 and 17"),
    ],
)
def test_a_name_that_is_defined_twice_is_found_and_never_saved(
    proto: onnx.ModelProto, change: Callable[[onnx.ModelProto], object] | None, text: str, tmp_path: Path
) -> None:
    if change:
        change(proto)
    model = oh.Model.from_proto(proto)
    assert any(f.code == "OH104" and text in f.message for f in oh.validate(model).errors)
    for external_data in (True, False):
        with pytest.raises(oh.ValidationError, match="OH104"):
            model.save(tmp_path / "m.onnx", external_data=external_data)


@pytest.mark.parametrize("size", [2, 512])
def test_a_session_takes_no_model_with_two_weights_of_one_name(size: int) -> None:
    proto = with_weights(*(numpy_helper.from_array(np.full(size, number, np.float32), "w") for number in (2, 5)))
    with pytest.raises(oh.ValidationError, match="OH104"):
        oh.Session(oh.Model.from_proto(proto))


def test_an_input_with_a_default_and_a_domain_that_is_imported_twice_alike_are_no_doubles() -> None:
    proto = with_weights(TWO)
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    proto.opset_import.add(domain="ai.onnx", version=17)
    assert oh.validate(oh.Model.from_proto(proto))

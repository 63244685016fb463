"""Models as values: loading by reference, editing, saving."""

from __future__ import annotations

import copy
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import dense, local_models, of_graph, rows, run


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A model with a weight of 64 kB, saved by onnx."""
    path = tmp_path / "large.onnx"
    onnx.save(dense("large", "x", "y", (128, 128)).to_proto(), path)
    return path


@given(local_models(inputs=("x", "z"), outputs=("y", "u")))
def test_a_proto_survives_the_way_through_a_model(model: oh.Model) -> None:
    proto = model.to_proto()
    assert oh.Model.from_proto(proto).to_proto() == proto


def test_loading_gives_back_what_was_saved(large: Path) -> None:
    assert oh.load(large).to_proto() == onnx.load(large)


def test_loading_keeps_large_weights_where_they_are(large: Path) -> None:
    skeleton = oh.load(large).skeleton
    assert skeleton.ByteSize() < 2_000
    assert not skeleton.graph.initializer[0].raw_data


def test_a_file_of_gigabytes_loads_without_its_size_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    _save_sparse_model(path, megabytes=2_000)
    program = (
        "import sys, resource, onnxhybrid as oh\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "model = oh.load(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, model.outputs[0].name)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    kilobytes, name = done.stdout.split()
    assert name == "y"
    assert int(kilobytes) < 100_000


def _save_sparse_model(path: Path, megabytes: int) -> None:
    """A model with one weight of this size, its bytes a hole in the file."""
    size = megabytes << 20
    weight = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[size])
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "huge", values[:1], values[1:])
    head = weight.SerializeToString() + b"\x4a" + _varint(size)
    body = graph.SerializeToString() + b"\x2a" + _varint(len(head) + size) + head
    model = helper.make_model(onnx.GraphProto(), ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    model.ClearField("graph")
    with path.open("wb") as file:
        file.write(model.SerializeToString() + b"\x3a" + _varint(len(body) + size) + body)
        file.truncate(file.tell() + size)


def _varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


@pytest.mark.parametrize("external", [True, False, "auto"])
def test_saving_in_each_form_loses_nothing(large: Path, tmp_path: Path, external: bool | str) -> None:
    path = tmp_path / "out" / "model.onnx"
    path.parent.mkdir()
    oh.load(large).save(path, external_data=external)  # type: ignore[arg-type]
    assert (path.parent / "model.onnx.data").exists() == (external is True)
    assert sorted(entry.name for entry in path.parent.iterdir())[:1] == ["model.onnx"]
    loaded = onnx.load(path)
    for ours, original in zip(loaded.graph.initializer, onnx.load(large).graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(ours), numpy_helper.to_array(original))
    assert oh.load(path).to_proto() == onnx.load(large)


def test_the_same_model_is_saved_as_the_same_bytes(large: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        oh.load(large).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_model_can_be_saved_over_the_file_it_came_from(large: Path) -> None:
    oh.load(large).rename({"x": "image"}).save(large)
    assert oh.load(large).inputs[0].name == "image"
    assert sorted(entry.name for entry in large.parent.iterdir()) == ["large.onnx"]


def test_weights_that_changed_after_loading_are_an_error_and_never_other_weights(large: Path) -> None:
    model = oh.load(large)
    onnx.save(dense("other", "x", "y", (128, 128), seed=9).to_proto(), large)
    os.utime(large, ns=(1, 1))
    with pytest.raises(oh.ModelError, match="OH107"):
        model.to_proto()


def test_saving_where_nothing_can_be_written_is_an_error_that_changes_nothing(large: Path, tmp_path: Path) -> None:
    with pytest.raises(oh.ModelError, match="OH112"):
        oh.load(large).save(tmp_path / "no" / "such" / "folder.onnx")
    with pytest.raises(oh.ModelError, match="OH112"):
        oh.load(large).save(tmp_path)


def test_an_interrupted_save_leaves_the_old_file_and_no_other(large: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.onnx"
    target.write_bytes(b"old")
    model = oh.load(large)
    with large.open("r+b") as file:
        file.truncate(1_000)
    with pytest.raises(oh.ModelError, match="OH107"):
        model.save(target)
    assert target.read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["large.onnx", "target.onnx"]


def test_an_invalid_model_is_not_saved(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    nodes = [helper.make_node("Relu", ["nowhere"], ["y"])]
    with pytest.raises(oh.ValidationError, match="OH105") as caught:
        of_graph(helper.make_graph(nodes, "g", values[:1], values[1:])).save(tmp_path / "m.onnx")
    assert caught.value.report.errors
    assert not list(tmp_path.iterdir())


def test_a_model_past_two_gigabytes_is_refused_by_to_proto_and_saved_with_external_data(tmp_path: Path) -> None:
    _save_sparse_model(tmp_path / "a.onnx", megabytes=2_040)
    grown = oh.load(tmp_path / "a.onnx")
    both = oh.parallel(a=grown, b=oh.load(tmp_path / "a.onnx"))
    with pytest.raises(oh.ModelError, match="OH108"):
        both.to_proto()
    with pytest.raises(oh.ModelError, match="OH108"):
        both.save(tmp_path / "b.onnx", external_data=False)


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a model at all", b"\x3a\xff\xff\xff\xff\x0f", b"\x08\x08"])
def test_a_file_that_is_no_model_is_a_coded_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(oh.ModelError, match="OH100"):
        oh.load(path)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_damaged_bytes_are_a_model_or_a_coded_error(noise: bytes, position: int) -> None:
    from onnxhybrid.model.storage.wire import detach

    whole = dense("m", "x", "y", (40, 40)).to_proto().SerializeToString()
    damaged = whole[:position] + noise + whole[position + len(noise) :]
    try:
        detach(damaged)
    except oh.ModelError as problem:
        assert problem.code == "OH100"


def test_a_large_tensor_in_an_attribute_without_a_type_is_not_lost() -> None:
    node = helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(np.ones(1000, np.float32)))
    node.attribute[0].ClearField("type")
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])
    proto = of_graph(helper.make_graph([node], "g", [], [value])).to_proto()
    np.testing.assert_array_equal(numpy_helper.to_array(proto.graph.node[0].attribute[0].t), np.ones(1000))


def test_a_missing_file_and_a_folder_are_coded_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(oh.ModelError, match="OH100"):
            oh.load(path)


@pytest.mark.parametrize("location", ["../weights", "/etc/passwd", "missing", ""])
def test_external_data_outside_of_the_folder_or_missing_is_refused(large: Path, location: str) -> None:
    oh.load(large).save(large, external_data=True)
    proto = onnx.load(large, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    large.write_bytes(proto.SerializeToString())
    with pytest.raises(oh.ModelError, match="OH107"):
        oh.load(large)


def test_a_proto_with_external_data_is_told_to_be_loaded_by_its_path(large: Path) -> None:
    oh.load(large).save(large, external_data=True)
    with pytest.raises(oh.ModelError, match=r"OH107.*oh\.load"):
        oh.Model.from_proto(onnx.load(large, load_external_data=False))


def test_inputs_and_outputs_are_described() -> None:
    model = dense("m", "x", "y", (4, 2))
    assert model.inputs == (oh.TensorSpec("x", np.float32, ("n", 4)),)
    assert model.outputs == (oh.TensorSpec("y", "float32", ("n", 2)),)
    assert model.opsets == {"": 17}
    assert model.opsets["ai.onnx"] == 17
    assert model.remotes == ()


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float31", ()), (object(), ()), ("float32", (-1,)), ("float32", (1.5,)), ("float32", "n"), ("float32", 3)],
)
def test_a_malformed_description_is_a_coded_error(dtype: object, shape: object) -> None:
    with pytest.raises(oh.ModelError, match="OH110"):
        oh.TensorSpec("x", dtype, shape)  # type: ignore[arg-type]


@given(local_models(inputs=("x", "z"), outputs=("y", "u")))
def test_renaming_can_swap_names_and_keeps_the_meaning(model: oh.Model) -> None:
    feeds = {"x": rows(2, 3, 1), "z": rows(2, 3, 2)}
    before = run(model, feeds)
    swapped = model.rename({"x": "z", "z": "x", "y": "u", "u": "y"})
    after = run(swapped, {"x": feeds["z"], "z": feeds["x"]})
    np.testing.assert_array_equal(after["u"], before["y"])
    np.testing.assert_array_equal(after["y"], before["u"])


@given(local_models(), st.sampled_from(["t0", "t1", "w0", "inner0_a", "free"]))
def test_a_new_name_moves_inner_tensors_out_of_its_way(model: oh.Model, name: str) -> None:
    feeds = rows(2, 3)
    before = run(model, {"x": feeds})["y"]
    after = run(model.rename({"x": name}), {name: feeds})["y"]
    np.testing.assert_array_equal(after, before)


@given(local_models(), st.sampled_from(["a/", "", "ü ", "t0"]))
def test_a_prefix_keeps_the_meaning(model: oh.Model, prefix: str) -> None:
    feeds = rows(2, 3)
    after = run(model.prefix(prefix), {prefix + "x": feeds})
    np.testing.assert_array_equal(after[prefix + "y"], run(model, {"x": feeds})["y"])


@given(local_models(inputs=("x", "z"), outputs=("y", "u")))
def test_selecting_outputs_keeps_their_values_and_drops_what_they_do_not_need(model: oh.Model) -> None:
    feeds = {"x": rows(2, 3, 1), "z": rows(2, 3, 2)}
    selected = model.select(["u"])
    assert [output.name for output in selected.outputs] == ["u"]
    np.testing.assert_array_equal(run(selected, feeds)["u"], run(model, feeds)["u"])


@given(local_models(inputs=("x", "z")))
def test_a_bound_input_is_a_constant(model: oh.Model) -> None:
    feeds = {"x": rows(2, 3, 1), "z": rows(2, 3, 2)}
    bound = model.bind(z=feeds["z"])
    assert [value.name for value in bound.inputs] == ["x"]
    np.testing.assert_array_equal(run(bound, feeds)["y"], run(model, feeds)["y"])


@pytest.mark.parametrize(
    "value", [np.ones((2, 2), np.float32), "text", None, np.ones((2, 3), complex), [[1.0], [1.0, 2.0]]]
)
def test_a_value_that_does_not_fit_is_refused(value: object) -> None:
    with pytest.raises(oh.ModelError, match="OH111"):
        dense("m", "x", "y", (3, 2)).bind(x=value)


def test_a_model_is_its_own_copy_and_is_not_pickled() -> None:
    model = dense("m", "x", "y", (3, 2))
    assert copy.copy(model) is copy.deepcopy([model])[0] is model
    with pytest.raises(TypeError, match="save it"):
        pickle.dumps(model)


def test_editing_what_is_not_there_names_what_is() -> None:
    model = dense("m", "image", "y", (3, 2))
    with pytest.raises(oh.ModelError, match=r"OH109.*'image'"):
        model.rename({"imag": "x"})
    with pytest.raises(oh.ModelError, match="OH109"):
        model.rename("image")  # type: ignore[arg-type]
    with pytest.raises(oh.ModelError, match=r"OH109.*'y'"):
        model.select(["z"])
    with pytest.raises(oh.ModelError, match=r"OH109.*'image'"):
        model.bind(imagee=1)
    with pytest.raises(oh.ModelError, match="OH113"):
        model.rename({"image": "y"})
    with pytest.raises(oh.ModelError, match="OH113"):
        model.select(["y", "y"])


def test_editing_leaves_the_model_as_it_was() -> None:
    model = dense("m", "x", "y", (3, 2))
    before = model.to_proto()
    model.rename({"x": "a"}).prefix("b/").with_metadata({"k": "v"}).bind(**{"b/a": rows(1, 3)}).select(["b/y"])
    assert model.to_proto() == before
    assert model.metadata == {}


def test_of_two_imports_of_one_domain_the_last_counts_as_in_the_runtime() -> None:
    proto = dense("m", "x", "y", (3, 2), opset=13).to_proto()
    proto.opset_import.add(domain="ai.onnx", version=17)
    assert oh.Model.from_proto(proto).opsets == {"": 17}


def test_memory_is_measured_in_the_unit_that_the_test_assumes() -> None:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 10_000  # kilobytes, on Linux


@pytest.mark.parametrize("version", [2**31, 2**40, 0, -1, -(2**40)])
def test_tensors_are_listed_whatever_opset_the_file_says(version: int) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [onnx.ValueInfoProto(name="y")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=10)
    model = oh.Model.from_proto(proto)
    assert [tensor.name for tensor in model.tensors()] == ["x", "y"]
    oh.validate(model)

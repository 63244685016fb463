"""What is on the disk while a model is saved, after it was saved, and after it could not be."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import dense, of_graph

X = np.ones((1, 128), np.float32)


def _dense(seed: int) -> oh.Model:
    return dense("d", "x", "y", (128, 128), seed=seed)


def _answer(path: Path) -> bytes:
    answer: bytes = onnxruntime.InferenceSession(path).run(None, {"x": X})[0].tobytes()
    return answer


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_an_open_old_graph_never_finds_new_data(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    _dense(1).save(path, external_data=True)
    old_graph = path.read_bytes()
    (before,) = (data for data in tmp_path.glob("*.data"))
    _dense(2).save(path, external_data=True)
    (tmp_path / "reader.onnx").write_bytes(old_graph)  # what a process read before the second save
    assert not before.exists()
    with pytest.raises(oh.ModelError, match="OH107"):
        oh.load(tmp_path / "reader.onnx")


def test_a_pair_can_be_saved_over_another_and_only_two_files_remain(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    for seed in (1, 2, 3, 3, 1):
        _dense(seed).save(path, external_data=True)
        _dense(seed).save(tmp_path / "inside")
        assert _answer(path) == _answer(tmp_path / "inside")
        (tmp_path / "inside").unlink()
        assert len(_names(tmp_path)) == 2


def test_the_same_model_is_saved_over_itself_as_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    _dense(1).save(path, external_data=True)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    _dense(1).save(path, external_data=True)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before
    assert set(before) == {"m.onnx", "m.onnx.data"}


def test_a_model_saved_over_the_data_that_it_reads_keeps_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    _dense(1).save(path, external_data=True)
    wanted = _answer(path)
    model = oh.load(path)
    model.with_metadata({"a": "b"}).save(path, external_data=True)
    model.with_metadata({"a": "c"}).save(path, external_data=True)  # its weights are where they were
    assert oh.load(path).metadata["a"] == "c"
    assert _answer(path) == wanted
    del model
    oh.load(path).save(path, external_data=False)
    assert _answer(path) == wanted
    assert _names(tmp_path) == ["m.onnx"]


def test_data_that_other_programs_wrote_under_other_names_stays(tmp_path: Path) -> None:
    onnx.save(_dense(1).to_proto(), tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin")
    oh.load(tmp_path / "m.onnx").save(tmp_path / "m.onnx", external_data=True)
    assert _names(tmp_path) == ["m.onnx", "m.onnx.data", "weights.bin"]


@pytest.mark.parametrize("external", [True, False])
def test_a_folder_in_the_way_is_an_error_that_leaves_nothing_behind(tmp_path: Path, external: bool) -> None:
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(oh.ModelError, match="OH112"):
        _dense(1).save(tmp_path / "m.onnx", external_data=external)
    assert _names(tmp_path) == ["m.onnx"]


def test_a_pipe_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    for external in (True, False):
        with pytest.raises(oh.ModelError, match="OH112"):
            _dense(1).save(tmp_path / "m.onnx", external_data=external)
    assert (tmp_path / "m.onnx").is_fifo()
    assert _names(tmp_path) == ["m.onnx"]


def test_a_folder_where_the_data_would_be_is_stepped_around(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").mkdir()
    _dense(1).save(tmp_path / "m.onnx", external_data=True)
    _dense(1).save(tmp_path / "inside")
    assert _answer(tmp_path / "m.onnx") == _answer(tmp_path / "inside")


@pytest.mark.parametrize("external", [True, False])
def test_a_full_disk_leaves_the_old_model_and_nothing_else(tmp_path: Path, external: bool) -> None:
    path = tmp_path / "m.onnx"
    _dense(1).save(path, external_data=True)
    wanted, names = _answer(path), _names(tmp_path)
    program = f"""
        import resource, onnxhybrid as oh
        from tests.strategies import dense
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # as a disk with so much room
        try:
            dense("d", "x", "y", (128, 128), seed=2).save({str(path)!r}, external_data={external})
        except oh.ModelError as problem:
            print(problem.code)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "OH112", done.stderr
    assert _names(tmp_path) == names
    assert _answer(path) == wanted


@settings(max_examples=15)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=6))
def test_weights_of_any_size_run_from_beside_the_graph(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("sizes")
    arrays = [np.arange(size, dtype=np.float32) for size in sizes]
    weights = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(arrays)]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Concat", [weight.name for weight in weights], ["y"], axis=0)
    model = of_graph(helper.make_graph([node], "g", [], [output], weights))
    onnx.save(model.to_proto(), folder / "theirs.onnx", save_as_external_data=True, size_threshold=0)
    for source in (model, oh.load(folder / "theirs.onnx")):
        source.save(folder / "m.onnx", external_data=True)
        for session in (onnxruntime.InferenceSession(folder / "m.onnx"), oh.Session(source)):
            np.testing.assert_array_equal(session.run(None, {})[0], np.concatenate(arrays))


def test_weights_that_two_parts_share_are_written_once_beside_the_graph(tmp_path: Path) -> None:
    _dense(1).save(tmp_path / "m.onnx")
    model = oh.load(tmp_path / "m.onnx")
    oh.parallel(a=model, b=model).save(tmp_path / "both.onnx", external_data=True)
    assert (tmp_path / "both.onnx.data").stat().st_size == 128 * 128 * 4
    a, b = oh.Session(tmp_path / "both.onnx").run(None, {"x": X})
    np.testing.assert_array_equal(a, b)


def test_a_model_without_large_weights_has_no_data_beside_it(tmp_path: Path) -> None:
    dense("d", "x", "y", (3, 3)).save(tmp_path / "m.onnx", external_data=True)
    assert _names(tmp_path) == ["m.onnx"]


def test_large_weights_lie_where_a_system_can_map_them(tmp_path: Path) -> None:
    oh.parallel(a=_dense(1), b=_dense(2)).save(tmp_path / "m.onnx", external_data=True)
    proto = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    offsets = [int(e.value) for t in proto.graph.initializer for e in t.external_data if e.key == "offset"]
    assert len(offsets) >= 2
    assert all(offset % 4096 == 0 for offset in offsets)


def test_a_session_finds_weights_in_several_folders_and_in_memory(tmp_path: Path) -> None:
    models = {}
    for number, inside in enumerate((True, False, True)):
        folder = tmp_path / "a folder" / str(number) / "ö"
        folder.mkdir(parents=True)
        _dense(number).save(folder / "m.onnx", external_data=not inside)
        models[f"p{number}"] = oh.load(folder / "m.onnx")
    (tmp_path / "link").symlink_to(tmp_path / "a folder" / "1", target_is_directory=True)
    models["link"] = oh.load(tmp_path / "link" / "ö" / "m.onnx")
    models["memory"] = _dense(7)
    together = oh.Session(oh.parallel(**models)).run(None, {"x": X})
    for answer, model in zip(together, models.values(), strict=True):
        np.testing.assert_array_equal(answer, oh.Session(oh.Model.from_proto(model.to_proto())).run(None, {"x": X})[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_a_session_maps_weights_and_does_not_read_them(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[75_000, 1000])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(4 * 75_000_000)
    values = [
        helper.make_tensor_value_info("x", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1000]),
    ]
    node = helper.make_node("Gather", ["w", "x"], ["y"])
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
    path.write_bytes(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    )
    program = f"""
        import numpy, re, onnxhybrid as oh
        peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
        from tests.strategies import dense
        oh.Session(dense("d", "x", "y", (4, 4)))
        before = peak()
        model = oh.load({str(path)!r})
        oh.Session(model).run(None, {{"x": numpy.array([5])}})
        print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60_000, f"{done.stdout} kB for a weight of 300 MB"

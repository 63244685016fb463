"""Files whose weights lie beside them, in all the ways that other programs write them; ONNX Runtime is the oracle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import of_graph

WEIGHT = np.arange(4096, dtype=np.float32)
X = np.ones(4096, np.float32)


def _external(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], **entries: str | None) -> TensorProto:
    """A tensor `w` that says these things of its data's place."""
    tensor = numpy_helper.from_array(array, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", **entries}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


def _adding(weight: TensorProto) -> bytes:
    """The sum of x and w."""
    kind, shape = weight.data_type, list(weight.dims)
    values = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weight])
    data: bytes = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    ).SerializeToString()
    return data


def _by_hand(path: Path) -> bytes | None:
    """What ONNX Runtime alone gives; None where it refuses."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options)
    except Exception:  # noqa: BLE001  # its classes have no base of their own
        return None
    answer: bytes = session.run(None, {"x": X})[0].tobytes()
    return answer


def _in_every_way(path: Path, folder: Path) -> list[bytes | None]:
    """The same by a Session of the path and of the Model, and by ONNX Runtime of what was saved in each form."""
    model = oh.load(path)
    answers: list[bytes | None] = [oh.Session(source).run(None, {"x": X})[0].tobytes() for source in (path, model)]
    for external in (True, False):
        model.save(folder / "saved.onnx", external_data=external)
        answers.append(_by_hand(folder / "saved.onnx"))
    return answers


def _link(target: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))


def _put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


GRAPH, DATA = _adding(_external(WEIGHT, offset="0", length="16384")), WEIGHT.tobytes()


def _cache(folder: Path, graph: str, data: str) -> Path:
    """Hugging Face's cache: names are links to blobs."""
    _link(_put(folder / graph, GRAPH), folder / "snapshots/r1/onnx/m.onnx")
    _link(_put(folder / data, DATA), folder / "snapshots/r1/onnx/w.bin")
    return folder / "snapshots/r1/onnx/m.onnx"


def _only_data_is_a_link_out(folder: Path) -> Path:
    _link(_put(folder / "elsewhere/w", DATA), folder / "a/w.bin")
    return _put(folder / "a/m.onnx", GRAPH)


def _only_the_model_is_a_link(folder: Path) -> Path:
    _put(folder / "a/w.bin", DATA)
    _link(_put(folder / "elsewhere/m", GRAPH), folder / "a/m.onnx")
    return folder / "a/m.onnx"


def _data_beside_the_real_model_only(folder: Path) -> Path:
    _put(folder / "elsewhere/w.bin", DATA)
    _link(_put(folder / "elsewhere/m", GRAPH), folder / "a/m.onnx")
    return folder / "a/m.onnx"


def _the_folder_is_a_link(folder: Path) -> Path:
    _put(folder / "real/w.bin", DATA)
    _link(_put(folder / "real/m.onnx", GRAPH).parent, folder / "link")
    return folder / "link/m.onnx"


def _a_link_to_a_link(folder: Path) -> Path:
    _link(_cache(folder, "blobs/1", "blobs/2"), folder / "snapshots/r1/onnx/again.onnx")
    return folder / "snapshots/r1/onnx/again.onnx"


def _located(location: str) -> Callable[[Path], Path]:
    def layout(folder: Path) -> Path:
        _put(folder / "w.bin", DATA)
        _put(folder / "a/w.bin", DATA)
        (folder / "a/sub").mkdir()
        weight = _external(WEIGHT, location=location.format(folder=folder), length="16384")
        return _put(folder / "a/m.onnx", _adding(weight))

    return layout


def _a_hard_link(folder: Path) -> Path:
    (folder / "a").mkdir()
    os.link(_put(folder / "elsewhere/w", DATA), folder / "a/w.bin")
    return _put(folder / "a/m.onnx", GRAPH)


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "a cache": lambda folder: _cache(folder, "blobs/1", "blobs/2"),
    "a cache with deeper data": lambda folder: _cache(folder, "blobs/1", "blobs/a/2"),
    "a cache in two folders": lambda folder: _cache(folder, "blobs/a/1", "blobs/b/2"),
    "a link to a link": _a_link_to_a_link,
    "a link to data": _only_data_is_a_link_out,
    "a link to the model": _only_the_model_is_a_link,
    "data beside the real model": _data_beside_the_real_model_only,
    "a link to the folder": _the_folder_is_a_link,
    "a hard link": _a_hard_link,
    **{f"at {place}": _located(place) for place in ("../w.bin", "../a/w.bin", "sub/../w.bin", "./w.bin", "none.bin")},
    "at an absolute path": _located("{folder}/a/w.bin"),
    "at no path": _located(""),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_external_data_is_found_through_links_as_onnx_runtime_finds_it(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    path = layout(tmp_path)
    wanted = _by_hand(path)
    if _by_hand(_located("../w.bin")(tmp_path / "probe")) is not None:
        pytest.skip("this version of ONNX Runtime takes data from anywhere")
    if wanted is None:
        for use in (oh.load, oh.Session):
            with pytest.raises(oh.ModelError, match="OH107"):
                use(path)
    else:
        assert _in_every_way(path, tmp_path) == [wanted] * 4


@settings(max_examples=60, deadline=None)
@given(
    offset=st.sampled_from([None, "0", "64", "4096"]),
    length=st.sampled_from([None, "0", "16384", "16380", "16388", "-1", "", " 16384", "+16384", "16_384", "1e3", "²"]),
    behind=st.sampled_from([0, 4, 16384]),
)
def test_a_length_that_is_left_out_or_0_follows_from_type_and_shape_and_another_is_refused(
    tmp_path_factory: pytest.TempPathFactory, offset: str | None, length: str | None, behind: int
) -> None:
    folder = tmp_path_factory.mktemp("length")
    _put(folder / "w.bin", b"\1" * int(offset or 0) + DATA + b"\1" * behind)
    path = _put(folder / "m.onnx", _adding(_external(WEIGHT, offset=offset, length=length)))
    wanted = _by_hand(path)
    assert (wanted is not None) == (length in (None, "0", "16384"))
    if wanted is None:
        with pytest.raises(oh.ModelError, match="OH107"):
            oh.load(path)
    else:
        assert _in_every_way(path, folder) == [wanted] * 4


DTYPES = [name for name in TensorProto.DataType.keys() if name not in ("UNDEFINED", "STRING")]  # noqa: SIM118


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("size", [0, 7, 2049])
def test_data_of_every_type_and_no_length_is_as_long_as_onnx_writes_it(tmp_path: Path, name: str, size: int) -> None:
    kind = TensorProto.DataType.Value(name)
    data = np.random.default_rng(0).integers(0, 2, size).astype(helper.tensor_dtype_to_np_dtype(kind))
    inside = numpy_helper.from_array(data, "w")
    assert inside.data_type == kind
    _put(tmp_path / "w.bin", inside.raw_data + b"\xff" * 32)
    outside = TensorProto(name="w", data_type=kind, dims=[size], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="w.bin")
    y = helper.make_tensor_value_info("y", kind, [size])
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [y], [outside])
    model = helper.make_model(graph, ir_version=13, opset_imports=[helper.make_opsetid("", 23)])
    path = _put(tmp_path / "m.onnx", model.SerializeToString())
    assert oh.load(path).to_proto().graph.initializer[0].raw_data == inside.raw_data


@pytest.mark.parametrize(
    "weight",
    [
        TensorProto(data_type=TensorProto.STRING, dims=[1]),
        TensorProto(data_type=99, dims=[1]),
        TensorProto(dims=[1]),
        TensorProto(data_type=TensorProto.FLOAT, dims=[-1]),
        TensorProto(data_type=TensorProto.FLOAT, dims=[2**62, 2**62]),
        TensorProto(data_type=TensorProto.FLOAT, dims=[2**62] * 300_000),
    ],
    ids=["strings", "an unknown type", "no type", "a negative size", "sizes without end", "a rank without end"],
)
def test_external_data_of_no_length_that_can_be_is_a_coded_error(tmp_path: Path, weight: TensorProto) -> None:
    weight.name, weight.data_location = "w", TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    _put(tmp_path / "w.bin", DATA)
    with pytest.raises(oh.ModelError, match="OH107"):
        oh.load(_put(tmp_path / "m.onnx", _adding(weight)))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "circle"])
def test_external_data_that_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "w.bin"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero" if kind == "device" else place.name)
    with pytest.raises(oh.ModelError, match="OH107"):
        oh.load(_put(tmp_path / "m.onnx", GRAPH))


def test_small_external_tensors_are_known_to_inference_as_if_they_lay_inside(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["r"]),
        helper.make_node("Split", ["r", "k"], ["a", "b"], axis=1),
        helper.make_node("Concat", ["b", "a"], ["y"], axis=1),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    values[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 12])
    shapes = [numpy_helper.from_array(np.array(v), n) for n, v in (("s", [-1, 3, 4]), ("k", [1, 2]))]
    inside = of_graph(helper.make_graph(nodes, "g", values[:1], values[1:], shapes))
    onnx.save(inside.to_proto(), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0, location="w")
    assert onnx.load(tmp_path / "m.onnx", load_external_data=False).graph.initializer[0].external_data
    assert oh.load(tmp_path / "m.onnx").tensors() == inside.tensors()
    feeds = {"x": np.arange(24, dtype=np.float32).reshape(2, 12)}
    (wanted,) = oh.Session(inside).run(None, feeds)
    for source in (tmp_path / "m.onnx", str(tmp_path / "m.onnx"), oh.load(tmp_path / "m.onnx")):
        for options in (None, onnxruntime.SessionOptions()):
            np.testing.assert_array_equal(oh.Session(source, sess_options=options).run(None, feeds)[0], wanted)


@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16", "INT4", "UINT2", "BOOL", "INT64", "DOUBLE", "COMPLEX64"])
def test_data_that_says_it_lies_inside_is_not_lost(dtype: str) -> None:
    """As onnx writes it when it has brought external data in."""
    kind = TensorProto.DataType.Value(dtype)
    weight = numpy_helper.from_array(np.ones(9000).astype(helper.tensor_dtype_to_np_dtype(kind)), "w")
    weight.data_location = TensorProto.DEFAULT
    y = helper.make_tensor_value_info("y", kind, None)
    model = of_graph(helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [y], [weight]))
    assert model.weights
    assert model.to_proto().graph.initializer[0].raw_data == weight.raw_data


_FIELD_OF = {
    **dict.fromkeys(("FLOAT", "COMPLEX64"), "float_data"),
    **dict.fromkeys(("DOUBLE", "COMPLEX128"), "double_data"),
    **dict.fromkeys(("UINT64", "UINT32"), "uint64_data"),
    "INT64": "int64_data",
}


def _typed(name: str, size: int, seed: int) -> TensorProto:
    """A tensor of random numbers in the field of its type, small and large ones mixed."""
    kind = TensorProto.DataType.Value(name)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    random = np.random.default_rng(seed)
    data = random.bytes(size * dtype.itemsize) if random.random() < 0.7 else bytes(size * dtype.itemsize)
    raw = numpy_helper.from_array(np.frombuffer(data, np.uint8).view(dtype), "w").raw_data
    width = {"float_data": "<f4", "double_data": "<f8", "int64_data": "<i8"}.get(_FIELD_OF.get(name, ""))
    if _FIELD_OF.get(name) == "uint64_data" or width is None:
        signed = "i" if name in ("INT8", "INT16", "INT32") else "u"
        width = f"<{signed}{1 if len(raw) < size else dtype.itemsize}"
    tensor = TensorProto(name="w", data_type=kind, dims=[size])
    getattr(tensor, _FIELD_OF.get(name, "int32_data")).extend(np.frombuffer(raw, width).tolist())
    return tensor


def _holding(tensor: TensorProto) -> onnx.ModelProto:
    y = helper.make_tensor_value_info("y", tensor.data_type, None)
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [y], [tensor])
    return helper.make_model(graph, ir_version=13, opset_imports=[helper.make_opsetid("", 23)])


@pytest.mark.parametrize("name", [name for name in DTYPES if not name.startswith("FLOAT6")])
@settings(max_examples=8, deadline=None)
@given(size=st.sampled_from([300, 1025, 5000, 70_001]), seed=st.integers(0, 99))
def test_numbers_in_a_field_of_their_type_are_kept_by_reference_and_stay_the_same(
    tmp_path_factory: pytest.TempPathFactory, name: str, size: int, seed: int
) -> None:
    tensor = _typed(name, size, seed)
    proto = _holding(tensor)
    wanted = numpy_helper.to_array(tensor)
    path = _put(tmp_path_factory.mktemp("typed") / "m.onnx", proto.SerializeToString())
    for model in (oh.Model.from_proto(proto), oh.load(path)):
        assert model.skeleton.ByteSize() < 1500
        (found,) = model.to_proto().graph.initializer
        assert numpy_helper.to_array(found).tobytes() == wanted.tobytes()
        model.save(path.with_name("saved.onnx"), external_data=True)
        saved = onnx.load(path.with_name("saved.onnx")).graph.initializer[0]
        assert numpy_helper.to_array(saved).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("name", ["FLOAT", "FLOAT16", "INT64", "BOOL", "INT8"])
def test_a_session_runs_numbers_in_a_field_of_their_type(tmp_path: Path, name: str) -> None:
    tensor = _typed(name, 3000, 1)
    if name == "BOOL":
        tensor.int32_data[:] = [1, 0, 1] * 1000
    proto = _holding(tensor)
    proto.ir_version, proto.opset_import[0].version = 8, 17
    path = _put(tmp_path / "m.onnx", proto.SerializeToString())
    wanted = onnxruntime.InferenceSession(path).run(None, {})[0].tobytes()
    assert oh.Session(oh.load(path)).run(None, {})[0].tobytes() == wanted


@pytest.mark.parametrize("count", [1999, 2001, 200])
def test_numbers_that_are_not_as_many_as_their_shape_has_are_a_coded_error(tmp_path: Path, count: int) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.INT64, dims=[2000])
    tensor.int64_data.extend([2**60] * count)
    path = _put(tmp_path / "m.onnx", _holding(tensor).SerializeToString())
    with pytest.raises(oh.ModelError, match="OH107"):
        oh.load(path).save(tmp_path / "saved.onnx")


def test_more_numbers_than_a_field_can_hold_take_no_memory(tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.INT64, dims=[2**40])
    tensor.int64_data.extend([1] * 2000)
    with pytest.raises(oh.ModelError, match="OH107"):
        oh.load(_put(tmp_path / "m.onnx", _holding(tensor).SerializeToString()))

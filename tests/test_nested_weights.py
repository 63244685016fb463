"""Weights in branches, loops and functions: they are read where they lie, as those of the main graph are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import FunctionProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.runtime.artifact import Artifact

SIZE = 5000
W = np.random.default_rng(0).random(SIZE).astype(np.float32)
FEEDS = {"x": np.ones(SIZE, np.float32), "c": np.array(True)}
SMALL = 3000  # bytes of a file without its weights


def _value(name: str, kind: int = TensorProto.FLOAT, shape: tuple[int, ...] = (SIZE,)) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _weight(name: str = "w", factor: float = 1) -> TensorProto:
    tensor: TensorProto = numpy_helper.from_array(W * np.float32(factor), name)
    return tensor


def _branch(nodes: Iterable[NodeProto], weights: Iterable[TensorProto] = (), output: str = "o") -> GraphProto:
    return helper.make_graph(list(nodes), "branch", [], [_value(output)], list(weights))


def _constant(name: str = "w") -> NodeProto:
    return helper.make_node("Constant", [], [name], value=_weight())


ADD = helper.make_node("Add", ["x", "w"], ["o"])


def _if(then: GraphProto, else_: GraphProto | None = None, output: str = "y") -> NodeProto:
    other = else_ or _branch([helper.make_node("Identity", ["x"], ["p"])], output="p")
    return helper.make_node("If", ["c"], [output], then_branch=then, else_branch=other)


def _loop(weights: list[TensorProto], constants: list[NodeProto]) -> NodeProto:
    scalar = [_value(n, k, ()) for n, k in (("i", TensorProto.INT64), ("go", TensorProto.BOOL))]
    nodes = [*constants, helper.make_node("Add", ["v", "w"], ["o"]), helper.make_node("Identity", ["go"], ["on"])]
    results = [_value("on", TensorProto.BOOL, ()), _value("o")]
    body = helper.make_graph(nodes, "body", [*scalar, _value("v")], results, weights)
    return helper.make_node("Loop", ["three", "", "x"], ["y"], body=body)


def _scan() -> NodeProto:
    nodes = [helper.make_node("Mul", ["row", "one"], ["r"]), helper.make_node("Add", ["state", "w"], ["o"])]
    inputs, outputs = [_value("state"), _value("row", shape=())], [_value("o"), _value("r", shape=())]
    body = helper.make_graph(nodes, "body", inputs, outputs, [_weight()])
    return helper.make_node("Scan", ["x", "rows"], ["y", "rest"], body=body, num_scan_inputs=1)


def _function(nodes: Iterable[NodeProto]) -> FunctionProto:
    imports = [helper.make_opsetid("", 17)]
    return helper.make_function("local", "F", ["x", "c"], ["y"], list(nodes), imports)


def _model(nodes: Iterable[NodeProto], functions: Iterable[FunctionProto] = ()) -> onnx.ModelProto:
    few = [np.array(3), np.float32(1), np.ones(2, np.float32)]
    weights = [numpy_helper.from_array(np.asarray(v), n) for v, n in zip(few, ("three", "one", "rows"), strict=True)]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Not", ["c"], ["d"])],
        "g",
        [_value("x"), _value("c", TensorProto.BOOL, ())],
        [_value("y"), _value("d", TensorProto.BOOL, ())],
        weights,
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, functions=list(functions))


CALL = helper.make_node("F", ["x", "c"], ["y"], domain="local")
PLACES = {
    "a branch": _model([_if(_branch([ADD], [_weight()]))]),
    "both branches, under one name": _model(
        [_if(_branch([ADD], [_weight()]), _branch([ADD], [_weight("w", 2)]))],
    ),
    "a constant of a branch": _model([_if(_branch([_constant(), ADD]))]),
    "a branch that gives it": _model([_if(_branch([], [_weight("o")]))]),
    "a branch that gives a constant": _model([_if(_branch([_constant("o")]))]),
    "a branch in a branch": _model(
        [_if(_branch([_if(_branch([ADD], [_weight()]), output="z")], output="z"))],
    ),
    "a loop": _model([_loop([_weight()], [])]),
    "a constant of a loop": _model([_loop([], [_constant()])]),
    "a scan": _model([_scan()]),
    "a constant": _model([_constant(), helper.make_node("Add", ["x", "w"], ["y"])]),
    "a function": _model([CALL], [_function([_constant(), helper.make_node("Add", ["x", "w"], ["y"])])]),
    "a branch in a function": _model([CALL], [_function([_if(_branch([ADD], [_weight()]))])]),
    "a constant of a branch in a function": _model([CALL], [_function([_if(_branch([_constant(), ADD]))])]),
}


def _in_memory(proto: onnx.ModelProto, folder: Path) -> oh.Model:
    return oh.Model.from_proto(proto)


def _inside_a_file(proto: onnx.ModelProto, folder: Path) -> oh.Model:
    for padding in range(4):  # of which three leave the weights at no multiple of their width
        proto.producer_name = "p" * (padding + 1)
        (folder / "m.onnx").write_bytes(proto.SerializeToString())
        if (folder / "m.onnx").read_bytes().find(W.tobytes()) % 4:
            return oh.load(folder / "m.onnx")
    raise AssertionError


def _beside_a_file(proto: onnx.ModelProto, folder: Path) -> oh.Model:
    oh.Model.from_proto(proto).save(folder / "m.onnx", external_data=True)
    return oh.load(folder / "m.onnx")


def _answers(session: onnxruntime.InferenceSession | oh.Session) -> list[bytes]:
    return [session.run(["y"], FEEDS | {"c": np.array(c)})[0].tobytes() for c in (True, False)]


@pytest.mark.parametrize("source", [_in_memory, _inside_a_file, _beside_a_file])
@pytest.mark.parametrize("place", PLACES)
def test_a_session_gets_weights_by_reference_wherever_they_stand(
    tmp_path: Path, place: str, source: Callable[[onnx.ModelProto, Path], oh.Model]
) -> None:
    proto = onnx.ModelProto.FromString(PLACES[place].SerializeToString())
    model = source(proto, tmp_path)
    assert _answers(oh.Session(model)) == _answers(onnxruntime.InferenceSession(proto.SerializeToString()))
    if not ("function" in place and source is _in_memory):  # ONNX Runtime takes none from memory there
        assert len(Artifact.mapped(model).graph) < SMALL


@pytest.mark.parametrize("source", [_in_memory, _inside_a_file, _beside_a_file])
@pytest.mark.parametrize("place", PLACES)
def test_saving_puts_weights_beside_the_graph_or_inside_wherever_they_stand(
    tmp_path: Path, place: str, source: Callable[[onnx.ModelProto, Path], oh.Model]
) -> None:
    proto = onnx.ModelProto.FromString(PLACES[place].SerializeToString())
    wanted = _answers(onnxruntime.InferenceSession(proto.SerializeToString()))
    model = source(proto, tmp_path)
    (tmp_path / "to").mkdir()
    path = tmp_path / "to" / "saved.onnx"
    model.save(path, external_data=True)
    assert path.stat().st_size < SMALL
    assert _answers(onnxruntime.InferenceSession(path)) == wanted
    if place != "a branch in a function":  # where onnx does not look for external data
        whole = onnx.load(path)
        assert _answers(onnxruntime.InferenceSession(whole.SerializeToString())) == wanted
    model.save(path, external_data=False)
    assert [entry.name for entry in path.parent.iterdir()] == ["saved.onnx"]
    assert _answers(onnxruntime.InferenceSession(path)) == wanted


@pytest.mark.parametrize("place", PLACES)
def test_a_composition_keeps_weights_by_reference_wherever_they_stand(tmp_path: Path, place: str) -> None:
    model = _beside_a_file(PLACES[place], tmp_path)
    twice = oh.chain(model.select(["y"]), model.rename({"y": "z", "x": "y"}).select(["z"]))
    assert twice.skeleton.ByteSize() < 2 * SMALL
    twice.save(tmp_path / "twice.onnx", external_data=True)
    x = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(["y"], FEEDS)[0]
    wanted = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(["y"], FEEDS | {"x": x})[0]
    for session in (onnxruntime.InferenceSession(tmp_path / "twice.onnx"), oh.Session(twice)):
        feeds = {argument.name: FEEDS[argument.name] for argument in session.get_inputs()}
        np.testing.assert_array_equal(session.run(["z"], feeds)[0], wanted)


@pytest.mark.parametrize("depth", [1, 2])
def test_weights_of_graphs_inside_each_other_may_share_a_name(depth: int) -> None:
    outer = [helper.make_node("Add", ["x", "w"], ["x2"])]
    inner = _branch([ADD], [_weight("w", 2)])
    for level in range(1, depth):
        inner = _branch([_if(inner, output="o2"), helper.make_node("Mul", ["o2", "w"], ["o"])], [_weight("w", level)])
    proto = _model([*outer, _if(inner, output="y1"), helper.make_node("Mul", ["y1", "w"], ["y"])])
    proto.graph.initializer.append(_weight("w", 3))
    wanted = _answers(onnxruntime.InferenceSession(proto.SerializeToString()))
    assert _answers(oh.Session(oh.Model.from_proto(proto))) == wanted


ROWS = 3 * 2**30 // 4 // 1024


def _huge(place: str) -> onnx.ModelProto:
    """A weight of 3 GiB beside the graph, of which one row is taken."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[ROWS, 1024], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="w.bin")
    gather = helper.make_node("Gather", ["w", "row"], ["o"])
    branch = helper.make_graph([gather], "branch", [], [_value("o", shape=(1, 1024))], [weight])
    if place == "a constant of a branch":
        del branch.initializer[:]
        branch.node.insert(0, helper.make_node("Constant", [], ["w"], value=weight))
    other = helper.make_graph([helper.make_node("Identity", ["z"], ["p"])], "other", [], [_value("p", shape=(1, 1024))])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=other)
    inputs = [_value("c", TensorProto.BOOL, ()), _value("row", TensorProto.INT64, (1,)), _value("z", shape=(1, 1024))]
    graph = helper.make_graph([node], "g", inputs, [_value("y", shape=(1, 1024))])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


FEEDS_OF_HUGE = {"c": np.array(True), "row": np.array([ROWS - 1]), "z": np.zeros((1, 1024), np.float32)}


def _written(place: str, folder: Path) -> oh.Model:
    if shutil.disk_usage(folder).free < 10 * 2**30:
        pytest.skip("the disk has too little room")
    (folder / "m.onnx").write_bytes(_huge(place).SerializeToString())
    with (folder / "w.bin").open("wb") as file:
        file.seek(3 * 2**30 - 2)
        file.write(b"\x80\x3f")  # the last element is 1.0
    return oh.load(folder / "m.onnx")


@pytest.mark.parametrize("place", ["a branch", "a constant of a branch"])
def test_a_session_runs_weights_of_a_branch_that_fit_no_message(tmp_path: Path, place: str) -> None:
    session = oh.Session(_written(place, tmp_path))
    assert session.run(None, FEEDS_OF_HUGE)[0].sum() == 1


def test_weights_of_a_branch_that_fit_no_message_are_saved(tmp_path: Path) -> None:
    model = _written("a branch", tmp_path)
    model.save(tmp_path / "saved.onnx")
    (tmp_path / "w.bin").unlink()
    assert onnxruntime.InferenceSession(tmp_path / "saved.onnx").run(None, FEEDS_OF_HUGE)[0][0, -1] == 1
    (tmp_path / "saved.onnx.data").unlink()

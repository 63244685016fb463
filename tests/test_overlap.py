"""`overlap`: remote calls go on while others run, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.compose.overlap import sequential
from tests.remote_graphs import remote_graphs
from tests.servers.echo import echo_server, heard, remote
from tests.servers.raw import RawServer
from tests.strategies import Array, of_graph, rows

LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)
MODES = (onnxruntime.ExecutionMode.ORT_SEQUENTIAL, onnxruntime.ExecutionMode.ORT_PARALLEL)


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with echo_server() as serving:
        yield serving


def options(level: object = LEVELS[3], mode: object = MODES[0]) -> onnxruntime.SessionOptions:
    made = onnxruntime.SessionOptions()
    made.graph_optimization_level, made.execution_mode = level, mode
    made.log_severity_level = 4
    return made


def results(model: oh.Model, feeds: dict[str, Array], settings: onnxruntime.SessionOptions) -> list[Array]:
    session = oh.Session(model, sess_options=settings)
    known = {argument.name for argument in session.get_inputs()}
    return session.run(None, {name: feed for name, feed in feeds.items() if name in known})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(data=st.data())
def test_an_overlapped_model_gives_the_same_and_sends_the_same(server: RawServer, data: st.DataObject) -> None:
    model = data.draw(remote_graphs(server.url))
    feeds = {"x": rows(2, 3), "w": rows(2, 3, 1), "c": np.array(data.draw(st.booleans())), "d": np.array(True)}
    level, mode = data.draw(st.sampled_from(LEVELS)), data.draw(st.sampled_from(MODES))
    expected = results(model, feeds, options())
    sent = heard(server)
    overlapped = oh.overlap(model)
    for form, settings_ in ((overlapped, options(level, mode)), (sequential(overlapped), options())):
        found = results(form, feeds, settings_)
        assert heard(server) == sent
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert oh.overlap(overlapped).to_proto() == overlapped.to_proto()
    assert not oh.validate(overlapped).errors
    assert len(overlapped.remotes) == len(model.remotes)


def computed(model: oh.Model, feeds: dict[str, Array], settings: onnxruntime.SessionOptions, folder: Path) -> list[str]:
    """The names of the main graph's nodes in the order in which they were computed, without those of barriers."""
    settings.enable_profiling, settings.profile_file_prefix = True, str(folder / "profile")
    oh.register(settings)
    session = onnxruntime.InferenceSession(model.to_proto().SerializeToString(), settings)
    session.run(None, feeds)
    events = json.loads(Path(session.end_profiling()).read_text())
    kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith("_kernel_time")]
    names = [event["name"].removesuffix("_kernel_time") for event in sorted(kernels, key=lambda event: event["ts"])]
    barriers = {node.name for node in model.skeleton.graph.node} - {
        n.name for n in sequential(model).skeleton.graph.node
    }
    return [name for name in names if name not in barriers or name.endswith("/await")]


def local(nodes: Sequence[NodeProto], value: ValueInfoProto, weights: Sequence[TensorProto] = ()) -> oh.Model:
    """A local model from v to z of one type."""
    result = ValueInfoProto(name="z", type=value.type)
    result.type.tensor_type.ClearField("shape")
    return of_graph(helper.make_graph(nodes, "local", [value], [result], weights), ir_version=10)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [output], name=output, **attributes)


SIZES = numpy_helper.from_array(np.array([3, 4]), "sizes")
LOCALS = {
    "one node": [node("Neg", ["v"], "z")],
    "a Reshape first": [node("Reshape", ["v", "sizes"], "a"), node("Neg", ["a"], "z")],
    "a Reshape alone": [node("Reshape", ["v", "sizes"], "z")],
    "views and a layer": [
        node("Flatten", ["v"], "a"), node("Unsqueeze", ["a", "zero"], "b"), node("Squeeze", ["b", "zero"], "d"),
        node("ReduceMean", ["d"], "e"), node("Sub", ["d", "e"], "z"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", [(1, 3, 4), ("a", 3, "b"), None])
@pytest.mark.parametrize("work", LOCALS)
def test_local_work_comes_between_begin_and_await(
    server: RawServer, tmp_path: Path, work: str, shape: tuple[int, ...] | None, level: object
) -> None:
    zero = numpy_helper.from_array(np.array([0]), "zero")
    edge = local(LOCALS[work], helper.make_tensor_value_info("v", TensorProto.FLOAT, shape), [SIZES, zero])
    model = oh.parallel(cloud=remote(server.url, "a"), edge=edge)
    feeds = {"x": rows(2, 3), "v": rows(12, 1).reshape(1, 3, 4)}
    order = computed(model, feeds, options(level), tmp_path)
    assert (order[0], order[-1]) == ("cloud/a", "cloud/a/await")
    assert len(order) > 2


KINDS = (
    "FLOAT",
    "DOUBLE",
    "FLOAT16",
    "STRING",
    "BOOL",
    "INT8",
    "UINT8",
    "INT16",
    "UINT16",
    "INT32",
    "UINT32",
    "INT64",
    "UINT64",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (0, 3), (2,)])
def test_a_tensor_of_any_type_can_be_put_behind_a_call(
    server: RawServer, tmp_path: Path, kind: str, shape: tuple[int, ...]
) -> None:
    number = TensorProto.DataType.Value(kind)
    value = np.ones(shape, helper.tensor_dtype_to_np_dtype(number)) if kind != "STRING" else np.full(shape, "é", object)
    edge = local([node("Identity", ["v"], "z")], helper.make_tensor_value_info("v", number, None))
    model = oh.parallel(cloud=remote(server.url, "a"), edge=edge)
    order = computed(model, {"x": rows(2, 3), "v": value}, options(), tmp_path)
    assert order == ["cloud/a", "edge/z", "cloud/a/await"]
    found = oh.Session(model).run(["edge/z"], {"x": rows(2, 3), "v": value})[0]
    np.testing.assert_array_equal(found, value)
    assert (found.dtype, found.shape) == (value.dtype, value.shape)

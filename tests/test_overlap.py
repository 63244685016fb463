"""`overlap`: remote calls go on while others run, and nothing else changes."""

from __future__ import annotations

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
from onnxhybrid.compose.overlap.overlap import sequential
from tests.computed import LEVELS, MODES, computed, options
from tests.remote_graphs import remote_graphs
from tests.servers.echo import echo, echo_server, heard, remote
from tests.servers.raw import Behaviour, RawServer, answer
from tests.strategies import Array, dense, of_graph, rows


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with echo_server() as serving:
        yield serving


def results(model: oh.Model, feeds: dict[str, Array], settings: onnxruntime.SessionOptions) -> list[Array]:
    session = oh.Session(model, sess_options=settings)
    known = {argument.name for argument in session.get_inputs()}
    return session.run(None, {name: feed for name, feed in feeds.items() if name in known})


def codes(model: oh.Model) -> set[str]:
    """The codes of all findings but that of missing metadata, which asks for local nodes."""
    return {finding.code for finding in oh.validate(model)} - {"OH314"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
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
    assert codes(overlapped) == codes(model)
    assert len(overlapped.remotes) == len(model.remotes)


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


def test_independent_calls_are_all_begun_before_anything_local(server: RawServer, tmp_path: Path) -> None:
    late = oh.chain(dense("pre", "x", "u", (3, 3)), remote(server.url, "b").rename({"x": "u"}))
    edge = dense("edge", "x", "z", (3, 2), softmax=True)
    model = oh.parallel(edge=edge, one=remote(server.url, "a"), two=late, three=remote(server.url, "c"))
    order = computed(model, {"x": rows(2, 3)}, options(LEVELS[0]), tmp_path)
    begins = {"one/a", "two/b", "three/c"}
    assert set(order[:5]) == {*begins, "two/pre/matmul", "two/pre/add"}
    assert order[5:8] == ["edge/matmul", "edge/add", "edge/softmax"]
    assert set(order[8:]) == {f"{name}/await" for name in begins}


def test_what_more_calls_wait_for_is_awaited_first(server: RawServer, tmp_path: Path) -> None:
    # Between the two calls of the chain there is local work, and the other call goes on all along.
    second = remote(server.url, "b").rename({"x": "v", "y": "w"})
    two = oh.chain(remote(server.url, "a"), dense("middle", "y", "v", (3, 3)), second)
    model = oh.parallel(alone=remote(server.url, "c"), two=two)
    order = computed(model, {"x": rows(2, 3)}, options(LEVELS[0]), tmp_path)
    assert set(order[:2]) == {"alone/c", "two/a"}
    assert order[2:6] == ["two/a/await", "two/middle/matmul", "two/middle/add", "two/b"]


def test_calls_that_nothing_can_overlap_stay_as_they_are(server: RawServer) -> None:
    chain = oh.chain(dense("a", "x", "u", (3, 3)), remote(server.url, "a").rename({"x": "u"}))
    assert oh.overlap(chain) is chain
    assert oh.overlap(dense("a", "x", "u", (3, 3))).outputs == dense("a", "x", "u", (3, 3)).outputs
    assert [n.op_type for n in oh.parallel(cloud=remote(server.url, "a")).skeleton.graph.node] == ["Invoke"]


def test_an_overlapped_part_stays_so_in_any_composition(server: RawServer) -> None:
    both = oh.parallel(edge=dense("edge", "x", "z", (3, 2)), cloud=remote(server.url, "a"))
    after = oh.chain(both, dense("after", "cloud/y", "q", (3, 2)))
    assert {"Begin", "Await"} <= {node.op_type for node in after.skeleton.graph.node}
    again = oh.parallel(both=both, more=remote(server.url, "b"))
    assert [n.op_type for n in again.skeleton.graph.node[:2]] == ["Begin", "Begin"]
    assert {node.op_type for node in sequential(again).skeleton.graph.node} == {"Invoke", "MatMul", "Add"}


def test_an_ensemble_overlaps_its_remote_members(server: RawServer, tmp_path: Path) -> None:
    model = oh.ensemble([dense("edge", "x", "y", (3, 3)), remote(server.url, "a"), remote(server.url, "b")])
    order = computed(model, {"x": rows(2, 3)}, options(LEVELS[0]), tmp_path)
    begins, local = {"a", "b"}, {"edge/matmul", "edge/add"}
    assert (set(order[:2]), set(order[2:4])) == (begins, local)
    assert {f"{name}/await" for name in begins} <= set(order[4:])


@pytest.mark.parametrize("behave", [echo, answer(b"{}", status="400 Bad Request")])
def test_a_fallback_takes_the_place_of_calls_that_overlap(behave: Behaviour) -> None:
    with echo_server(behave) as server:
        ones = [dense("edge", "x", "y", (3, 3)), remote(server.url, "a"), remote(server.url, "b")]
        backup = dense("backup", "x", "y", (3, 3), seed=1)
        overlapped = oh.fallback(oh.ensemble(ones), backup, report=True)
        plain = oh.fallback(sequential(oh.ensemble(ones)), backup, report=True)
        found, expected = (oh.Session(model).run(None, {"x": rows(2, 3)}) for model in (overlapped, plain))
    np.testing.assert_array_equal(found[0], expected[0])
    assert bool(found[1]) == bool(expected[1]) == (behave is not echo)


@pytest.mark.parametrize("fails", ["cloud", "edge"])
def test_the_error_of_the_node_that_fails_is_the_error_of_the_run(fails: str) -> None:
    wrong = numpy_helper.from_array(np.array([7, 7]), "sizes")
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, ("n", 3))
    edge = local([node("Reshape", ["v", "sizes"], "z")], value, [wrong if fails == "edge" else SIZES])
    refuse = answer(b'{"error": "no"}', status="400 Bad Request") if fails == "cloud" else echo
    with echo_server(refuse) as server:
        session = oh.Session(oh.parallel(cloud=remote(server.url, "a"), edge=edge))
        with pytest.raises(oh.Error) as caught:
            session.run(None, {"x": rows(2, 3), "v": rows(4, 3)})
    assert caught.value.code == ("OH503" if fails == "cloud" else "OH540")
    if isinstance(caught.value, oh.RemoteError):
        assert (caught.value.node, caught.value.attempts) == ("cloud/a", 1)


def test_a_failure_can_be_data(tmp_path: Path) -> None:
    with echo_server(answer(b'{"error": "no"}', status="400 Bad Request")) as server:
        model = oh.parallel(edge=dense("edge", "x", "z", (3, 2)), cloud=remote(server.url, "a", on_error="flag"))
        assert model.skeleton.graph.node[0].op_type == "Begin"
        session = oh.Session(model, record=tmp_path / "tape")
        names = [argument.name for argument in session.get_outputs()]
        found = dict(zip(names, session.run(None, {"x": rows(2, 3)}), strict=True))
    assert (bool(found["cloud/ok"]), int(found["cloud/status"])) == (False, 400)
    assert session.stats()["cloud/a"].errors == {"OH503": 1}
    again = oh.Session(model, replay=tmp_path / "tape").run(None, {"x": rows(2, 3)})
    np.testing.assert_array_equal(again[0], found["edge/z"])


def test_each_branch_and_each_turn_of_a_loop_overlaps_by_itself(server: RawServer) -> None:
    inner = oh.parallel(edge=dense("edge", "x", "z", (3, 3)), cloud=remote(server.url, "a"))
    model = oh.switch("c", inner, inner)
    branches = [attribute.g for node in model.skeleton.graph.node for attribute in node.attribute]
    assert [branch.node[0].op_type for branch in branches] == ["Begin", "Begin"]
    heard(server)
    oh.Session(model).run(None, {"x": rows(2, 3), "c": np.array(True)})
    assert len(server.requests) == 1


def test_work_without_a_changing_input_waits_for_the_request_too(server: RawServer, tmp_path: Path) -> None:
    # ONNX Runtime computes a loop in each run, also where all of its inputs are constant.
    number = helper.make_tensor_value_info("number", TensorProto.INT64, [])
    going, still = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("going", "still"))
    one = helper.make_tensor_value_info("one", TensorProto.FLOAT, [])
    body = helper.make_graph(
        [node("Identity", ["going"], "still"), node("Cast", ["number"], "one", to=TensorProto.FLOAT)],
        "body", [number, going], [still, one],
    )  # fmt: skip
    times = numpy_helper.from_array(np.array(3), "times")
    ones = helper.make_tensor_value_info("ones", TensorProto.FLOAT, None)
    loop = of_graph(helper.make_graph([node("Loop", ["times", ""], "ones", body=body)], "loop", [], [ones], [times]))
    order = computed(oh.parallel(edge=loop, cloud=remote(server.url, "a")), {"x": rows(2, 3)}, options(), tmp_path)
    outer = [name for name in order if not name.endswith(("still", "one"))]
    assert outer == ["cloud/a", "edge/ones", "cloud/a/await"]


def test_a_sequence_can_be_put_behind_a_call(server: RawServer, tmp_path: Path) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    taken = of_graph(
        helper.make_graph(
            [node("ConcatFromSequence", ["v"], "z", axis=0)],
            "taken", [helper.make_value_info("v", kind)], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        )
    )  # fmt: skip
    model = oh.parallel(edge=taken, cloud=remote(server.url, "a"))
    pieces = [rows(1, 3), rows(2, 3)]
    feeds: dict[str, Any] = {"x": rows(2, 3), "v": pieces}
    order = computed(model, feeds, options(), tmp_path)
    names = [name for name in order if name in ("cloud/a", "edge/z", "cloud/a/await")]
    assert names == ["cloud/a", "edge/z", "cloud/a/await"]
    np.testing.assert_array_equal(oh.Session(model).run(["edge/z"], feeds)[0], np.concatenate(pieces))
    assert oh.overlap(model).to_proto() == model.to_proto()


def test_names_that_are_taken_are_left_alone(server: RawServer) -> None:
    edge = dense("edge", "x", "z", (3, 2)).rename({"product": "cloud/a/ticket"})
    model = oh.overlap(oh.parallel(edge=edge, cloud=remote(server.url, "a")))
    found = oh.Session(model).run(None, {"x": rows(2, 3)})
    np.testing.assert_array_equal(found[0], oh.Session(edge).run(None, {"x": rows(2, 3)})[0])


def test_equal_and_constant_calls_all_go_out(server: RawServer) -> None:
    call = remote(server.url, "a").bind(x=rows(2, 3))
    model = oh.parallel(edge=dense("edge", "x", "z", (3, 2)), one=call, two=call)
    session = oh.Session(model)
    heard(server)
    for _ in range(2):
        session.run(None, {"x": rows(2, 3)})
    assert sorted(heard(server).values()) == [4]


def test_the_argument_is_not_changed_and_the_same_call_gives_the_same(server: RawServer) -> None:
    model = sequential(oh.parallel(cloud=remote(server.url, "a"), edge=dense("edge", "x", "z", (3, 2))))
    before = model.to_proto()
    assert oh.overlap(model).to_proto() == oh.overlap(model).to_proto()
    assert model.to_proto() == before


def test_what_is_no_valid_model_is_a_coded_error() -> None:
    with pytest.raises(oh.ComposeError, match="OH205"):
        oh.overlap("model.onnx")  # type: ignore[arg-type]
    proto = remote("http://h", "a").to_proto()
    del proto.graph.node[0].attribute[:]
    with pytest.raises(oh.ValidationError, match="OH301"):
        oh.overlap(oh.Model.from_proto(proto))


def test_an_output_that_is_dropped_takes_its_call_along(server: RawServer) -> None:
    model = oh.parallel(edge=dense("edge", "x", "z", (3, 2)), one=remote(server.url, "a"), two=remote(server.url, "b"))
    heard(server)
    oh.Session(model.select(["edge/z", "one/y"])).run(None, {"x": rows(2, 3)})
    assert [b"/models/a/" in request for request in heard(server).elements()] == [True]
    assert model.select(["edge/z"]).remotes == ()


def test_a_text_that_nobody_knows_the_type_of_may_be_matched_beside_a_call() -> None:
    known, made = oh.TensorSpec("text", "str", ("n",)), oh.TensorSpec("match", "bool", ("n",))
    nodes = [
        helper.make_node("Unknown", ["text"], ["words"], domain="own"),
        node("RegexFullMatch", ["words"], "match", pattern="a"),
    ]
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(nodes, "g", [known.to_value_info()], [made.to_value_info()])
    match = of_graph(graph, opset_imports=imports)
    composed = oh.overlap(oh.parallel(a=match, b=remote("http://127.0.0.1:9", "m")))
    kept = [n.op_type for n in composed.skeleton.graph.node if n.output[0] == "a/match"]
    assert kept == ["RegexFullMatch"]

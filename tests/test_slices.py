"""Bounds that nobody asked for: where rows are known to be independent, a large batch goes out in several requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tritonclient.grpc import service_pb2, service_pb2_grpc

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.remote_spec import attributes_of, is_remote
from tests.servers.raw import answer, raw_server
from tests.servers.relay import relay, sizes
from tests.strategies import Array, of_graph, run

ROWS, BYTES = 1024, 4_000_000
FLOAT = TensorProto.FLOAT
NOWHERE = "http://127.0.0.1:9"


def scaled(name: str, factor: float, width: int = 3) -> oh.Model:
    """`y = x * factor`, row by row: exact, however the rows are cut."""
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
    tensors = [helper.make_tensor_value_info(tensor, FLOAT, ["n", width]) for tensor in "xy"]
    weight = numpy_helper.from_array(np.array(factor, np.float32), "factor")
    return of_graph(helper.make_graph(nodes, name, tensors[:1], tensors[1:], [weight]))


def remote(url: str = NOWHERE, width: int = 3, **options: Any) -> oh.Model:
    """A remote model from `x` to `y`, both float32 (n, width)."""
    specs = [oh.TensorSpec(tensor, "float32", ("n", width)) for tensor in "xy"]
    return oh.remote.triton(url, "scaled", inputs=specs[:1], outputs=specs[1:], **options)


POSITIVE = oh.judge.value("y") >= 0
NONE = oh.judge.value("y") >= 1e9
"""Accepts no row that comes here."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve({"scaled": scaled("scaled", 3)}) as server:
        yield server.url


def bounds(model: oh.Model) -> list[tuple[int | None, int | None]]:
    """`batch` and `batch_bytes` of each remote node, in their order."""
    values = [attributes_of(node) for node in all_nodes(model.to_proto()) if is_remote(node)]
    return [(each.get("batch"), each.get("batch_bytes")) for each in values]


# -- what is sent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"speculate": True}])
def test_two_hundred_thousand_rows_of_a_cascade_are_many_requests_and_the_same_answers(url: str, how: Any) -> None:
    x = np.random.default_rng(0).normal(size=(200_000, 3)).astype(np.float32)
    with relay(url) as server:
        hybrid = oh.cascade(scaled("local", 1), remote(server.url), accept=POSITIVE, rows=True, **how)
        (y,) = oh.Session(hybrid).run(["y"], {"x": x})
    refused = np.logical_not((x >= 0).all(axis=1))
    np.testing.assert_array_equal(y, np.where(refused[:, None], run(scaled("large", 3), {"x": x})["y"], x))
    sent = len(x) if how else refused.sum()
    assert len(sizes(server)) == -(-sent // ROWS)
    assert max(sizes(server)) <= ROWS * 12


class Echo(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Gives back what it is given, and keeps how many bytes each message had."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.sizes.append(request.ByteSize())
        reply = service_pb2.ModelInferResponse(raw_output_contents=request.raw_input_contents)
        reply.outputs.add(name="y", datatype="FP32", shape=list(request.inputs[0].shape))
        return reply


def test_messages_stay_below_the_bound_that_grpc_servers_have_by_default() -> None:
    width, x = 4096, np.random.default_rng(0).normal(size=(700, 4096)).astype(np.float32)  # 11 MB, 16 KiB a row
    echo = Echo()
    server = grpc.server(futures.ThreadPoolExecutor(4))  # which takes 4 MiB
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(echo, server)
    address = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        local = scaled("local", 2, width)
        hybrid = oh.cascade(local, remote(address, width), accept=NONE, rows=True)
        (y,) = oh.Session(hybrid).run(["y"], {"x": x})
        whole = oh.Session(oh.cascade(local, remote(address, width, batch=0), accept=NONE, rows=True))
        with pytest.raises(oh.RemoteError):
            whole.run(["y"], {"x": x})
    finally:
        server.stop(None)
    np.testing.assert_array_equal(y, x)
    assert len(echo.sizes) == -(-700 // (BYTES // (4 * width)))
    assert max(echo.sizes) < 4 << 20


def test_a_row_that_is_larger_than_a_request_may_be_goes_alone(url: str) -> None:
    width = BYTES // 4 + 1
    with serve({"scaled": scaled("scaled", 3, width)}) as there, relay(there.url) as server:
        hybrid = oh.cascade(scaled("local", 1, width), remote(server.url, width), accept=NONE, rows=True)
        x = np.ones((3, width), np.float32)
        np.testing.assert_array_equal(oh.Session(hybrid).run(["y"], {"x": x})[0], 3 * x)
    assert sizes(server) == [4 * width] * 3


def test_a_file_is_cut_by_any_session(url: str, tmp_path: Any) -> None:
    with relay(url) as server:
        path = tmp_path / "hybrid.onnx"
        oh.cascade(scaled("local", 1), remote(server.url), accept=POSITIVE, rows=True).save(path)
        options = onnxruntime.SessionOptions()
        options.register_custom_ops_library(oh.library_path())
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        x = np.full((ROWS + 1, 3), -1, np.float32)
        np.testing.assert_array_equal(session.run(["y"], {"x": x})[0], 3 * x)
    assert sorted(sizes(server)) == [12, 12 * ROWS]


def bad_row(connection: Any, request: bytes) -> None:
    """Refuses a request that holds a -7; gives back all others."""
    head, body = request.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"inference-"))
    values = np.frombuffer(body[length:], np.float32)
    if (values == -7).any():
        return answer(b'{"error": "a bad row"}', status="422 Unprocessable Content")(connection, request)
    shape = json.loads(body[:length])["inputs"][0]["shape"]
    output = {"name": "y", "datatype": "FP32", "shape": shape, "data": values.tolist()}
    return answer(json.dumps({"model_name": "m", "outputs": [output]}).encode())(connection, request)


def test_a_failure_says_which_of_the_rows_that_were_sent_or_is_flagged() -> None:
    x = np.full((3 * ROWS, 3), -1, np.float32)
    x[2 * ROWS + 5] = -7
    with raw_server(bad_row) as server:
        hybrid = oh.cascade(scaled("local", 1), remote(server.url, retries=0, binary=True), accept=POSITIVE, rows=True)
        with pytest.raises(oh.RemoteStatusError, match=r"rows 2048 to 3071: .*a bad row"):
            oh.Session(hybrid).run(None, {"x": x})
        asked = remote(server.url, retries=0, binary=True, on_error="flag")
        flagged = oh.cascade(scaled("local", 1), asked, accept=POSITIVE, rows=True)
        y, ok, status, error = oh.Session(flagged).run(["y", "ok", "status", "error"], {"x": x})
    np.testing.assert_array_equal(y, x)
    assert (bool(ok), int(status)) == (False, 422)
    assert "rows 2048 to 3071" in str(error)


# -- which calls are bounded -------------------------------------------------------------------------------------------


def cascade(part: oh.Model, **options: Any) -> oh.Model:
    return oh.cascade(scaled("local", 1), part, accept=POSITIVE, rows=True, **options)


def called(name: str, takes: str, gives: str, **options: Any) -> oh.Model:
    """A call under other names of tensors."""
    return remote(name=name, **options).rename({"x": takes, "y": gives})


def local_part(operator: str, takes: str, gives: str, shape: Any = ("n", 3), **attributes: Any) -> oh.Model:
    node = helper.make_node(operator, [takes], [gives], **attributes)
    tensors = [helper.make_tensor_value_info(tensor, FLOAT, list(shape)) for tensor in (takes, gives)]
    return of_graph(helper.make_graph([node], operator, tensors[:1], tensors[1:]))


def in_function() -> oh.Model:
    """A call in a function, which is called twice, the second time with what the first gave."""
    proto = remote().to_proto()
    (node,) = proto.graph.node
    inner = helper.make_function(
        "lib", "ask", ["x"], ["y"], [node], [helper.make_opsetid("ai.onnxhybrid", 1)],
        value_info=[helper.make_tensor_value_info("y", FLOAT, ["n", 3])],
    )  # fmt: skip
    proto.functions.append(inner)
    del proto.graph.node[:]
    proto.graph.node.add(op_type="ask", domain="lib", input=["x"], output=["middle"])
    proto.graph.node.add(op_type="ask", domain="lib", input=["middle"], output=["y"])
    proto.graph.value_info.append(helper.make_tensor_value_info("middle", FLOAT, ["n", 3]))
    proto.opset_import.append(helper.make_opsetid("lib", 1))
    return oh.Model.from_proto(proto)


def unnamed() -> oh.Model:
    specs = [oh.TensorSpec(tensor, "float32", (None, 3)) for tensor in "xy"]
    return oh.remote.triton(NOWHERE, "m", inputs=specs[:1], outputs=specs[1:])


def beside(size: Any, rows: Any, url: str = NOWHERE) -> oh.Model:
    """A call that sends x, of `n` rows, and w, whose first size has another name; its answer has `rows`."""
    sizes = {"x": "n", "w": size, "y": rows}
    x, w, y = (oh.TensorSpec(tensor, "float32", (size, 3)) for tensor, size in sizes.items())
    return oh.remote.triton(url, "m", inputs=[x, w], outputs=[y])


SLICED: dict[str, Callable[[], oh.Model]] = {
    "a call": remote,
    "a call whose rows have no name": unnamed,
    "a call with a table that all rows share": lambda: beside("m", "n"),
    "a call with a table of a fixed size": lambda: beside(5, "n"),
    "a call behind a local part": lambda: oh.chain(local_part("Relu", "x", "r"), called("one", "r", "y")),
    "a call before a local part": lambda: oh.chain(called("one", "x", "r"), local_part("Relu", "r", "y")),
    "two calls": lambda: oh.chain(called("one", "x", "r"), called("two", "r", "y")),
    "two calls around a local part": lambda: oh.chain(
        called("one", "x", "r"), local_part("Neg", "r", "s"), called("two", "s", "y")
    ),
    "a call with a fallback": lambda: oh.fallback(remote(on_error="flag"), scaled("backup", 2)),
    "a call as the fallback": lambda: oh.fallback(remote(on_error="flag"), remote(name="other")),
    "overlapped calls": lambda: oh.overlap(oh.chain(called("one", "x", "r"), called("two", "r", "y"))),
    "a cascade of whole batches": lambda: oh.cascade(scaled("inner", 2), remote(), accept=POSITIVE),
    "a cascade by rows": lambda: cascade(remote()),
    "one of two": lambda: oh.switch("c", then=remote(), else_=oh.chain(
        local_part("Relu", "x", "r"), called("one", "r", "y"))),
    "a call in a function": in_function,
}  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"speculate": True}])
@pytest.mark.parametrize("kind", SLICED)
def test_a_call_that_sends_the_rows_is_bounded_wherever_it_is(kind: str, how: Any) -> None:
    part = SLICED[kind]()
    before = part.to_proto().SerializeToString(deterministic=True)
    found = bounds(cascade(part, **how))
    assert found
    assert set(found) == {(ROWS, BYTES)}
    assert part.to_proto().SerializeToString(deterministic=True) == before


def around(before: str, inner: Any, after: str, middle: oh.Model, **inputs: Array) -> oh.Model:
    """`middle`, from `t` to `u` of the shape `inner`, between two local operators that read x and u."""
    weights = [numpy_helper.from_array(value, name) for name, value in inputs.items()]
    parts = []
    for operator, (takes, gives), shapes in (
        (before, "xt", (("n", 3), inner)),
        (after, "uy", (inner, ("n", 3))),
    ):
        name, _, more = operator.partition(" ")
        tensors = [
            helper.make_tensor_value_info(tensor, FLOAT, shape)
            for tensor, shape in zip((takes, gives), shapes, strict=True)
        ]
        used = [weight for weight in weights if weight.name == more]
        node = helper.make_node(name, [takes, *(weight.name for weight in used)], [gives])
        parts.append(of_graph(helper.make_graph([node], name, tensors[:1], tensors[1:], used)))
    return oh.chain(parts[0], middle, parts[1])


def between(shape: Any, **options: Any) -> oh.Model:
    specs = [oh.TensorSpec(tensor, "float32", shape) for tensor in "tu"]
    return oh.remote.triton(NOWHERE, "m", inputs=specs[:1], outputs=specs[1:], **options)


def columns() -> oh.Model:
    """The call gets columns where others get rows."""
    return around("Transpose", (3, "n"), "Transpose", between((None, None)))


def elements() -> oh.Model:
    """The call gets each number as a row of its own."""
    flat, back = np.array([-1], np.int64), np.array([-1, 3], np.int64)
    return around("Reshape flat", (None,), "Reshape back", between(("m",)), flat=flat, back=back)


def for_both() -> oh.Model:
    """A function with a call, which gets rows once and columns once."""
    proto = in_function().to_proto()
    second = proto.graph.node[1]
    second.input[0], second.output[0] = "turned", "other"
    proto.graph.node.insert(1, helper.make_node("Transpose", ["middle"], ["turned"]))
    proto.graph.node.append(helper.make_node("Transpose", ["other"], ["back"]))
    proto.graph.node.append(helper.make_node("Add", ["middle", "back"], ["y"]))
    proto.graph.value_info.append(helper.make_tensor_value_info("other", FLOAT, None))
    proto.opset_import.append(helper.make_opsetid("", 17))
    return oh.Model.from_proto(proto)


def test_what_a_branch_calls_rows_is_nothing_of_that_name_in_another() -> None:
    calls = [called(name, *tensors).to_proto().graph.node[0] for name, tensors in (
        ("one", ("x", "t")), ("two", ("t", "u")), ("three", ("t", "v")))]  # fmt: skip
    turned = helper.make_node("Transpose", ["x"], ["t"])
    declared = [helper.make_tensor_value_info("t", FLOAT, None)]
    branches = {
        "then_branch": helper.make_graph(calls[:2], "then", [], [floats("u")], value_info=declared),
        "else_branch": helper.make_graph([turned, calls[2]], "else", [], [floats("v")], value_info=declared),
    }
    given = [helper.make_tensor_value_info("c", TensorProto.BOOL, []), floats("x")]
    node = helper.make_node("If", ["c"], ["y"], **branches)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
    proto = helper.make_model(helper.make_graph([node], "g", given, [floats("y")]), opset_imports=opsets, ir_version=8)
    assert bounds(cascade(oh.Model.from_proto(proto)))[2] == (None, None)


def floats(name: str) -> Any:
    return helper.make_tensor_value_info(name, FLOAT, ["n", 3])


AS_THEY_ARE: dict[str, tuple[Callable[[], oh.Model], tuple[int | None, int | None]]] = {
    "a bound of its own": (lambda: remote(batch=7), (7, None)),
    "the word that it has none": (lambda: remote(batch=0), (0, None)),
    "columns": (columns, (None, None)),
}


@pytest.mark.parametrize("kind", AS_THEY_ARE)
def test_a_call_that_has_its_own_bound_or_sends_other_things_than_the_rows_stays_as_it_is(kind: str) -> None:
    part, expected = AS_THEY_ARE[kind]
    assert set(bounds(cascade(part()))) == {expected}


@pytest.mark.parametrize("behind", [False, True], ids=["as it is", "behind a local part"])
def test_where_rows_would_go_along_whole_with_each_slice_there_is_one_request(behind: bool) -> None:
    """They have a name of their own at the remote model, and the cascade cuts them all the same."""
    values = [helper.make_tensor_value_info(tensor, FLOAT, ["n", 3]) for tensor in ("x", "w", "y")]
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    small = of_graph(helper.make_graph(nodes, "small", values[:2], values[2:]))
    nodes = [helper.make_node("Sub", ["x", "w"], ["y"])]
    large = of_graph(helper.make_graph(nodes, "large", values[:2], values[2:]))
    with serve({"m": large}) as server:
        part = beside("m", None, server.url)
        if behind:
            part = oh.chain(
                local_part("Neg", "w", "v", ("m", 3)), local_part("Neg", "v", "u", ("m", 3)), part.rename({"w": "u"})
            )
        hybrid = oh.cascade(small, part, accept=NONE, rows=True)
        x, w = (np.arange(3 * ROWS * 3, dtype=np.float32).reshape(-1, 3) * factor for factor in (2, 1))
        (y,) = oh.Session(hybrid).run(["y"], {"x": x, "w": w})
    np.testing.assert_array_equal(y, x - w)


def test_nothing_is_said_of_rows_where_nobody_vouched_for_them() -> None:
    assert bounds(remote()) == [(None, None)]
    assert bounds(oh.cascade(scaled("local", 1), remote(), accept=POSITIVE)) == [(None, None)]
    assert bounds(oh.fallback(remote(on_error="flag"), scaled("backup", 2))) == [(None, None)]


def test_a_chat_is_sent_row_by_row_anyway() -> None:
    texts = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in ("prompt", "text")]
    numbers = helper.make_tensor_value_info("sure", FLOAT, ["n"])
    nodes = [helper.make_node("Identity", ["prompt"], ["text"]), helper.make_node("Identity", ["score"], ["sure"])]
    score = helper.make_tensor_value_info("score", FLOAT, ["n"])
    local = of_graph(helper.make_graph(nodes, "local", [texts[0], score], [texts[1], numbers]))
    hybrid = oh.cascade(local, oh.remote.openai_chat("m"), accept=oh.judge.value("sure") >= 0.5, rows=True)
    assert bounds(hybrid) == [(None, None)]


# -- embeddings --------------------------------------------------------------------------------------------------------


def embed(connection: Any, request: bytes) -> None:
    """A vector of one number for each text: its length."""
    texts = json.loads(request.partition(b"\r\n\r\n")[2])["input"]
    data = [{"index": place, "embedding": [float(len(text))]} for place, text in enumerate(texts)]
    answer(json.dumps({"data": data}).encode())(connection, request)


@pytest.mark.parametrize("lengths", [[1] * 5000, [100] * 5000, [200_000, 100_000, 5, 300_000, 7]])
def test_embeddings_are_asked_for_as_their_services_take_them(lengths: list[int]) -> None:
    text = np.array(["x" * length for length in lengths], object)
    with raw_server(embed) as server:
        (vectors,) = oh.Session(oh.remote.openai_embeddings("m", url=server.url, auth=None)).run(None, {"text": text})
        heard = [json.loads(request.partition(b"\r\n\r\n")[2])["input"] for request in server.requests]
        assert vectors[:, 0].tolist() == lengths
        assert all(len(texts) <= 2048 for texts in heard)
        assert all(len(texts) == 1 or sum(map(len, texts)) <= 300_000 for texts in heard)
        assert sum(map(len, heard)) == len(lengths)
        server.requests.clear()
        whole = oh.remote.openai_embeddings("m", url=server.url, auth=None, batch=0)
        oh.Session(whole).run(None, {"text": text})
        assert len(server.requests) == 1


def test_azure_takes_as_many() -> None:
    azure = oh.remote.azure_openai_embeddings("https://r.openai.azure.com", "d", api_version="v1")
    assert bounds(azure) == bounds(oh.remote.openai_embeddings("m")) == [(2048, 1 << 18)]
    assert bounds(oh.remote.openai_embeddings("m", batch=10)) == [(10, None)]


def test_of_texts_that_cannot_all_be_sent_none_is() -> None:
    """They are paid for one by one."""
    bodies = [json.dumps({"model": "m", "messages": []})] * 39 + ["no JSON"]
    with raw_server(embed) as server:
        chat = oh.remote.openai_chat("m", url=server.url, auth=None, raw=True)
        with pytest.raises(oh.ProtocolError, match=r"OH509.*row 39: "):
            oh.Session(chat).run(None, {"prompt": np.array(bodies, object)})
        assert not server.requests


# -- bounds in bytes ---------------------------------------------------------------------------------------------------

KINDS = {"float32": TensorProto.FLOAT, "bool": TensorProto.BOOL, "int64": TensorProto.INT64, "str": TensorProto.STRING}


def pair(url: str, dtype: str, **bounds: int) -> oh.Model:
    """Two inputs of a type, one output each, which is its input; with attributes of the node."""
    specs = [oh.TensorSpec(name, dtype, shape) for name, shape in (("a", ("n", 2)), ("b", ("n",)))]
    results = [oh.TensorSpec(f"{spec.name}_out", dtype, spec.shape) for spec in specs]
    proto = oh.remote.triton(url, dtype, inputs=specs, outputs=results, retries=0).to_proto()
    proto.graph.node[0].attribute.extend(helper.make_attribute(name, value) for name, value in bounds.items())
    return oh.Model.from_proto(proto)


def same(dtype: str) -> oh.Model:
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in "ab"]
    inputs = [
        helper.make_tensor_value_info("a", KINDS[dtype], ["n", 2]),
        helper.make_tensor_value_info("b", KINDS[dtype], ["n"]),
    ]
    outputs = [helper.make_tensor_value_info(f"{value.name}_out", KINDS[dtype], None) for value in inputs]
    return of_graph(helper.make_graph(nodes, "same", inputs, outputs))


@pytest.fixture(scope="module")
def same_url() -> Iterator[str]:
    with serve({dtype: same(dtype) for dtype in KINDS}) as server:
        yield server.url


def some(dtype: str, rows: int, seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 200, (rows, 3))
    if dtype == "str":
        texts = np.array([["é" * random.integers(0, 9) for _ in row] for row in numbers], object).reshape(rows, 3)
        return {"a": texts[:, :2], "b": texts[:, 2]}
    return {"a": numbers[:, :2].astype(dtype), "b": numbers[:, 2].astype(dtype)}


@settings(max_examples=80)
@given(
    dtype=st.sampled_from(sorted(KINDS)), rows=st.integers(0, 60), batch=st.integers(0, 20),
    most=st.integers(0, 400), seed=st.integers(0, 99), overlapped=st.booleans(),
)  # fmt: skip
def test_whatever_bounds_a_request_the_answers_are_those_of_one(
    same_url: str, dtype: str, rows: int, batch: int, most: int, seed: int, overlapped: bool
) -> None:
    feeds = some(dtype, rows, seed)
    model = pair(same_url, dtype, batch=batch, batch_bytes=most)
    for found, fed in zip(
        oh.Session(oh.overlap(model) if overlapped else model).run(None, feeds), feeds.values(), strict=True
    ):
        assert found.dtype == fed.dtype
        np.testing.assert_array_equal(found, fed)


@settings(max_examples=30)
@given(rows=st.integers(2, 40), batch=st.integers(1, 9), most=st.integers(1, 200), bad=st.integers(0, 39))
def test_whichever_row_fails_the_message_names_rows_around_it(rows: int, batch: int, most: int, bad: int) -> None:
    x = np.ones((rows, 3), np.float32)
    x[bad % rows] = -7
    with raw_server(bad_row) as server:
        proto = remote(server.url, retries=0, batch=batch, binary=True).to_proto()
        proto.graph.node[0].attribute.append(helper.make_attribute("batch_bytes", most))
        with pytest.raises(oh.RemoteStatusError) as caught:
            oh.Session(oh.Model.from_proto(proto)).run(None, {"x": x})
    each = max(1, min(batch, most // 12))
    first = bad % rows // each * each
    last = min(first + each, rows) - 1
    told = f"row {first}:" if first == last else f"rows {first} to {last}:"
    assert (told in str(caught.value)) == (rows > each)


@pytest.mark.parametrize(("name", "value"), [("batch_bytes", -1), ("batch_bytes", "2"), ("batch", "2")])
def test_a_bound_is_a_number(name: str, value: Any) -> None:
    proto = remote().to_proto()
    proto.graph.node[0].attribute.append(helper.make_attribute(name, value))
    assert [finding.code for finding in oh.validate(oh.Model.from_proto(proto)).errors] == ["OH301"]
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    with pytest.raises(Exception, match="OH301"):
        onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def test_what_cannot_be_cut_has_no_bound_in_bytes_either() -> None:
    specs = [oh.TensorSpec(tensor, "float32", (4, 3)) for tensor in "xy"]
    proto = oh.remote.triton(NOWHERE, "m", inputs=specs[:1], outputs=specs[1:]).to_proto()
    proto.graph.node[0].attribute.append(helper.make_attribute("batch_bytes", 100))
    (finding,) = oh.validate(oh.Model.from_proto(proto)).errors
    assert finding.code == "OH301"
    assert "batch_bytes is 100" in finding.message

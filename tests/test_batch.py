"""`batch=`: a batch goes out in requests of so many rows, side by side, and comes back as one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.servers.raw import answer, raw_server
from tests.strategies import of_graph

KINDS = {
    "float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "bool": TensorProto.BOOL, "str": TensorProto.STRING,
    "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8,
}  # fmt: skip


def same(dtype: str) -> oh.Model:
    """Two inputs of a type, one output each, which is its input."""
    kind = KINDS[dtype]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in ("a", "b")]
    inputs = [helper.make_tensor_value_info("a", kind, ["n", 2]), helper.make_tensor_value_info("b", kind, ["n"])]
    outputs = [
        helper.make_tensor_value_info("a_out", kind, ["n", 2]), helper.make_tensor_value_info("b_out", kind, ["n"])
    ]  # fmt: skip
    return of_graph(helper.make_graph(nodes, "same", inputs, outputs))


def lengths() -> oh.Model:
    """Embeds a text as float32[1, 2], the same for each; the endpoint serves it as embeddings."""
    nodes = [
        helper.make_node("Shape", ["text"], ["rows"]),
        helper.make_node("Concat", ["rows", "two"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["embedding"]),
    ]
    return of_graph(
        helper.make_graph(
            nodes, "lengths", [helper.make_tensor_value_info("text", TensorProto.STRING, ["n"])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 2])],
            [helper.make_tensor("two", TensorProto.INT64, [1], [2])],
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve({**{f"same_{dtype}": same(dtype) for dtype in KINDS}, "lengths": lengths()}) as server:
        yield server.url


def feeds_of(dtype: str, rows: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    numbers = np.random.default_rng(seed).integers(0, 200, (rows, 3))
    if dtype == "str":
        texts = np.array([[f"é{number}\0" for number in row] for row in numbers], object).reshape(rows, 3)
        return {"a": texts[:, :2], "b": texts[:, 2]}
    kind = np.dtype(dtype)
    return {"a": numbers[:, :2].astype(kind), "b": numbers[:, 2].astype(kind)}


def sliced(url: str, dtype: str, **options: Any) -> oh.Model:
    inputs = [oh.TensorSpec("a", dtype, ("n", 2)), oh.TensorSpec("b", dtype, ("n",))]
    outputs = [oh.TensorSpec("b_out", dtype, ("n",)), oh.TensorSpec("a_out", dtype, ("n", 2))]
    return oh.remote.triton(url, f"same_{dtype}", inputs=inputs, outputs=outputs, **options)


@settings(max_examples=60)
@given(dtype=st.sampled_from(sorted(KINDS)), rows=st.integers(0, 40), batch=st.integers(1, 50), seed=st.integers(0, 99))
def test_slices_give_what_one_request_gives(url: str, dtype: str, rows: int, batch: int, seed: int) -> None:
    feeds = feeds_of(dtype, rows, seed)
    whole = oh.Session(sliced(url, dtype)).run(None, feeds)
    for model in (sliced(url, dtype, batch=batch), oh.overlap(sliced(url, dtype, batch=batch))):
        session = oh.Session(model)
        for one, other in zip(whole, session.run(None, feeds), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_a_file_is_cut_in_a_session_that_nobody_prepared(url: str, tmp_path: Any) -> None:
    sliced(url, "int64", batch=3).save(tmp_path / "m.onnx")
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", options, providers=["CPUExecutionProvider"])
    feeds = feeds_of("int64", 10, 0)
    np.testing.assert_array_equal(session.run(["a_out"], feeds)[0], feeds["a"])


def embeddings(server: Any, **options: Any) -> oh.Model:
    return oh.remote.openai_embeddings("m", url=server.url + "/v1", auth=None, retries=0, **options)


def embed(connection: Any, request: bytes) -> None:
    texts = json.loads(request.partition(b"\r\n\r\n")[2])["input"]
    if len(texts) > 10:
        return answer(b'{"error": {"message": "at most 10 inputs"}}', status="400 Bad Request")(connection, request)
    if "bad" in texts:
        return answer(b'{"error": {"message": "a bad text"}}', status="422 Unprocessable Content")(connection, request)
    data = [{"index": place, "embedding": [float(text)]} for place, text in enumerate(texts)]
    return answer(json.dumps({"data": data}).encode())(connection, request)


def test_a_service_that_takes_ten_rows_gets_ten_at_most_and_the_order_is_kept() -> None:
    with raw_server(embed) as server:
        text = np.array([str(number) for number in range(25)])
        session = oh.Session(embeddings(server, batch=10))
        (vectors,) = session.run(None, {"text": text})
        assert vectors[:, 0].tolist() == list(range(25))
        assert sorted(len(json.loads(request.partition(b"\r\n\r\n")[2])["input"]) for request in server.requests) == [
            5, 10, 10
        ]  # fmt: skip
        with pytest.raises(oh.RemoteStatusError, match="at most 10 inputs"):
            oh.Session(embeddings(server)).run(None, {"text": text})
        assert session.run(None, {"text": text[:0]})[0].shape[0] == 0


def test_a_slice_that_fails_fails_the_call_and_says_which_rows() -> None:
    text = np.array([str(number) for number in range(12)] + ["bad"] + ["1"] * 5)
    with raw_server(embed) as server:
        with pytest.raises(oh.RemoteStatusError, match=r"rows 10 to 17: .*a bad text"):
            oh.Session(embeddings(server, batch=10)).run(None, {"text": text})
        flagged = oh.Session(embeddings(server, batch=10, on_error="flag"))
        vectors, ok, status, error = flagged.run(None, {"text": text})
    assert (vectors.shape[0], bool(ok), int(status)) == (0, False, 422)
    assert "rows 10 to 17" in str(error)


def test_slices_wait_side_by_side_and_within_max_concurrency() -> None:
    under_way, most, lock = [0], [0], threading.Lock()
    arrived = threading.Barrier(3, timeout=20)

    def behave(connection: Any, request: bytes) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        arrived.wait()  # three at a time, or none is answered
        with lock:
            under_way[0] -= 1
        embed(connection, request)

    with raw_server(behave) as server:
        session = oh.Session(embeddings(server, batch=2), policy=oh.Policy(max_concurrency=3))
        session.run(None, {"text": np.array(["1"] * 12)})
        assert (len(server.requests), most[0]) == (6, 3)


def test_what_has_no_rows_goes_along_whole(url: str) -> None:
    inputs = [oh.TensorSpec("x", "float32", ("n", 2)), oh.TensorSpec("scale", "float32", (2,))]
    scaled = [
        helper.make_node("Mul", ["x", "scale"], ["y"]),
    ]
    graph = helper.make_graph(
        scaled, "scaled", [spec.to_value_info() for spec in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )  # fmt: skip
    with serve({"scaled": of_graph(graph)}) as server:
        outputs = [oh.TensorSpec("y", "float32", ("n", 2))]
        model = oh.remote.triton(server.url, "scaled", inputs=inputs, outputs=outputs, batch=2)
        x, scale = np.arange(10, dtype=np.float32).reshape(5, 2), np.array([2, 3], np.float32)
        np.testing.assert_array_equal(oh.Session(model).run(None, {"x": x, "scale": scale})[0], x * scale)


F = "float32"


@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "says"),
    [
        ([("x", F, (4, 2))], [("y", F, ("n",))], {}, "no input has a first size"),
        ([("x", F, ())], [("y", F, ("n",))], {}, "no input has a first size"),
        ([("x", F, ("n",))], [("y", F, (4,))], {}, "output 'y'"),
        ([("x", F, ("n",))], [("y", F, ())], {}, "output 'y'"),
        ([("x", F, ("n",))], [("y", F, ("m",))], {}, "output 'y'"),
        ([("x", "uint8", ("bytes",))], [("y", F, ("bytes",))], {"bytes": ["x"]}, "no input has a first size"),
        ([("x", F, ("n",)), ("z", "uint8", ("k",))], [("z2", "uint8", ("k",))], {"bytes": ["z", "z2"]}, "output 'z2'"),
    ],
)
def test_what_cannot_be_cut_is_refused(inputs: Any, outputs: Any, options: Any, says: str) -> None:
    taken, given_ = ([oh.TensorSpec(*spec) for spec in side] for side in (inputs, outputs))
    with pytest.raises(oh.ModelError, match=rf"OH304.*batch is 2.*{says}"):
        oh.remote.triton("http://127.0.0.1:9", "m", inputs=taken, outputs=given_, batch=2, **options)
    model = oh.remote.triton("http://127.0.0.1:9", "m", inputs=taken, outputs=given_, **options).to_proto()
    model.graph.node[0].attribute.append(helper.make_attribute("batch", 2))
    stranger = oh.Model.from_proto(model)
    assert [finding.code for finding in oh.validate(stranger).errors] == ["OH301"]
    options_ = onnxruntime.SessionOptions()
    options_.register_custom_ops_library(oh.library_path())
    with pytest.raises(Exception, match="OH301"):  # as from a language without this package's checks
        onnxruntime.InferenceSession(model.SerializeToString(), options_, providers=["CPUExecutionProvider"])


def test_audio_is_not_cut_and_a_chat_is_cut_already() -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*what openai.audio sends has no rows"):
        oh.remote.openai_audio(batch=2)
    assert oh.validate(oh.remote.openai_chat("m", batch=2))


@pytest.mark.parametrize("batch", [-1, 1.5, True, "2", 2**32])
def test_a_batch_is_a_number_of_rows(batch: Any) -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*batch"):
        oh.remote.openai_embeddings("m", batch=batch)


def test_inputs_that_differ_in_their_rows_are_not_sent() -> None:
    inputs = [oh.TensorSpec("x", F, (None,)), oh.TensorSpec("z", F, (None,))]
    with raw_server(answer(b"{}")) as server:
        model = oh.remote.triton(server.url, "m", inputs=inputs, outputs=[oh.TensorSpec("y", F, (None,))], batch=2)
        with pytest.raises(oh.ProtocolError, match=r"OH509.*differ in their number of rows"):
            oh.Session(model).run(None, {"x": np.zeros(4, np.float32), "z": np.zeros(3, np.float32)})
        assert not server.requests


def test_an_answer_of_other_rows_than_its_slice_is_an_error() -> None:
    """All slices together would have as many rows as were asked for."""
    counts = iter([1, 3])
    lock = threading.Lock()

    def behave(connection: Any, request: bytes) -> None:
        with lock:
            count = next(counts)
        rows = json.dumps({"y": [1.0] * count}).encode()
        answer(rows)(connection, request)

    with raw_server(behave) as server:
        spec = [oh.TensorSpec("x", F, ("n",))], [oh.TensorSpec("y", F, ("n",))]
        model = oh.remote.azureml(server.url, inputs=spec[0], outputs=spec[1], auth=None, retries=0, batch=2)
        with pytest.raises(oh.ProtocolError, match=r"OH506.*rows \d to \d.*2 rows were asked for"):
            oh.Session(model).run(None, {"x": np.zeros(4, np.float32)})

"""Our operator against the real Triton server over HTTP and gRPC, with the official clients as the oracle beside it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime as ort
import pytest
import tritonclient.grpc
import tritonclient.http
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.documented import built, code
from tests.servers.triton import TritonServer

Array = np.ndarray[Any, Any]

# The datatype on the wire, its name in a TensorSpec, and values that a wrong width, sign or order would spoil.
SAMPLES: dict[str, tuple[str, Array]] = {
    "BOOL": ("bool", np.array([[True, False, True], [False, True, False]])),
    **{
        np.dtype(name).name.upper(): (name, np.array([[0, 1, np.iinfo(name).max], [np.iinfo(name).min, 2, 77]], name))
        for name in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
    },
    **{
        wire: (name, np.array([[0.0, -0.0, np.finfo(name).max], [np.inf, np.nan, -1.5]], name))
        for wire, name in (("FP16", "float16"), ("FP32", "float32"), ("FP64", "float64"))
    },
    "BYTES": ("str", np.array([["", "plain", "naïve"], ["日本語", "🙂\n\t", "x" * 5000]], object)),
}
# Exact in bfloat16, so that casts there and back are the identity.
EXACT = np.array([[0.0, -0.0, 2.0**127], [np.inf, np.nan, -1.5]], np.float32)
SAMPLES["BF16"] = ("bfloat16", EXACT.astype(ml_dtypes.bfloat16))

wires = pytest.mark.parametrize("wire", SAMPLES)


def identity(url: str, wire: str, dtype: str) -> oh.Model:
    """The server's identity on one datatype; its metadata lists all of them, so the specs are given."""
    inputs = [oh.TensorSpec(f"IN_{wire}", dtype, (None, None))]
    outputs = [oh.TensorSpec(f"OUT_{wire}", dtype, (None, None))]
    return oh.remote.triton(url, "identity", inputs=inputs, outputs=outputs)


def cast(source: str, target: str, to: int) -> oh.Model:
    """A local model of one Cast between float32 and bfloat16, which numpy has no type for."""
    other = TensorProto.FLOAT if to == TensorProto.BFLOAT16 else TensorProto.BFLOAT16
    graph = helper.make_graph(
        [helper.make_node("Cast", [source], [target], to=to)],
        "cast",
        [helper.make_tensor_value_info(source, other, [None, None])],
        [helper.make_tensor_value_info(target, to, [None, None])],
    )
    return oh.Model.from_proto(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]))


def run(model: oh.Model, **feeds: Array) -> list[Array]:
    return oh.Session(model).run(None, feeds)


@pytest.fixture(scope="session", params=["http", "grpc"])
def url(triton: TritonServer, request: pytest.FixtureRequest) -> str:
    """The server's address for each protocol in turn."""
    return triton.http_url if request.param == "http" else triton.grpc_url


def ask_official(url: str, model: str, feeds: dict[str, tuple[str, Array]], output: str) -> Array:
    """One call of the official client of the URL's protocol; feeds are {name: (wire datatype, values)}."""
    scheme, _, address = url.partition("://")
    official = {"http": tritonclient.http, "grpc": tritonclient.grpc}[scheme]
    inputs = []
    for name, (wire, values) in feeds.items():
        inputs.append(official.InferInput(name, list(values.shape), wire))
        inputs[-1].set_data_from_numpy(values)
    with official.InferenceServerClient(address) as client:
        answer = client.infer(model, inputs, outputs=[official.InferRequestedOutput(output)])
        return np.array(answer.as_numpy(output))


def status(url: str, http: int, grpc: int) -> int:
    """What `.status` is over the URL's protocol."""
    return grpc if url.startswith("grpc") else http


def assert_same(ours: Array, expected: Array) -> None:
    assert ours.shape == expected.shape
    assert ours.dtype == expected.dtype
    # NaN and the sign of zero count too
    assert ours.tolist() == expected.tolist() if ours.dtype == object else ours.tobytes() == expected.tobytes()


@wires
def test_every_datatype_comes_back_as_it_was_sent(url: str, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    [answer] = run(identity(url, wire, dtype), **{f"IN_{wire}": values})
    assert_same(answer, values)


@wires
def test_every_datatype_is_what_the_official_client_gets(url: str, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    expected = ask_official(url, "identity", {f"IN_{wire}": (wire, values)}, f"OUT_{wire}")
    if wire == "BYTES":
        expected = np.vectorize(bytes.decode, otypes=[object])(expected)
    [answer] = run(identity(url, wire, dtype), **{f"IN_{wire}": values})
    assert_same(answer, expected)


@wires
def test_an_empty_tensor_keeps_its_datatype_and_shape(url: str, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    [answer] = run(identity(url, wire, dtype), **{f"IN_{wire}": values[:0]})
    assert_same(answer, values[:0])


def test_bfloat16_travels_between_casts_from_and_to_float32(url: str) -> None:
    hybrid = oh.chain(
        cast("x", "IN_BF16", TensorProto.BFLOAT16),
        identity(url, "BF16", "bfloat16"),
        cast("OUT_BF16", "y", TensorProto.FLOAT),
    )
    [answer] = run(hybrid, x=EXACT)
    assert_same(answer, EXACT)


def test_all_datatypes_travel_in_one_call(url: str) -> None:
    # Python gives ONNX Runtime bfloat16 or strings, but not both in one run: here a Cast makes the former.
    everything = oh.remote.triton(url, "identity")
    hybrid = oh.chain(cast("x", "IN_BF16", TensorProto.BFLOAT16), everything, cast("OUT_BF16", "y", TensorProto.FLOAT))
    sent = {wire: values for wire, (_, values) in SAMPLES.items() if wire != "BF16"}
    feeds = {"x": EXACT} | {f"IN_{wire}": values for wire, values in sent.items()}
    answers = oh.Session(hybrid).run(["y", *(f"OUT_{wire}" for wire in sent)], feeds)
    for answer, expected in zip(answers, [EXACT, *sent.values()], strict=True):
        assert_same(answer, expected)


def test_the_server_says_what_a_model_takes_and_gives(url: str) -> None:
    model = oh.remote.triton(url, "identity")
    names = {wire: dtype for wire, (dtype, _) in SAMPLES.items()}
    assert {spec.name: spec.dtype for spec in model.inputs} == {f"IN_{wire}": dtype for wire, dtype in names.items()}
    assert {spec.name: spec.dtype for spec in model.outputs} == {f"OUT_{wire}": dtype for wire, dtype in names.items()}
    assert all(spec.shape is not None and len(spec.shape) == 2 for spec in model.inputs + model.outputs)


def test_a_batch_axis_is_discovered_and_may_have_any_size(url: str) -> None:
    model = oh.remote.triton(url, "batched")
    assert model.inputs[0].shape is not None
    assert model.inputs[0].shape[1:] == (4,)
    session = oh.Session(model)
    for rows in (1, 3, 8):
        x = np.random.default_rng(rows).random((rows, 4), np.float32)
        [y] = session.run(None, {"X": x})
        assert_same(y, np.stack([x.min(axis=1), x.max(axis=1)], axis=1))


def test_a_batch_larger_than_the_server_takes_is_an_error_with_its_message(url: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match="batch") as caught:
        run(oh.remote.triton(url, "batched"), X=np.zeros((9, 4), np.float32))
    assert caught.value.status == status(url, 400, 3)


def test_a_models_error_arrives_with_its_message(url: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match="the scales are empty: 42 % naïve") as caught:
        run(oh.remote.triton(url, "failing"), MESSAGE=np.array(["the scales are empty: 42 % naïve"], object))
    assert caught.value.code == "OH503"
    assert caught.value.status == status(url, 500, 13)
    assert caught.value.endpoint == url
    assert caught.value.attempts == 1


def test_a_line_break_in_an_error_stays_on_one_line(url: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match="first") as caught:
        run(oh.remote.triton(url, "failing"), MESSAGE=np.array(["first\nsecond\x1b[31m"], object))
    assert str(caught.value).isprintable()


def test_an_unknown_model_is_named_when_it_is_built(url: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match="absent"):
        oh.remote.triton(url, "absent")


def test_an_unknown_version_is_an_error(url: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match="version"):
        oh.remote.triton(url, "addf", version="9")


def test_a_version_can_be_asked_for(url: str) -> None:
    [z] = run(oh.remote.triton(url, "addf", version="1"), X=np.ones(2, "f4"), Y=np.ones(2, "f4"))
    assert_same(z, np.full(2, 2, "f4"))


@pytest.mark.parametrize(("dtype", "code"), [("float64", "OH505"), ("int32", "OH505"), ("str", "OH505")])
def test_an_output_of_another_type_than_declared_is_refused(url: str, dtype: str, code: str) -> None:
    inputs = [oh.TensorSpec(name, "float32", (None,)) for name in ("X", "Y")]
    outputs = [oh.TensorSpec("Z", dtype, (None,))]
    with pytest.raises(oh.ProtocolError) as caught:
        run(
            oh.remote.triton(url, "addf", inputs=inputs, outputs=outputs),
            X=np.ones(2, "f4"),
            Y=np.ones(2, "f4"),
        )
    assert caught.value.code == code


def test_an_output_of_another_shape_than_declared_is_refused(url: str) -> None:
    inputs = [oh.TensorSpec(name, "float32", (None,)) for name in ("X", "Y")]
    outputs = [oh.TensorSpec("Z", "float32", (3,))]
    with pytest.raises(oh.ProtocolError) as caught:
        run(
            oh.remote.triton(url, "addf", inputs=inputs, outputs=outputs),
            X=np.ones(2, "f4"),
            Y=np.ones(2, "f4"),
        )
    assert caught.value.code == "OH506"


def test_a_late_answer_ends_at_the_deadline(url: str) -> None:
    session = oh.Session(oh.remote.triton(url, "slow", timeout=0.4))
    start = time.monotonic()
    with pytest.raises(oh.RemoteTimeout) as caught:
        session.run(None, {"SECONDS": np.array([1.2], np.float32)})
    assert 0.3 < time.monotonic() - start < 2
    assert caught.value.code == "OH502"


def test_a_session_works_on_after_a_deadline(url: str) -> None:
    session = oh.Session(oh.remote.triton(url, "slow", timeout=1.5))
    with pytest.raises(oh.RemoteTimeout):
        session.run(None, {"SECONDS": np.array([2.5], np.float32)})
    [slept] = session.run(None, {"SECONDS": np.array([0.0], np.float32)})
    assert slept == [0.0]


def test_many_threads_of_one_session_each_get_their_own_answer(url: str) -> None:
    session = oh.Session(oh.remote.triton(url, "addf"))

    def call(seed: int) -> bool:
        x, y = np.random.default_rng(seed).random((2, 1 + seed % 300), np.float32)
        [z] = session.run(None, {"X": x, "Y": y})
        return np.array_equal(z, x + y)

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(call, range(640)))
    assert [stats.calls for stats in session.stats().values()] == [640]


def test_a_large_tensor_arrives_whole(url: str) -> None:
    x = np.random.default_rng(0).random(4_000_000, np.float32)
    [z] = run(oh.remote.triton(url, "addf"), X=x, Y=x)
    assert_same(z, x + x)


def test_a_plain_inference_session_runs_it(url: str, tmp_path: Any) -> None:
    path = tmp_path / "remote.onnx"
    oh.remote.triton(url, "addf").save(path)
    options = ort.SessionOptions()
    oh.register(options)
    session = ort.InferenceSession(str(path), options, providers=["AzureExecutionProvider", "CPUExecutionProvider"])
    [z] = session.run(None, {"X": np.ones(3, "f4"), "Y": np.ones(3, "f4")})
    assert_same(z, np.full(3, 2, "f4"))


def test_a_tensor_of_64_mb_arrives_whole(url: str) -> None:
    x = np.random.default_rng(1).random(16_000_000, np.float32)
    [z] = run(oh.remote.triton(url, "addf"), X=x, Y=x)
    assert_same(z, x + x)


def test_a_large_request_that_is_refused_is_told_in_the_words_of_the_server(url: str) -> None:
    specs = [oh.TensorSpec("X", "float32", (None,))], [oh.TensorSpec("Z", "float32", (None,))]
    session = oh.Session(oh.remote.triton(url, "absent", inputs=specs[0], outputs=specs[1]))
    for _ in range(3):
        with pytest.raises(oh.RemoteStatusError, match="absent"):
            session.run(None, {"X": np.zeros(4_000_000, "f4")})


def test_large_tensors_of_many_threads_arrive_whole(url: str) -> None:
    session = oh.Session(oh.remote.triton(url, "addf"))

    def call(seed: int) -> bool:
        x, y = np.random.default_rng(seed).random((2, 500_000), np.float32)
        [z] = session.run(None, {"X": x, "Y": y})
        return np.array_equal(z, x + y)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(32)))


def test_all_threads_of_a_session_share_one_grpc_connection(triton: TritonServer) -> None:
    session = oh.Session(oh.remote.triton(triton.grpc_url, "addf"))
    feeds = {"X": np.ones(3, "f4"), "Y": np.ones(3, "f4")}
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: session.run(None, feeds), range(100)))
    [stats] = session.stats().values()
    assert (stats.calls, stats.connections) == (100, 1)


def test_an_answer_larger_than_the_policy_allows_is_refused(url: str) -> None:
    session = oh.Session(oh.remote.triton(url, "addf"), policy=oh.Policy(max_response_bytes=1000))
    with pytest.raises(oh.ProtocolError) as caught:
        session.run(None, {"X": np.ones(1000, "f4"), "Y": np.ones(1000, "f4")})
    assert caught.value.code == "OH507"


def test_a_failure_can_be_data(url: str) -> None:
    model = oh.remote.triton(url, "failing", on_error="flag")
    never, ok, answered, error = run(model, MESSAGE=np.array(["no"], object))
    assert (never.size, ok.tolist(), answered.tolist()) == (0, False, status(url, 500, 13))
    assert str(error).startswith("[OH503]")


def test_a_success_has_its_status_as_data_too(url: str) -> None:
    model = oh.remote.triton(url, "addf", on_error="flag")
    _, ok, answered, error = run(model, X=np.ones(2, "f4"), Y=np.ones(2, "f4"))
    assert (ok.tolist(), answered.tolist(), error.tolist()) == (True, status(url, 200, 0), "")


@pytest.fixture(scope="module")
def addf(url: str) -> oh.Session:
    """One session for all examples of a property."""
    return oh.Session(oh.remote.triton(url, "addf"))


@pytest.fixture(scope="module")
def echo(url: str) -> oh.Session:
    """The identity on strings."""
    return oh.Session(identity(url, "BYTES", "str"))


@given(vectors=arrays.arrays(np.float32, st.tuples(st.just(2), st.integers(0, 64)), elements=st.floats(width=32)))
def test_any_vectors_have_the_sum_that_the_official_client_gets(url: str, addf: oh.Session, vectors: Array) -> None:
    x, y = vectors
    expected = ask_official(url, "addf", {"X": ("FP32", x), "Y": ("FP32", y)}, "Z")
    np.testing.assert_array_equal(addf.run(None, {"X": x, "Y": y})[0], expected, strict=True)


@given(text=arrays.arrays(object, arrays.array_shapes(min_dims=2, max_dims=2, min_side=0), elements=st.text()))
def test_any_text_comes_back_unchanged(echo: oh.Session, text: Array) -> None:
    assert_same(echo.run(None, {"IN_BYTES": text})[0], text)


PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF" + np.random.default_rng(0).bytes(200_000) + b"\x00\xff\x00"
"""Bytes as those of a JPEG: no UTF-8, with NUL in them and at their end; too many to be copied into a message."""


def official_bytes(url: str, data: bytes) -> tuple[bytes, bytes]:
    """What the official client gets for an image."""
    image = {"IMAGE": ("BYTES", np.array([data], object))}
    return tuple(bytes(ask_official(url, "blob", image, name)[0]) for name in ("SAME", "REVERSED"))  # type: ignore[return-value]


@pytest.mark.parametrize("data", [PHOTO, b"", b"\0", "日本".encode()], ids=["photo", "empty", "NUL", "text"])
@pytest.mark.parametrize("specs", ["asked", "given"])
def test_bytes_go_and_come_as_the_official_client_has_them(url: str, data: bytes, specs: str) -> None:
    names = ["IMAGE", "SAME", "REVERSED"]
    image, *outputs = (oh.TensorSpec(name, "uint8", (f"{name}_size",)) for name in names)
    given = {} if specs == "asked" else {"inputs": [image], "outputs": outputs}
    session = oh.Session(oh.remote.triton(url, "blob", bytes=names, **given))  # type: ignore[arg-type]
    same, reverse = session.run(["SAME", "REVERSED"], {"IMAGE": np.frombuffer(data, np.uint8)})
    assert (same.dtype, same.ndim) == (np.uint8, 1)
    assert (same.tobytes(), reverse.tobytes()) == (data, data[::-1]) == official_bytes(url, data)


def test_a_plain_session_sends_and_gets_bytes_too(url: str, tmp_path: Path) -> None:
    oh.remote.triton(url, "blob", bytes=["IMAGE", "SAME", "REVERSED"]).save(tmp_path / "blob.onnx")
    options = ort.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    same, _ = ort.InferenceSession(tmp_path / "blob.onnx", options).run(None, {"IMAGE": np.frombuffer(PHOTO, np.uint8)})
    assert same.tobytes() == PHOTO


def test_bytes_have_the_shape_that_the_server_wants(url: str) -> None:
    specs = [[oh.TensorSpec(name, "str", (None, 1))] for name in ("IN_BYTES", "OUT_BYTES")]
    names = ["IN_BYTES", "OUT_BYTES"]
    model = oh.remote.triton(url, "identity", inputs=specs[0], outputs=specs[1], bytes=names)
    assert [str(spec) for spec in model.inputs] == ["IN_BYTES: uint8[IN_BYTES_bytes]"]
    [answer] = run(model, IN_BYTES=np.frombuffer(PHOTO, np.uint8))
    assert answer.tobytes() == PHOTO


def test_bytes_that_come_as_text_are_an_error_that_says_how_to_take_them(url: str) -> None:
    session = oh.Session(oh.remote.triton(url, "blob", bytes=["IMAGE", "SAME"]))
    assert session.run(["SAME"], {"IMAGE": np.frombuffer(b"a\0b", np.uint8)})[0].tobytes() == b"a\0b"
    with pytest.raises(oh.ProtocolError, match=r'OH504.*"REVERSED" is no UTF-8.*bytes=\["REVERSED"\]'):
        session.run(None, {"IMAGE": np.frombuffer(PHOTO, np.uint8)})


@given(st.lists(st.text(), min_size=1, max_size=4), st.booleans())
def test_texts_as_tritonclient_s_users_write_them_arrive(url: str, texts: list[str], as_bytes: bool) -> None:
    feed = np.empty((1, len(texts)), object)
    feed[0] = [text.encode() if as_bytes else text for text in texts]
    [answer] = run(identity(url, "BYTES", "str"), IN_BYTES=feed)
    assert answer.tolist() == [texts]


def test_the_call_of_the_page_is_answered(triton: TritonServer) -> None:
    model = built(code("Triton"), "addf", triton.http_url)
    (z,) = run(model, X=np.array([1, 2], np.float32), Y=np.array([3, 4], np.float32))
    assert z.tolist() == [4, 6]

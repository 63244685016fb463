"""Our operator against the real Triton server, with the official client as the oracle beside it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime as ort
import pytest
import tritonclient.http as official
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper

import onnxhybrid as oh
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


def identity(server: TritonServer, wire: str, dtype: str) -> oh.Model:
    """The server's identity on one datatype; its metadata lists all of them, so the specs are given."""
    inputs = [oh.TensorSpec(f"IN_{wire}", dtype, (None, None))]
    outputs = [oh.TensorSpec(f"OUT_{wire}", dtype, (None, None))]
    return oh.remote.triton(server.http_url, "identity", inputs=inputs, outputs=outputs)


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


def ask_official(server: TritonServer, model: str, feeds: dict[str, tuple[str, Array]], output: str) -> Array:
    """One call of the official client; feeds are {name: (wire datatype, values)}."""
    client = official.InferenceServerClient(server.http_url.removeprefix("http://"))
    inputs = []
    for name, (wire, values) in feeds.items():
        inputs.append(official.InferInput(name, list(values.shape), wire))
        inputs[-1].set_data_from_numpy(values)
    answer = client.infer(model, inputs, outputs=[official.InferRequestedOutput(output)])
    return np.asarray(answer.as_numpy(output))


def assert_same(ours: Array, expected: Array) -> None:
    assert ours.shape == expected.shape
    assert ours.dtype == expected.dtype
    # NaN and the sign of zero count too
    assert ours.tolist() == expected.tolist() if ours.dtype == object else ours.tobytes() == expected.tobytes()


@wires
def test_every_datatype_comes_back_as_it_was_sent(triton: TritonServer, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    [answer] = run(identity(triton, wire, dtype), **{f"IN_{wire}": values})
    assert_same(answer, values)


@wires
def test_every_datatype_is_what_the_official_client_gets(triton: TritonServer, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    expected = ask_official(triton, "identity", {f"IN_{wire}": (wire, values)}, f"OUT_{wire}")
    if wire == "BYTES":
        expected = np.vectorize(bytes.decode, otypes=[object])(expected)
    [answer] = run(identity(triton, wire, dtype), **{f"IN_{wire}": values})
    assert_same(answer, expected)


@wires
def test_an_empty_tensor_keeps_its_datatype_and_shape(triton: TritonServer, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    [answer] = run(identity(triton, wire, dtype), **{f"IN_{wire}": values[:0]})
    assert_same(answer, values[:0])


def test_bfloat16_travels_between_casts_from_and_to_float32(triton: TritonServer) -> None:
    hybrid = oh.chain(
        cast("x", "IN_BF16", TensorProto.BFLOAT16),
        identity(triton, "BF16", "bfloat16"),
        cast("OUT_BF16", "y", TensorProto.FLOAT),
    )
    [answer] = run(hybrid, x=EXACT)
    assert_same(answer, EXACT)


def test_all_datatypes_travel_in_one_call(triton: TritonServer) -> None:
    # Python gives ONNX Runtime bfloat16 or strings, but not both in one run: here a Cast makes the former.
    everything = oh.remote.triton(triton.http_url, "identity")
    hybrid = oh.chain(cast("x", "IN_BF16", TensorProto.BFLOAT16), everything, cast("OUT_BF16", "y", TensorProto.FLOAT))
    sent = {wire: values for wire, (_, values) in SAMPLES.items() if wire != "BF16"}
    feeds = {"x": EXACT} | {f"IN_{wire}": values for wire, values in sent.items()}
    answers = oh.Session(hybrid).run(["y", *(f"OUT_{wire}" for wire in sent)], feeds)
    for answer, expected in zip(answers, [EXACT, *sent.values()], strict=True):
        assert_same(answer, expected)


def test_the_server_says_what_a_model_takes_and_gives(triton: TritonServer) -> None:
    model = oh.remote.triton(triton.http_url, "identity")
    names = {wire: dtype for wire, (dtype, _) in SAMPLES.items()}
    assert {spec.name: spec.dtype for spec in model.inputs} == {f"IN_{wire}": dtype for wire, dtype in names.items()}
    assert {spec.name: spec.dtype for spec in model.outputs} == {f"OUT_{wire}": dtype for wire, dtype in names.items()}
    assert all(spec.shape is not None and len(spec.shape) == 2 for spec in model.inputs + model.outputs)


def test_a_batch_axis_is_discovered_and_may_have_any_size(triton: TritonServer) -> None:
    model = oh.remote.triton(triton.http_url, "batched")
    assert model.inputs[0].shape is not None
    assert model.inputs[0].shape[1:] == (4,)
    session = oh.Session(model)
    for rows in (1, 3, 8):
        x = np.random.default_rng(rows).random((rows, 4), np.float32)
        [y] = session.run(None, {"X": x})
        assert_same(y, np.stack([x.min(axis=1), x.max(axis=1)], axis=1))


def test_a_batch_larger_than_the_server_takes_is_an_error_with_its_message(triton: TritonServer) -> None:
    with pytest.raises(oh.RemoteStatusError, match="batch") as caught:
        run(oh.remote.triton(triton.http_url, "batched"), X=np.zeros((9, 4), np.float32))
    assert caught.value.status == 400


def test_a_models_error_arrives_with_its_message(triton: TritonServer) -> None:
    with pytest.raises(oh.RemoteStatusError, match="the scales are empty: 42 % naïve") as caught:
        run(
            oh.remote.triton(triton.http_url, "failing"), MESSAGE=np.array(["the scales are empty: 42 % naïve"], object)
        )
    assert caught.value.code == "OH503"
    assert caught.value.status == 500
    assert caught.value.endpoint == triton.http_url
    assert caught.value.attempts == 1


def test_a_line_break_in_an_error_stays_on_one_line(triton: TritonServer) -> None:
    with pytest.raises(oh.RemoteStatusError, match="first") as caught:
        run(oh.remote.triton(triton.http_url, "failing"), MESSAGE=np.array(["first\nsecond\x1b[31m"], object))
    assert str(caught.value).isprintable()


def test_an_unknown_model_is_named_when_it_is_built(triton: TritonServer) -> None:
    with pytest.raises(oh.RemoteStatusError, match="absent"):
        oh.remote.triton(triton.http_url, "absent")


def test_an_unknown_version_is_an_error(triton: TritonServer) -> None:
    with pytest.raises(oh.RemoteStatusError, match="version"):
        oh.remote.triton(triton.http_url, "addf", version="9")


def test_a_version_can_be_asked_for(triton: TritonServer) -> None:
    [z] = run(oh.remote.triton(triton.http_url, "addf", version="1"), X=np.ones(2, "f4"), Y=np.ones(2, "f4"))
    assert_same(z, np.full(2, 2, "f4"))


@pytest.mark.parametrize(("dtype", "code"), [("float64", "OH505"), ("int32", "OH505"), ("str", "OH505")])
def test_an_output_of_another_type_than_declared_is_refused(triton: TritonServer, dtype: str, code: str) -> None:
    inputs = [oh.TensorSpec(name, "float32", (None,)) for name in ("X", "Y")]
    outputs = [oh.TensorSpec("Z", dtype, (None,))]
    with pytest.raises(oh.ProtocolError) as caught:
        run(
            oh.remote.triton(triton.http_url, "addf", inputs=inputs, outputs=outputs),
            X=np.ones(2, "f4"),
            Y=np.ones(2, "f4"),
        )
    assert caught.value.code == code


def test_an_output_of_another_shape_than_declared_is_refused(triton: TritonServer) -> None:
    inputs = [oh.TensorSpec(name, "float32", (None,)) for name in ("X", "Y")]
    outputs = [oh.TensorSpec("Z", "float32", (3,))]
    with pytest.raises(oh.ProtocolError) as caught:
        run(
            oh.remote.triton(triton.http_url, "addf", inputs=inputs, outputs=outputs),
            X=np.ones(2, "f4"),
            Y=np.ones(2, "f4"),
        )
    assert caught.value.code == "OH506"


def test_a_late_answer_ends_at_the_deadline(triton: TritonServer) -> None:
    session = oh.Session(oh.remote.triton(triton.http_url, "slow", timeout=0.4))
    start = time.monotonic()
    with pytest.raises(oh.RemoteTimeout) as caught:
        session.run(None, {"SECONDS": np.array([1.2], np.float32)})
    assert 0.3 < time.monotonic() - start < 2
    assert caught.value.code == "OH502"


def test_a_session_works_on_after_a_deadline(triton: TritonServer) -> None:
    session = oh.Session(oh.remote.triton(triton.http_url, "slow", timeout=1.5))
    with pytest.raises(oh.RemoteTimeout):
        session.run(None, {"SECONDS": np.array([2.5], np.float32)})
    [slept] = session.run(None, {"SECONDS": np.array([0.0], np.float32)})
    assert slept == [0.0]


def test_many_threads_of_one_session_each_get_their_own_answer(triton: TritonServer) -> None:
    session = oh.Session(oh.remote.triton(triton.http_url, "addf"))

    def call(seed: int) -> bool:
        x, y = np.random.default_rng(seed).random((2, 1 + seed % 300), np.float32)
        [z] = session.run(None, {"X": x, "Y": y})
        return np.array_equal(z, x + y)

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(call, range(640)))
    assert [stats.calls for stats in session.stats().values()] == [640]


def test_a_large_tensor_arrives_whole(triton: TritonServer) -> None:
    x = np.random.default_rng(0).random(4_000_000, np.float32)
    [z] = run(oh.remote.triton(triton.http_url, "addf"), X=x, Y=x)
    assert_same(z, x + x)


def test_a_plain_inference_session_runs_it(triton: TritonServer, tmp_path: Any) -> None:
    path = tmp_path / "remote.onnx"
    oh.remote.triton(triton.http_url, "addf").save(path)
    options = ort.SessionOptions()
    oh.register(options)
    session = ort.InferenceSession(str(path), options, providers=["AzureExecutionProvider", "CPUExecutionProvider"])
    [z] = session.run(None, {"X": np.ones(3, "f4"), "Y": np.ones(3, "f4")})
    assert_same(z, np.full(3, 2, "f4"))


@pytest.fixture(scope="module")
def addf(triton: TritonServer) -> oh.Session:
    """One session for all examples of a property."""
    return oh.Session(oh.remote.triton(triton.http_url, "addf"))


@pytest.fixture(scope="module")
def echo(triton: TritonServer) -> oh.Session:
    """The identity on strings."""
    return oh.Session(identity(triton, "BYTES", "str"))


@given(vectors=arrays.arrays(np.float32, st.tuples(st.just(2), st.integers(0, 64)), elements=st.floats(width=32)))
def test_any_vectors_have_the_sum_that_the_official_client_gets(
    triton: TritonServer, addf: oh.Session, vectors: Array
) -> None:
    x, y = vectors
    expected = ask_official(triton, "addf", {"X": ("FP32", x), "Y": ("FP32", y)}, "Z")
    np.testing.assert_array_equal(addf.run(None, {"X": x, "Y": y})[0], expected, strict=True)


@given(text=arrays.arrays(object, arrays.array_shapes(min_dims=2, max_dims=2, min_side=0), elements=st.text()))
def test_any_text_comes_back_unchanged(echo: oh.Session, text: Array) -> None:
    assert_same(echo.run(None, {"IN_BYTES": text})[0], text)

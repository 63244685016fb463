"""Our operator against the real MLServer over HTTP and gRPC, with the official client as the oracle beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

import onnxhybrid as oh
from tests.documented import built, code
from tests.servers.mlserver import MLServer, serve, unsupported

Array = np.ndarray[Any, Any]

# The datatype on the wire, its name in a TensorSpec, and values that a wrong width, sign or order would spoil.
SAMPLES: dict[str, tuple[str, Array]] = {
    "BOOL": ("bool", np.array([[True, False, True], [False, True, False]])),
    **{
        np.dtype(name).name.upper(): (name, np.array([[0, 1, np.iinfo(name).max], [np.iinfo(name).min, 2, 77]], name))
        for name in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
    },
    **{
        wire: (name, np.array([[0.0, -0.0, np.finfo(name).max], [0.1, np.finfo(name).smallest_subnormal, -1.5]], name))
        for wire, name in (("FP16", "float16"), ("FP32", "float32"), ("FP64", "float64"))
    },
    "BYTES": ("str", np.array([["", "plain", "naïve"], ["日本語", "🙂\n\t", "x" * 5000]], object)),
}

wires = pytest.mark.parametrize("wire", SAMPLES)


@pytest.fixture(scope="module")
def mlserver() -> Iterator[MLServer]:
    """The real MLServer with the models of tests/servers/mlserver.py."""
    if why := unsupported():
        pytest.skip(f"MLServer cannot run here: {why}")
    with serve() as server:
        yield server


@pytest.fixture(scope="module", params=["http", "grpc"])
def url(mlserver: MLServer, request: pytest.FixtureRequest) -> str:
    """The server's address for each protocol in turn."""
    return mlserver.http_url if request.param == "http" else mlserver.grpc_url


def remote(url: str, model: str, dtype: str, names: tuple[str, str] = ("x", "y"), **options: Any) -> oh.Model:
    inputs, outputs = ([oh.TensorSpec(name, dtype, (None, None))] for name in names)
    return oh.remote.triton(url, model, inputs=inputs, outputs=outputs, **options)


def run(model: oh.Model, **feeds: Array) -> Array:
    return np.asarray(oh.Session(model).run(None, feeds)[0])


def ask_official(url: str, model: str, name: str, wire: str, values: Array, output: str) -> Array:
    """One call of the official client of the URL's protocol, in the form that the server understands."""
    scheme, _, address = url.partition("://")
    if scheme == "http":
        tensor = tritonclient.http.InferInput(name, list(values.shape), wire)
        tensor.set_data_from_numpy(values, binary_data=False)
        wanted = [tritonclient.http.InferRequestedOutput(output, binary_data=False)]
        with tritonclient.http.InferenceServerClient(address) as client:
            return np.array(client.infer(model, [tensor], outputs=wanted).as_numpy(output))
    tensor = tritonclient.grpc.InferInput(name, list(values.shape), wire)
    tensor.set_data_from_numpy(values)
    with tritonclient.grpc.InferenceServerClient(address) as client:
        return np.array(client.infer(model, [tensor]).as_numpy(output))


def assert_same(ours: Array, expected: Array) -> None:
    assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)
    assert ours.tolist() == expected.tolist() if ours.dtype == object else ours.tobytes() == expected.tobytes()


@wires
def test_every_datatype_comes_back_as_it_was_sent(url: str, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    assert_same(run(remote(url, "identity", dtype, ("IN_X", "OUT_X")), IN_X=values), values)


# Over gRPC MLServer has no form for FP16, and its arrays of strings are of one length.
@pytest.mark.parametrize("wire", sorted(SAMPLES.keys() - {"FP16", "BYTES"}))
def test_every_number_goes_through_the_servers_own_arrays(url: str, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    assert_same(run(remote(url, "numbers", dtype), x=values), values)


@pytest.mark.parametrize("wire", ["BOOL", "INT8", "INT64", "UINT64", "FP32", "FP64"])
def test_an_answer_is_the_one_that_the_official_client_gets(url: str, wire: str) -> None:
    dtype, values = SAMPLES[wire]
    expected = ask_official(url, "numbers", "x", wire, values, "y")
    assert_same(run(remote(url, "numbers", dtype), x=values), expected)


def test_strings_are_read_and_written_by_the_server(url: str) -> None:
    texts = np.array([["naïve"], ["日本語"], [""]], object)
    assert run(remote(url, "texts", "str"), x=texts).tolist() == [["NAÏVE"], ["日本語"], [""]]


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_a_batch_has_any_number_of_rows(url: str, rows: int) -> None:
    x = np.random.default_rng(rows).random((rows, 4), np.float32)
    assert_same(run(remote(url, "numbers", "float32"), x=x), x)


def test_the_server_refuses_bytes_and_gets_json_after_that(mlserver: MLServer) -> None:
    session = oh.Session(remote(mlserver.http_url, "numbers", "float32"))
    x = np.full((2, 3), 0.1, np.float32)
    for _ in range(3):
        assert_same(session.run(None, {"x": x})[0], x)
    with pytest.raises(oh.RemoteStatusError, match="500"):
        run(remote(mlserver.http_url, "numbers", "float32", binary=True), x=x)


def test_a_models_error_arrives_with_its_message(url: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match="x is not what I expected"):
        run(remote(url, "failing", "float32"), x=np.zeros((1, 1), np.float32))


def test_an_unknown_model_is_named_in_the_servers_words(url: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match=r"Model absent .*not found"):
        run(remote(url, "absent", "float32"), x=np.zeros((1, 1), np.float32))


def test_settings_that_describe_the_model_are_what_it_takes_and_gives(url: str) -> None:
    model = oh.remote.triton(url, "described")
    assert list(map(str, (*model.inputs, *model.outputs))) == ["x: float32[?, 3]", "y: float32[?, 3]"]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert_same(run(model, x=x), x)


def test_a_model_that_the_settings_do_not_describe_has_to_be_described_by_the_caller(url: str) -> None:
    with pytest.raises(oh.ModelError, match=r"OH330.*'numbers'.*does not tell.*inputs= and outputs="):
        oh.remote.triton(url, "numbers")


def test_what_json_cannot_say_is_refused_both_ways_and_grpc_carries_it(mlserver: MLServer) -> None:
    nan, one = np.array([[np.nan, np.inf]], np.float32), np.ones((1, 1), np.float32)
    with pytest.raises(oh.RemoteError, match=r"OH509.*NaN"):
        run(remote(mlserver.http_url, "numbers", "float32"), x=nan)
    with pytest.raises(oh.ProtocolError, match=r"OH504.*null"):
        run(remote(mlserver.http_url, "strange", "float32"), x=one)
    assert_same(run(remote(mlserver.grpc_url, "identity", "float32", ("IN_X", "OUT_X")), IN_X=nan), nan)


def test_the_call_of_the_page_is_answered(mlserver: MLServer) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert_same(run(built(code("MLServer"), "numbers", mlserver.http_url), x=x), x)

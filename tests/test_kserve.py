"""Servers of KServe v2 that are not Triton: tensors as JSON, answers and metadata as they write them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import onnxhybrid as oh
from tests.endpoint_models import identity as local_identity
from tests.servers.jsononly import echo, hang_up, json_server
from tests.servers.raw import Behaviour, answer, raw_server, silence
from tests.servers.triton import TritonServer

Array = np.ndarray[Any, Any]

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def remote(url: str, dtype: str = "float32", model: str = "m", **options: Any) -> oh.Model:
    """The remote model x -> x_out of one dtype."""
    shape = (None,) * 2 if "shape" not in options else options.pop("shape")
    inputs, outputs = [oh.TensorSpec("x", dtype, shape)], [oh.TensorSpec("x_out", dtype, shape)]
    return oh.remote.triton(url, model, inputs=inputs, outputs=outputs, **{"timeout": 10.0, "retries": 0, **options})


def run(model: oh.Model, **feeds: Array) -> list[Array]:
    return oh.Session(model).run(None, feeds)


def assert_same(ours: Array, expected: Array) -> None:
    assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)
    assert ours.tolist() == expected.tolist() if ours.dtype == object else ours.tobytes() == expected.tobytes()


# -- which form --------------------------------------------------------------------------------------------------------

REFUSALS: dict[str, Behaviour] = {
    "500 in plain text": answer(b"Internal Server Error", status="500 Internal Server Error", kind="text/plain"),
    "400": answer(b'{"error": "no JSON"}', status="400 Bad Request"),
    "415": answer(b"", status="415 Unsupported Media Type"),
    "422": answer(b'{"detail": [{"loc": ["body"], "msg": "JSON decode error"}]}', status="422 Unprocessable Entity"),
    "no answer": hang_up,
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_server_that_refuses_bytes_gets_json(refusal: str) -> None:
    with json_server(refuse=REFUSALS[refusal]) as server:
        assert_same(run(remote(server.url), x=X)[0], X)
    assert server.requests[0]["inputs"] == [
        {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]}
    ]
    assert server.requests[0]["outputs"] == [{"name": "x_out"}]


DESCRIPTIONS: dict[str, Behaviour] = {
    "no extensions": answer(b'{"name": "x", "version": "1"}'),
    "null": answer(b'{"name": "x", "extensions": null}'),
    "others": answer(b'{"name": "kserve", "extensions": ["model_repository_extension"]}'),
    "404": answer(b'{"detail": "Not Found"}', status="404 Not Found"),
    "403": answer(b"", status="403 Forbidden"),
    "a page": answer(b"<html></html>", kind="text/html"),
}


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_server_without_a_word_of_bytes_gets_json(description: str) -> None:
    with json_server(DESCRIPTIONS[description]) as server:
        session = oh.Session(remote(server.url))
        for _ in range(3):
            assert_same(session.run(None, {"x": X})[0], X)
    assert (server.count("GET /v2"), server.count("POST /v2/models/m/infer")) == (1, 4)


def test_a_server_is_asked_once_for_all_nodes_and_threads_of_a_session() -> None:
    with json_server() as server:
        both = oh.parallel(a=remote(server.url, model="a"), b=remote(server.url, model="b"))
        session = oh.Session(both)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: session.run(None, {"x": X}), range(16)))
    assert all(np.array_equal(output, X) for outputs in answers for output in outputs)
    assert server.count("GET /v2") == 1


def test_two_servers_behind_one_host_are_told_apart() -> None:
    def behave(connection: Any, request: bytes) -> None:
        path, body = request.split(b" ")[1], request.partition(b"\r\n\r\n")[2]
        binary = b"inference-header-content-length" in request.lower()
        if path == b"/plain/v2":
            answer(b'{"name": "x", "extensions": []}')(connection, request)
        elif path.startswith(b"/plain") and binary:
            REFUSALS["400"](connection, request)
        elif path.startswith(b"/plain"):
            answer(json.dumps(echo(json.loads(body))).encode())(connection, request)
        else:
            data = {"name": "x_out", "datatype": "FP32", "shape": [2, 3], "data": X.ravel().tolist()}
            asserted.append(binary)
            answer(json.dumps({"outputs": [data]}).encode())(connection, request)

    asserted: list[bool] = []
    with raw_server(behave) as server:
        session = oh.Session(oh.parallel(a=remote(f"{server.url}/plain"), b=remote(f"{server.url}/triton")))
        for _ in range(2):
            assert all(np.array_equal(output, X) for output in session.run(None, {"x": X}))
    assert asserted == [True, True]


def test_a_server_that_takes_bytes_is_never_asked() -> None:
    with oh.endpoint.serve({"m": local_identity("FP32")}) as endpoint:
        inputs, outputs = [oh.TensorSpec("x", "float32", (None, None))], [oh.TensorSpec("y", "float32", (None, None))]
        session = oh.Session(oh.remote.triton(endpoint.url, "m", inputs=inputs, outputs=outputs))
        assert_same(session.run(None, {"x": X})[0], X)
        assert [stats.retries for stats in session.stats().values()] == [0]


def test_a_server_that_names_the_extension_is_believed_when_it_refuses() -> None:
    described = answer(b'{"name": "triton", "extensions": ["binary_tensor_data"]}')
    with json_server(described, REFUSALS["400"]) as server:
        session = oh.Session(remote(server.url))
        for _ in range(2):
            with pytest.raises(oh.RemoteStatusError, match="no JSON"):
                session.run(None, {"x": X})
    assert (server.count("GET /v2"), server.requests) == (1, [])


def test_a_server_that_does_not_answer_the_question_gets_json_where_it_refused_to_work() -> None:
    with json_server(described=hang_up, refuse=REFUSALS["422"]) as server:
        assert_same(run(remote(server.url), x=X)[0], X)


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity"])
def test_a_server_that_refuses_everything_alike_is_believed(status: str) -> None:
    refusal = raw_server(answer(b'{"error": "go away"}', status=status))
    with refusal as server, pytest.raises(oh.RemoteStatusError, match="go away") as caught:
        run(remote(server.url), x=X)
    assert caught.value.attempts == 1


@pytest.mark.parametrize("described", [hang_up, silence])
def test_a_failure_is_told_as_it_is_where_the_server_does_not_answer_the_question(described: Behaviour) -> None:
    with json_server(described) as server, pytest.raises(oh.RemoteStatusError, match="500") as caught:
        run(remote(server.url, timeout=2.0), x=X)
    assert caught.value.attempts == 1
    assert server.requests == []


def test_what_a_server_refuses_in_both_forms_is_told_in_its_words_for_each() -> None:
    def respond(connection: Any, request: bytes) -> None:
        words = b"bytes" if b"inference-header" in request.lower() else b"rows"
        status = "404 Not Found" if b"GET" in request else "400 Bad Request"
        answer(b'{"error": "no such %s"}' % words, status=status)(connection, request)

    with raw_server(respond) as server, pytest.raises(oh.RemoteStatusError, match=r"no such rows.*no such bytes"):
        run(remote(server.url), x=X)


@pytest.mark.parametrize("binary", [True, False])
def test_a_form_that_is_named_is_the_only_one(binary: bool) -> None:
    with json_server(REFUSALS["no answer"]) as server:
        model = remote(server.url, binary=binary)
        if binary:
            with pytest.raises(oh.RemoteStatusError, match="500"):
                run(model, x=X)
        else:
            assert_same(run(model, x=X)[0], X)
    assert server.asked == ["POST /v2/models/m/infer"]


def test_the_question_is_put_with_the_token() -> None:
    with json_server() as server:
        oh.Session(remote(server.url, auth=oh.Credential("key")), credentials={"key": "s3cret-token"}).run(
            None, {"x": X}
        )
    asked = server.heads[server.asked.index("GET /v2")]
    assert b"authorization: bearer s3cret-token" in asked
    assert b"inference-header" not in asked
    assert b"content-type" not in asked


def test_the_form_is_found_out_in_a_plain_session_too(tmp_path: Path) -> None:
    with json_server() as server:
        path = tmp_path / "m.onnx"
        remote(server.url).save(path)
        options = onnxruntime.SessionOptions()
        oh.register(options)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(2):
            assert_same(session.run(None, {"x": X})[0], X)


def test_the_form_is_found_out_by_a_call_that_goes_on_beside_others() -> None:
    with json_server() as server:
        both = oh.overlap(oh.parallel(a=remote(server.url), b=remote(server.url, model="n")))
        assert all(np.array_equal(output, X) for output in oh.Session(both).run(None, {"x": X}))


def test_a_file_asks_the_server_that_it_was_moved_to(tmp_path: Path) -> None:
    with json_server() as plain, oh.endpoint.serve({"m": local_identity("FP32")}) as other:
        inputs, outputs = [oh.TensorSpec("x", "float32", (None, None))], [oh.TensorSpec("y", "float32", (None, None))]
        model = oh.remote.triton(other.url, "m", inputs=inputs, outputs=outputs)
        moved = (
            remote(plain.url).retarget({plain.url: "http://127.0.0.1:1"}).retarget({"http://127.0.0.1:1": plain.url})
        )
        assert_same(run(moved, x=X)[0], X)
        assert_same(run(model, x=X)[0], X)


@pytest.mark.parametrize("binary", ["yes", None, 1])
def test_a_form_that_there_is_not_is_refused(binary: object) -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*binary"):
        remote("http://127.0.0.1:1", binary=binary)


def test_over_grpc_there_are_bytes_alone() -> None:
    remote("grpc://127.0.0.1:1", binary=True)
    with pytest.raises(oh.ModelError, match=r"OH304.*gRPC"):
        remote("grpc://127.0.0.1:1", binary=False)


# -- what JSON carries -------------------------------------------------------------------------------------------------

WIRES = {
    "BOOL": "bool",
    **{name.upper(): name for name in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "str",
}


def elements(dtype: str) -> st.SearchStrategy[Any]:
    if dtype == "str":
        return st.text(st.characters(exclude_categories=["Cs"]))
    given_dtype = np.dtype(dtype)
    if given_dtype.kind == "f":
        return arrays.from_dtype(given_dtype, allow_nan=False, allow_infinity=False)
    return arrays.from_dtype(given_dtype)


@pytest.fixture(scope="module")
def echoes() -> Any:
    """A session in JSON for each dtype, to one endpoint of ours."""
    models = {wire.lower(): local_identity(wire) for wire in WIRES}
    with oh.endpoint.serve(models) as endpoint:
        yield {
            dtype: oh.Session(
                oh.remote.triton(
                    endpoint.url,
                    wire.lower(),
                    inputs=[oh.TensorSpec("x", dtype, None)],
                    outputs=[oh.TensorSpec("y", dtype, None)],
                    binary=False,
                )
            )
            for wire, dtype in WIRES.items()
        }


@given(st.data(), st.sampled_from(list(WIRES.values())))
def test_a_tensor_goes_to_the_server_and_back_as_it_was(echoes: Any, data: st.DataObject, dtype: str) -> None:
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    kind = object if dtype == "str" else np.dtype(dtype)
    x = data.draw(arrays.arrays(kind, shapes, elements=elements(dtype), fill=st.nothing()))
    assert_same(np.asarray(echoes[dtype].run(None, {"x": x})[0], kind), x)


UNCARRIED: dict[str, Array] = {
    "NaN": np.array([[np.nan]], np.float32),
    "an infinity": np.array([[-np.inf]], np.float64),
    "NaN in float16": np.array([[np.nan]], np.float16),
}


@pytest.mark.parametrize("what", UNCARRIED)
def test_what_json_cannot_carry_is_refused_before_it_is_sent(what: str) -> None:
    x = UNCARRIED[what]
    with json_server() as server:
        session = oh.Session(remote(server.url, x.dtype.name, binary=False))
        with pytest.raises(oh.RemoteError, match=r"OH509.*JSON.*binary=True"):
            session.run(None, {"x": x})
    assert server.asked == []


def test_writing_json_ends_at_the_deadline() -> None:
    with json_server() as server:
        session = oh.Session(remote(server.url, "float64", binary=False, timeout=0.05))
        with pytest.raises(oh.RemoteTimeout, match=r"OH502"):
            session.run(None, {"x": np.random.default_rng(0).random((4000, 1000))})
    assert server.asked == []


# -- what servers answer -----------------------------------------------------------------------------------------------


def answered(outputs: str, shape: tuple[int | None, ...] = (None,)) -> Array:
    """The output x_out of a server that answers with these outputs, in the words of its JSON."""
    body = f'{{"model_name": "m", "outputs": {outputs}}}'.encode()
    with raw_server(answer(body)) as server:
        x, out = oh.TensorSpec("x", "float32", (None,)), oh.TensorSpec("x_out", "float32", shape)
        model = oh.remote.triton(server.url, "m", inputs=[x], outputs=[out], binary=False)
        return run(model, x=np.zeros(1, np.float32))[0]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", '"NaN"'])
def test_a_word_that_is_no_number_is_refused(word: str) -> None:
    with pytest.raises(oh.ProtocolError, match=r"OH504") as caught:
        answered(f'[{{"name": "x_out", "datatype": "FP32", "shape": [2], "data": [{word}, 1]}}]')
    assert word.startswith('"') or "binary=True" in str(caught.value)


def test_null_is_no_number_since_servers_mean_several_by_it() -> None:
    with pytest.raises(oh.ProtocolError, match=r"null.*binary=True"):
        answered('[{"name": "x_out", "datatype": "FP32", "shape": [1], "data": [null]}]')


ANSWERS = {
    "flat": '{"name": "x_out", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}',
    "nested": '{"name": "x_out", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4]]}',
    "with parameters": '{"name": "x_out", "datatype": "FP32", "shape": [2, 2], "parameters": {"content_type": "np", '
    '"headers": {}}, "data": [1, 2, 3, 4]}',
    "null": '{"data": [1, 2, 3, 4], "parameters": null, "shape": [2, 2], "datatype": "FP32", "name": "x_out"}',
    "an output more": '{"name": "z", "datatype": "STRANGE", "shape": [9], "data": {}}, '
    '{"name": "x_out", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}',
}


@pytest.mark.parametrize("form", ANSWERS)
def test_an_output_is_read_as_servers_write_it(form: str) -> None:
    np.testing.assert_array_equal(answered(f"[{ANSWERS[form]}]", shape=(2, 2)), np.array([[1, 2], [3, 4]], np.float32))


WORDS = {
    '{"error": "no model m"}': "no model m",
    '{"error": {"code": 3, "message": "no model m"}}': "no model m",
    '{"message": "no model m"}': "no model m",
    '{"detail": "no model m"}': "no model m",
    '{"detail": [{"type": "missing", "loc": ["body", "inputs", 0, "data"], "msg": "Field required"}]}': (
        r"body\.inputs\.0\.data: Field required"
    ),
}


@pytest.mark.parametrize("body", WORDS)
def test_a_refusal_is_told_in_the_servers_words(body: str) -> None:
    refusal = answer(body.encode(), status="422 Unprocessable Entity")
    told = pytest.raises(oh.RemoteStatusError, match=f"Unprocessable Entity: {WORDS[body]}\n")
    with raw_server(refusal) as server, told:
        run(remote(server.url, binary=False), x=X)


# -- what servers say of a model ---------------------------------------------------------------------------------------

Y = '{"name": "y", "datatype": "FP32", "shape": [-1]}'


def described(body: str) -> oh.Model:
    """The model as built from metadata in these words."""
    with raw_server(answer(body.encode())) as server:
        return oh.remote.triton(server.url, "m")


METADATA = {
    "small letters": ('{"name": "x", "datatype": "fp32", "shape": [-1, 3]}', "x: float32[?, 3]"),
    "Triton's configuration": ('{"name": "x", "datatype": "TYPE_STRING", "shape": [-1]}', "x: str[?]"),
    "numpy's names": ('{"name": "x", "datatype": "float16", "shape": []}', "x: float16[]"),
    "sizes as texts": ('{"name": "x", "datatype": "INT64", "shape": ["-1", "3"]}', "x: int64[?, 3]"),
    "names of sizes": ('{"name": "x", "datatype": "BOOL", "shape": ["batch", null]}', "x: bool[?, ?]"),
    "no shape": ('{"name": "x", "datatype": "UINT8"}', "x: uint8[…]"),
    "MLServer's parameters": (
        '{"name": "x", "datatype": "BYTES", "shape": [-1, 1], "parameters": {"content_type": "str"}}',
        "x: str[?, 1]",
    ),
}


@pytest.mark.parametrize("form", METADATA)
def test_metadata_are_read_as_servers_write_them(form: str) -> None:
    tensor, spec = METADATA[form]
    model = described(f'{{"name": "m", "versions": null, "platform": "", "inputs": [{tensor}], "outputs": [{Y}]}}')
    assert str(model.inputs[0]) == spec


SILENT = {
    "empty lists": '{"name": "m", "versions": [], "platform": "", "inputs": [], "outputs": []}',
    "no lists": '{"name": "m", "platform": ""}',
    "null": '{"name": "m", "inputs": null, "outputs": null}',
}


@pytest.mark.parametrize("form", SILENT)
def test_a_server_that_tells_nothing_is_named_with_what_to_write(form: str) -> None:
    with pytest.raises(oh.ModelError, match=r"OH330.*'m'.*does not tell.*inputs= and outputs="):
        described(SILENT[form])


def test_a_name_that_metadata_have_twice_is_told() -> None:
    with pytest.raises(oh.ModelError, match=r"OH330.*names the output 'y' twice.*inputs= and outputs="):
        described(f'{{"name": "m", "inputs": [], "outputs": [{Y}, {Y}]}}')


def test_metadata_of_a_datatype_that_there_is_not_are_refused() -> None:
    with pytest.raises(oh.RemoteError, match="FP8"):
        described('{"name": "m", "inputs": [], "outputs": [{"name": "y", "datatype": "FP8", "shape": [1]}]}')


@pytest.mark.parametrize("body", ['{"error": "no model m"}', '{"detail": "no model m"}'])
def test_a_failure_that_comes_as_a_success_is_told_in_the_servers_words(body: str) -> None:
    with pytest.raises(oh.ProtocolError, match=r"status 200: no model m; .*inputs= and outputs="):
        described(body)
    with raw_server(answer(body.encode())) as server, pytest.raises(oh.ProtocolError, match="status 200: no model m\n"):
        run(remote(server.url), x=X)


# -- Triton itself -----------------------------------------------------------------------------------------------------


def in_json(triton: TritonServer, wire: str, dtype: str) -> oh.Model:
    inputs = [oh.TensorSpec(f"IN_{wire}", dtype, (None, None))]
    outputs = [oh.TensorSpec(f"OUT_{wire}", dtype, (None, None))]
    return oh.remote.triton(triton.http_url, "identity", inputs=inputs, outputs=outputs, binary=False)


@pytest.mark.parametrize("wire", sorted(WIRES.keys() - {"FP16"}))
def test_triton_takes_and_gives_json_as_well(triton: TritonServer, wire: str) -> None:
    dtype = WIRES[wire]
    if dtype == "str":
        x: Array = np.array([["", "naïve"], ["日本語", "\n\t"]], object)
    elif np.dtype(dtype).kind in "iu":
        x = np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max], [0, 1]], dtype)
    else:
        x = np.array([[0.1, 0], [1.5, 1]]).astype(dtype)
    assert_same(run(in_json(triton, wire, dtype), **{f"IN_{wire}": x})[0], x)


def test_what_triton_does_not_take_as_json_is_told_in_its_words(triton: TritonServer) -> None:
    with pytest.raises(oh.RemoteStatusError, match="FP16"):
        run(in_json(triton, "FP16", "float16"), IN_FP16=np.ones((1, 1), np.float16))

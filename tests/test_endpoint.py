"""The embedded endpoint, judged by the official client of the Triton server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

import onnxhybrid as oh
from onnxhybrid.endpoint.server import Endpoint
from onnxhybrid.endpoint.tensors import DATATYPES
from onnxhybrid.errors import Error
from tests.endpoint_models import Array, adder, examples, identity, listing, post, request, reshaper

serve = oh.endpoint.serve

NO_JSON_INPUT = {"BF16"}
"""What the official client refuses to send as JSON; tests/test_endpoint_requests.py sends it."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    models = {datatype.lower(): identity(datatype) for datatype in DATATYPES}
    with serve({**models, "adder": adder(), "reshaper": reshaper()}) as running:
        yield running


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[Any]:
    with triton_http.InferenceServerClient(endpoint.url.removeprefix("http://")) as running:
        yield running


def tensor(name: str, array: Array, *, binary: bool = True) -> Any:
    datatype = "BYTES" if array.dtype == object else triton_http.np_to_triton_dtype(array.dtype)
    given = triton_http.InferInput(name, list(array.shape), datatype)
    return given.set_data_from_numpy(array, binary_data=binary)


def texts(array: Array) -> Array:
    """BYTES come as bytes in binary form and as text in JSON."""
    if array.dtype != object:
        return array
    return np.array([v.decode() if isinstance(v, bytes) else v for v in array.ravel()], object).reshape(array.shape)


@pytest.mark.parametrize("output_binary", [True, False])
@pytest.mark.parametrize("input_binary", [True, False])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1,), (), (0,), (3, 0, 2)])
@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_and_shape_comes_back_as_it_was(
    client: Any, datatype: str, shape: tuple[int, ...], input_binary: bool, output_binary: bool
) -> None:
    if not input_binary and datatype in NO_JSON_INPUT:
        input_binary = True
    count = int(np.prod(shape))
    array = examples(datatype)[:count].reshape(shape)
    outputs = [triton_http.InferRequestedOutput("y", binary_data=output_binary)]
    answer = client.infer(datatype.lower(), [tensor("x", array, binary=input_binary)], outputs=outputs).as_numpy("y")
    assert answer.shape == shape
    assert answer.dtype == array.dtype
    assert texts(answer).tolist() == array.tolist()


def test_outputs_are_all_when_none_is_named_and_a_subset_otherwise(client: Any) -> None:
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.full((2, 3), 2, np.float32)
    everything = client.infer("adder", [tensor("a", a), tensor("b", b)])
    np.testing.assert_array_equal(everything.as_numpy("sum"), a + b)
    np.testing.assert_array_equal(everything.as_numpy("product"), a * b)
    wanted = [triton_http.InferRequestedOutput("product")]
    some = client.infer("adder", [tensor("a", a), tensor("b", b)], outputs=wanted)
    assert [output["name"] for output in some.get_response()["outputs"]] == ["product"]


def test_an_input_with_a_default_may_be_left_out_or_given(client: Any) -> None:
    a = np.zeros((1, 3), np.float32)
    assert client.infer("adder", [tensor("a", a)]).as_numpy("sum").tolist() == [[10, 10, 10]]
    assert client.infer("adder", [tensor("a", a), tensor("b", a)]).as_numpy("sum").tolist() == [[0, 0, 0]]


def test_outputs_may_differ_in_their_form(client: Any) -> None:
    wanted = [triton_http.InferRequestedOutput("sum", binary_data=False), triton_http.InferRequestedOutput("product")]
    answer = client.infer("adder", [tensor("a", np.ones((1, 3), np.float32))], outputs=wanted)
    assert "data" in answer.get_output("sum")
    assert answer.get_output("product")["parameters"] == {"binary_data_size": 12}
    assert answer.as_numpy("sum").tolist() == [[11, 11, 11]]
    assert answer.as_numpy("product").tolist() == [[10, 10, 10]]


def test_the_id_of_a_request_and_the_name_and_version_of_the_model_are_in_the_answer(client: Any) -> None:
    answer = client.infer("fp32", [tensor("x", np.ones(1, np.float32))], request_id="seven ü").get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("seven ü", "fp32", "1")
    assert "id" not in client.infer("fp32", [tensor("x", np.ones(1, np.float32))]).get_response()


def test_parameters_that_mean_nothing_here_are_ignored(client: Any) -> None:
    array = np.ones(1, np.float32)
    answer = client.infer(
        "fp32", [tensor("x", array)], sequence_id=4, sequence_start=True, priority=2, timeout=9, parameters={"mine": 1}
    )
    assert answer.as_numpy("y").tolist() == [1]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_unpacked(client: Any, algorithm: str) -> None:
    array = np.zeros(1000, np.float32)
    answer = client.infer("fp32", [tensor("x", array)], request_compression_algorithm=algorithm)
    assert answer.as_numpy("y").tolist() == array.tolist()


def test_the_endpoint_and_its_models_are_live_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("adder")
    assert client.is_model_ready("adder", "1")
    assert not client.is_model_ready("adder", "2")
    assert not client.is_model_ready("nobody")


def test_server_metadata_says_which_protocol_is_spoken(client: Any) -> None:
    about = client.get_server_metadata()
    assert about["name"] == "onnxhybrid"
    assert about["extensions"] == ["binary_tensor_data"]


def test_model_metadata_describes_what_has_to_be_given_and_what_comes(client: Any) -> None:
    expected = {
        "name": "adder",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "a", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [
            {"name": "sum", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "product", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    assert client.get_model_metadata("adder") == expected
    assert client.get_model_metadata("adder", "1") == expected


@pytest.mark.parametrize("datatype", DATATYPES)
def test_model_metadata_names_every_datatype(client: Any, datatype: str) -> None:
    assert client.get_model_metadata(datatype.lower())["inputs"][0]["datatype"] == datatype


@pytest.mark.parametrize("datatype", DATATYPES)
def test_our_own_operator_finds_and_calls_a_model_of_every_datatype(endpoint: Endpoint, datatype: str) -> None:
    array = examples(datatype)
    remote = oh.remote.triton(endpoint.url, datatype.lower())
    (answer,) = oh.Session(remote).run(["y"], {"x": array})
    assert (answer.dtype, answer.tolist()) == (array.dtype, array.tolist())


X = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("model", "version", "inputs", "output", "status", "message"),
    [
        ("nobody", "", [("x", X)], "y", "404", "unknown model: 'nobody'"),
        ("fp32", "2", [("x", X)], "y", "404", "version '2'"),
        ("fp32", "", [("z", X)], "y", "400", "unexpected inference input 'z' for model 'fp32'"),
        ("fp32", "", [("x", X)], "z", "400", "unexpected inference output 'z' for model 'fp32'"),
        ("reshaper", "", [("x", X)], "y", "400", "missing required input(s) ['shape']"),
        ("fp32", "", [("x", X.astype(int))], "y", "400", "data-type is 'INT64', but model 'fp32' expects 'FP32'"),
        ("adder", "", [("a", X)], "sum", "400", "Expected [-1, 3], got [3]"),
        ("adder", "", [("a", X.reshape(3, 1))], "sum", "400", "Expected [-1, 3], got [3, 1]"),
        ("reshaper", "", [("x", X), ("shape", np.array([5, 5]))], "y", "500", "model 'reshaper' failed"),
    ],
)
def test_an_error_has_the_status_and_the_words_of_the_protocol(
    client: Any, model: str, version: str, inputs: list[Any], output: str, status: str, message: str
) -> None:
    tensors = [tensor(name, array) for name, array in inputs]
    with pytest.raises(InferenceServerException) as failure:
        client.infer(model, tensors, version, outputs=[triton_http.InferRequestedOutput(output)])
    assert failure.value.status() == status
    assert message in failure.value.message()


def test_a_number_that_json_cannot_carry_is_an_error_and_no_broken_json(client: Any) -> None:
    given = [tensor("x", np.array([np.nan], np.float32))]
    with pytest.raises(InferenceServerException, match="binary data"):
        client.infer("fp32", given, outputs=[triton_http.InferRequestedOutput("y", binary_data=False)])
    assert np.isnan(client.infer("fp32", given).as_numpy("y")).all()


def test_many_clients_at_once_get_their_own_answers(endpoint: Endpoint) -> None:
    wrong: list[int] = []

    def call(number: int) -> None:
        with triton_http.InferenceServerClient(endpoint.url.removeprefix("http://")) as client:
            for turn in range(20):
                array = np.full(50, number * 100 + turn, np.float32)
                if not (client.infer("fp32", [tensor("x", array)]).as_numpy("y") == array).all():
                    wrong.append(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_token_is_asked_of_every_request() -> None:
    with serve({"m": identity("FP32")}, token="s3cret") as endpoint:
        with triton_http.InferenceServerClient(endpoint.url.removeprefix("http://")) as client:
            right = {"Authorization": "Bearer s3cret"}
            assert client.infer("m", [tensor("x", X)], headers=right).as_numpy("y").tolist() == X.tolist()
            assert not client.is_server_live()
            for wrong in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Basic s3cret"}):
                with pytest.raises(InferenceServerException, match="bearer token") as failure:
                    client.infer("m", [tensor("x", X)], headers=wrong)
                assert failure.value.status() == "401"
                assert "s3cret" not in str(failure.value)
        assert "s3cret" not in repr(endpoint)


def test_a_file_is_served_as_well_as_a_model(tmp_path: Path) -> None:
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Neg", ["x"], ["y"])],
            "g",
            [onnx.helper.make_tensor_value_info("x", 1, ["n"])],
            [onnx.helper.make_tensor_value_info("y", 1, ["n"])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "neg.onnx")
    with serve({"neg": tmp_path / "neg.onnx"}) as endpoint:
        body = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}
        assert post(endpoint.url, "/v2/models/neg/infer", body)[1]["outputs"][0]["data"] == [-1, -2]


def test_the_url_is_known_before_the_with_statement_and_dead_after_it() -> None:
    endpoint = serve({"m": identity("FP32")})
    with endpoint:
        assert request(endpoint.url, "GET", "/v2/health/live")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        request(endpoint.url, "GET", "/v2/health/live")


def test_closing_ends_the_thread_and_idle_connections() -> None:
    before = threading.active_count()
    with serve({"m": identity("FP32")}) as endpoint:
        idle = socket.create_connection(("127.0.0.1", int(endpoint.url.rpartition(":")[2])), timeout=20)
        assert request(endpoint.url, "GET", "/v2")[0] == 200
    assert idle.recv(1) == b""
    idle.close()
    assert threading.active_count() <= before


def test_an_exception_in_the_with_statement_comes_out_of_it() -> None:
    with pytest.raises(KeyError, match="mine"), serve({"m": identity("FP32")}):
        raise KeyError("mine")


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
def test_a_host_that_is_no_address_has_a_url_that_reaches_it(host: str) -> None:
    with serve({"m": identity("FP32")}, host=host) as endpoint:
        assert "0.0.0.0" not in endpoint.url
        assert request(endpoint.url, "GET", "/v2")[0] == 200


def test_a_port_in_use_is_an_error_of_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Error, match="cannot listen") as failure:
        serve({"m": identity("FP32")}, port=other.getsockname()[1])
    assert failure.value.code == "OH552"


@pytest.mark.parametrize(
    "arguments",
    [
        {"host": "no.such.host.invalid"},
        {"host": ""},
        {"port": 70000},
        {"max_request_bytes": 0},
        {"token": ""},
        {"token": "a\nb"},
    ],
)
def test_an_argument_that_cannot_be_used_is_an_error_of_the_caller(arguments: dict[str, Any]) -> None:
    with pytest.raises(Error) as failure:
        serve({"m": identity("FP32")}, **arguments)
    assert failure.value.code == "OH552"


@pytest.mark.parametrize("name", ["", "a/b", "a\nb"])
def test_a_name_that_cannot_stand_in_a_url_is_refused(name: str) -> None:
    with pytest.raises(Error, match="cannot be a model's name"):
        serve({name: identity("FP32")})


def test_a_model_that_the_protocol_cannot_describe_is_refused() -> None:
    with pytest.raises(Error, match="no datatype"):
        serve({"listing": listing()})


def test_a_model_that_does_not_load_is_an_error_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for path in ("broken.onnx", "absent.onnx"):
        with pytest.raises(Error):
            serve({"m": tmp_path / path})

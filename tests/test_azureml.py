"""azureml.score against the real AzureML server, and against one that misbehaves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import onnxhybrid as oh
from tests.documented import built, code
from tests.servers.azureml import serve
from tests.servers.process import free_port
from tests.servers.raw import Behaviour, answer, raw_server

COMMON: dict[str, Any] = {"auth": None, "timeout": 20.0, "retries": 0}
ARRAYS: dict[str, npt.NDArray[Any]] = {
    "float32": np.array([[0.1, -1e-38, 3.4028235e38], [1 / 3, -0.0, 16777217]], np.float32),
    "float64": np.array([[0.1, 1e308, 5e-324]]),
    "float16": np.array([[0.1, 65504, 6e-8]], np.float16),
    "bfloat16": np.array([[0.1, -2.5, 3e38]], ml_dtypes.bfloat16),
    "int8": np.array([[-128, 127]], np.int8),
    "int64": np.array([[-(2**63), 2**63 - 1, 2**53 + 1]]),
    "uint64": np.array([[2**64 - 1, 0]], np.uint64),
    "bool": np.array([[True], [False]]),
    "str": np.array([["é\n\"", ""], ["\u2028", "b"]], object),
}  # fmt: skip


@pytest.fixture(scope="module")
def scoring_url() -> Iterator[str]:
    if sys.platform == "win32":
        pytest.skip("the server runs on gunicorn, which Windows has not")
    with serve(free_port()) as url:
        yield url


def specs(names: dict[str, str], *, out: str = "") -> list[oh.TensorSpec]:
    return [oh.TensorSpec(f"{name}{out}", dtype, (None,) * ARRAYS[dtype].ndim) for name, dtype in names.items()]


@pytest.mark.parametrize("dtype", ARRAYS)
def test_every_dtype_comes_back_as_it_went(scoring_url: str, dtype: str) -> None:
    names = {"x": dtype}
    model = oh.remote.azureml(scoring_url, inputs=specs(names), outputs=specs(names, out="_out"), **COMMON)
    (result,) = oh.Session(model).run(None, {"x": ARRAYS[dtype]})
    assert result.dtype == ARRAYS[dtype].dtype
    np.testing.assert_array_equal(result, ARRAYS[dtype])


def test_several_tensors_travel_by_name(scoring_url: str) -> None:
    names = {"a b": "float32", "c": "str", "d": "int64"}
    model = oh.remote.azureml(
        scoring_url,
        inputs=specs(names),
        outputs=specs(names, out="_out")[::-1],
        auth=oh.Credential("azureml"),
        timeout=20,
    )
    feeds = {name: ARRAYS[dtype] for name, dtype in names.items()}
    results = oh.Session(model, credentials={"azureml": "key-0123456789"}).run(None, feeds)
    for name, result in zip(reversed(names), results, strict=True):
        np.testing.assert_array_equal(result, feeds[name])


def data_model(url: str, **options: Any) -> oh.Model:
    inputs, outputs = [oh.TensorSpec("x", "float32", ("n", None))], [oh.TensorSpec("y", "float32", ("n", None))]
    return oh.remote.azureml(url, inputs=inputs, outputs=outputs, **{"form": "data", **COMMON, **options})


def test_the_form_data_reads_json_within_a_string(scoring_url: str) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    (y,) = oh.Session(data_model(scoring_url)).run(None, {"x": x})
    np.testing.assert_array_equal(y, 2 * x)


@pytest.mark.parametrize("form", ["named", "data", "mlflow"])
@pytest.mark.parametrize("text", [b"[[1.0, 2.5]]", b'"[[1.0, 2.5]]"', b" [[1, 2.5]]\n", b'{"y": [[1, 2.5]]}'])
def test_one_output_may_come_as_a_bare_list(form: Any, text: bytes) -> None:
    with raw_server(answer(text)) as server:
        (y,) = oh.Session(data_model(server.url, form=form)).run(None, {"x": np.zeros((1, 1), np.float32)})
    np.testing.assert_array_equal(y, np.array([[1, 2.5]], np.float32))


def test_no_rows_come_back_as_no_rows(scoring_url: str) -> None:
    (y,) = oh.Session(data_model(scoring_url)).run(None, {"x": np.empty((0, 4), np.float32)})
    assert y.shape == (0, 0)


def test_an_error_that_the_script_reports_is_a_failure_in_its_words(scoring_url: str) -> None:
    inputs, outputs = [oh.TensorSpec("x", "float32", (None,))], [oh.TensorSpec("y", "float32", (None,))]
    model = oh.remote.azureml(scoring_url, inputs=inputs, outputs=outputs, form="data", **COMMON)
    with pytest.raises(oh.ProtocolError, match=r"OH504.*the rows are no lists") as caught:
        oh.Session(model).run(None, {"x": np.ones(2, np.float32)})
    assert caught.value.status == 200


def test_a_script_that_crashes_is_an_error_status(scoring_url: str) -> None:
    spec = [oh.TensorSpec("crash", "float32", (None,))]
    model = oh.remote.azureml(scoring_url, inputs=spec, outputs=specs({"y": "float32"}), **COMMON)
    with pytest.raises(oh.RemoteStatusError, match=r"OH503.*error occurred in scoring script"):
        oh.Session(model).run(None, {"crash": np.ones(2, np.float32)})


def test_a_uri_is_called_as_it_is_with_its_deployment_and_token() -> None:
    with raw_server(answer(b'{"result": [[1.0]]}')) as server:
        x = np.zeros((1, 1), np.float32)
        model = data_model(f"{server.url}/api/v1/score/", deployment="blue", auth=oh.Credential("azureml"))
        oh.Session(model, credentials={"azureml": "key-0123456789"}).run(None, {"x": x})
        late = data_model(f"{server.url}/score", deployment=oh.Input())
        oh.Session(late).run(None, {"x": x, "deployment": np.array(["green"])})
        oh.Session(late).run(None, {"x": x, "deployment": np.array([""])})
        first, second, third = (request.lower() for request in server.requests)
    assert first.startswith(b"post /api/v1/score/ http/1.1")
    assert b"azureml-model-deployment: blue" in first
    assert b"authorization: bearer key-0123456789" in first
    assert b"azureml-model-deployment: green" in second
    assert b"azureml-model-deployment" not in third


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_cannot_carry_is_not_sent(value: float) -> None:
    with (
        raw_server(answer(b'{"result": [[1.0]]}')) as server,
        pytest.raises(oh.ProtocolError, match=r"OH509.*\"x\".*NaN"),
    ):
        oh.Session(data_model(server.url)).run(None, {"x": np.array([[value]], np.float32)})
    assert not server.requests


FAULTS: dict[str, tuple[Behaviour, str]] = {
    "an HTML page": (answer(b"<html>", kind="text/html"), "OH504"),
    "no JSON": (answer(b"hello"), "OH504"),
    "NaN, which is no JSON": (answer(b'{"result": [[NaN]]}'), "OH504"),
    "another name": (answer(b'{"other": [[1.0]]}'), "OH504"),
    "a name twice": (answer(b'{"result": [[1.0]], "result": [[1.0]]}'), "OH504"),
    "an error": (answer(b'{"error": "no"}'), "OH504"),
    "text for numbers": (answer(b'{"result": [["1"]]}'), "OH505"),
    "null for numbers": (answer(b'{"result": null}'), "OH505"),
    "a number that float32 has not": (answer(b'{"result": [[1e39]]}'), "OH505"),
    "ragged lists": (answer(b'{"result": [[1.0], [1.0, 2.0]]}'), "OH506"),
    "other rows than were asked": (answer(b'{"result": [[1.0], [2.0]]}'), "OH506"),
    "another rank": (answer(b'{"result": [1.0]}'), "OH506"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_is_a_coded_error(fault: str) -> None:
    behave, code = FAULTS[fault]
    with raw_server(behave) as server, pytest.raises(oh.RemoteError) as caught:
        oh.Session(data_model(server.url)).run(None, {"x": np.zeros((1, 1), np.float32)})
    assert caught.value.code == code


def test_a_form_that_does_not_fit_is_refused_at_the_line_that_gave_it() -> None:
    spec = oh.TensorSpec("x", "float32", (1,))
    wrong: tuple[dict[str, Any], ...] = (
        {"inputs": [spec, oh.TensorSpec("w", "float32", (1,))], "form": "data"},
        {"inputs": [spec], "form": "other"},
        {"inputs": [spec], "deployment": 5},
    )
    for arguments in wrong:
        with pytest.raises(oh.ModelError, match="OH304"):
            oh.remote.azureml("http://h/score", outputs=[oh.TensorSpec("y", "float32", (1,))], **arguments)


def test_the_credential_of_the_service_is_the_default() -> None:
    model = oh.remote.azureml("https://h/score", inputs=specs({"x": "int8"}), outputs=specs({"y": "int8"}))
    assert [remote.credential for remote in model.remotes] == ["azureml"]


def test_the_call_of_the_page_is_answered(scoring_url: str) -> None:
    model = built(code("AzureML, a script"), "score", scoring_url.removesuffix("/score"))
    session = oh.Session(model, credentials={"azureml": "key-0123456789"})
    (y,) = session.run(None, {"x": np.array([[1, 2]], np.float32)})
    assert y.tolist() == [[2, 4]]

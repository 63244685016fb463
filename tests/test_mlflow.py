"""azureml.score in the forms of MLflow, against MLflow's real scoring server and against answers of AzureML's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import onnxhybrid as oh
from tests.documented import built, code
from tests.servers import scoring
from tests.servers.raw import answer, raw_server

A, B = np.array([1.0, 2.5]), np.array(["x", "yÿ"], object)
U = np.arange(4, dtype=np.float32).reshape(2, 2)
TABLE = [oh.TensorSpec("a", "float64", ("n",)), oh.TensorSpec("b", "str", ("n",))]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if sys.platform == "win32":
        pytest.skip("the server is ended by its process group, which Windows has not")
    with scoring.serve() as url:
        yield url


def call(url: str, inputs: list[oh.TensorSpec], outputs: list[oh.TensorSpec], feeds: Any, form: Any) -> Any:
    model = oh.remote.azureml(url, inputs=inputs, outputs=outputs, form=form, auth=None, retries=0)
    return oh.Session(model).run(None, feeds)


@pytest.mark.parametrize("form", ["mlflow", "dataframe_split"])
def test_mlflow_takes_columns_of_a_table(server: str, form: str) -> None:
    outputs = [oh.TensorSpec("y", "float64", ("n",))]
    (y,) = call(f"{server}/columns/invocations", TABLE, outputs, {"a": A, "b": B}, form)
    np.testing.assert_array_equal(y, [3.0, 7.0])


@pytest.mark.parametrize("form", ["mlflow", "dataframe_split"])
def test_mlflow_gives_a_table_by_rows(server: str, form: str) -> None:
    outputs = [oh.TensorSpec("z", "str", ("n",)), oh.TensorSpec("y", "float64", ("n",))]
    z, y = call(f"{server}/frame/invocations", TABLE, outputs, {"a": A, "b": B}, form)
    assert z.tolist() == ["x!", "yÿ!"]
    np.testing.assert_array_equal(y, [2.0, 5.0])


def test_mlflow_takes_and_gives_one_tensor(server: str) -> None:
    inputs, outputs = [oh.TensorSpec("x", "float32", ("n", 3))], [oh.TensorSpec("y", "float32", ("n",))]
    x = np.array([[0.1, 0.2, 0.3], [1, 2, 3]], np.float32)
    (y,) = call(f"{server}/tensor/invocations", inputs, outputs, {"x": x}, "mlflow")
    np.testing.assert_array_equal(y, x.sum(axis=1))


def test_mlflow_takes_and_gives_tensors_by_name(server: str) -> None:
    inputs = [oh.TensorSpec(name, "float32", ("n", 2)) for name in ("u", "v")]
    outputs = [oh.TensorSpec(name, "float32", ("n", 2)) for name in ("product", "sum")]
    product, total = call(f"{server}/tensors/invocations", inputs, outputs, {"u": U, "v": U + 1}, "mlflow")
    np.testing.assert_array_equal(product, U * (U + 1))
    np.testing.assert_array_equal(total, 2 * U + 1)


def test_a_refusal_of_mlflow_is_told_in_its_words(server: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match=r"OH503.*400.*exactly one of the input fields"):
        call(f"{server}/columns/invocations", TABLE, [oh.TensorSpec("y", "float64", ("n",))], {"a": A, "b": B}, "named")


def test_an_endpoint_of_azureml_without_a_script_takes_input_data_and_answers_a_bare_list() -> None:
    """The bodies are those of AzureML's page on deploying MLflow models."""
    outputs = [oh.TensorSpec("y", "int64", ("n",))]
    with raw_server(answer(b"[1, 0]")) as server:
        (y,) = call(server.url, TABLE, outputs, {"a": A, "b": B}, "input_data_split")
        call(server.url, TABLE[:1], outputs, {"a": A}, "input_data")
        first, second = (json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests)
    assert y.tolist() == [1, 0]
    assert first == {"input_data": {"columns": ["a", "b"], "index": [0, 1], "data": [[1.0, "x"], [2.5, "yÿ"]]}}
    assert second == {"input_data": [1.0, 2.5]}


@pytest.mark.parametrize("form", ["dataframe_split", "input_data_split"])
def test_a_column_is_not_a_matrix(form: Any) -> None:
    inputs, outputs = [oh.TensorSpec("x", "float32", ("n", 3))], [oh.TensorSpec("y", "float32", ("n",))]
    with pytest.raises(oh.ModelError, match=rf"OH304.*{form}.*columns.*x: float32"):
        oh.remote.azureml("http://127.0.0.1:9", inputs=inputs, outputs=outputs, form=form)


def test_the_call_of_the_page_is_answered(server: str) -> None:
    model = built(code("MLflow"), "columns", f"{server}/columns")
    (y,) = oh.Session(model).run(None, {"a": A, "b": B})
    np.testing.assert_array_equal(y, A * 2 + [1, 2])

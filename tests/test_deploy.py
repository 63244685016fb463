"""Deployments: bundles that the real AzureML server runs and azure-ai-ml reads, and repositories for Triton."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper
from tritonclient.grpc import model_config_pb2

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.servers import azureml as server
from tests.servers.process import free_port
from tests.strategies import dense, of_graph

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def mixed() -> oh.Model:
    """Several types, one input with a default: flags, texts, halves -> the same, and a count."""
    kinds = {"flags": TensorProto.BOOL, "texts": TensorProto.STRING, "halves": TensorProto.FLOAT16}
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in kinds]
    nodes.append(helper.make_node("Add", ["step", "step"], ["twice"]))
    inputs = [helper.make_tensor_value_info(name, kind, ["n"]) for name, kind in kinds.items()]
    inputs.append(helper.make_tensor_value_info("step", TensorProto.INT64, []))
    outputs = [helper.make_tensor_value_info(f"{name}_out", kind, ["n"]) for name, kind in kinds.items()]
    outputs.append(helper.make_tensor_value_info("twice", TensorProto.INT64, []))
    default = helper.make_tensor("step", TensorProto.INT64, [], [21])
    return of_graph(helper.make_graph(nodes, "mixed", inputs, outputs, [default]))


def failing() -> oh.Model:
    """From x, int64, to the value at that place of a table, which has one."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "failing",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("table", TensorProto.FLOAT, [1], [1.0])],
    )
    return of_graph(graph)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return oh.deploy.azureml(dense("d", "x", "y", (3, 2)), tmp_path_factory.mktemp("deploy") / "bundle", name="digits")


@pytest.fixture(scope="module")
def scoring_url(bundle: Path) -> Iterator[str]:
    if sys.platform == "win32":
        pytest.skip("the server runs on gunicorn, which Windows has not")
    with server.serve(free_port(), bundle / "score.py") as url:
        yield url


def expected() -> Any:
    return oh.Session(dense("d", "x", "y", (3, 2))).run(None, {"x": X})[0]


@pytest.mark.parametrize("form", ["named", "data"])
def test_the_official_server_runs_the_bundle_and_a_remote_node_calls_it(scoring_url: str, form: Any) -> None:
    specs = [oh.TensorSpec("x", "float32", ("n", 3))], [oh.TensorSpec("y", "float32", ("n", 2))]
    remote = oh.remote.azureml(scoring_url, inputs=specs[0], outputs=specs[1], form=form, auth=None)
    np.testing.assert_allclose(oh.Session(remote).run(None, {"x": X})[0], expected(), rtol=1e-6)


def post(url: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def test_the_example_request_is_answered(scoring_url: str, bundle: Path) -> None:
    status, answer = post(scoring_url, (bundle / "test-data.json").read_bytes())
    assert (status, set(answer)) == (200, {"result"})


def test_the_call_that_the_readme_shows_is_answered(scoring_url: str, bundle: Path) -> None:
    code = (bundle / "README.md").read_text().partition("```python")[2].partition("```")[0]
    for placeholder, value in (
        ("https://digits.REGION.inference.ml.azure.com/score", scoring_url),
        ("the endpoint's key", "key"),
    ):
        code = code.replace(placeholder, value)
    names: dict[str, Any] = {}
    exec(code, names)
    np.testing.assert_allclose(names["session"].run(None, {"x": X})[0], expected(), rtol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b'{"z": 1}', b'{"data": "a"}', b'{"data": [[1, 2], [3]]}', b'{"data": [[1]]}', b'{"x": null}', b"{}"),
        *(b"5", b"{", b'{"data": [[1, 2, 1e999]]}', b'{"data": [1, 2, 3]}', b'{"x": [[1, 2, "a"]]}'),
        *(b'{"x": [[1, 2, 3]], "w": 1}', b'{"data": [[1, 2, NaN]]}', b'{"data": ' + b"[" * 10_000),
    ],
)
def test_a_mistake_of_the_caller_is_status_400_with_the_reason_in_json(scoring_url: str, body: bytes) -> None:
    status, answer = post(scoring_url, body)
    assert (status, set(answer)) == (400, {"error"})
    assert answer["error"]


def test_a_remote_node_tells_the_refusal_in_the_server_s_words(scoring_url: str) -> None:
    specs = [oh.TensorSpec("w", "float32", ("n", 3))], [oh.TensorSpec("y", "float32", ("n", 2))]
    remote = oh.remote.azureml(scoring_url, inputs=specs[0], outputs=specs[1], auth=None)
    with pytest.raises(oh.RemoteStatusError, match=r"400 Bad Request: the inputs are \['x'\]; unknown: \['w'\]"):
        oh.Session(remote).run(None, {"w": X})


def test_a_failure_of_the_model_is_status_500(tmp_path: Path) -> None:
    with server.serve(free_port(), oh.deploy.azureml(failing(), tmp_path / "b", name="failing") / "score.py") as url:
        status, answer = post(url, b'{"data": [[7]]}')
        assert (status, set(answer)) == (500, {"error"})
        assert "out of data bounds" in answer["error"]
        assert post(url, b'{"data": [[0]]}') == (200, {"result": [[1.0]]})


LOADERS = """
import json, sys
from pathlib import Path
from azure.ai.ml import load_environment, load_online_deployment, load_online_endpoint

folder = Path(sys.argv[1])
endpoint = load_online_endpoint(folder / "endpoint.yml")
deployment = load_online_deployment(folder / "deployment.yml")
print(json.dumps([
    endpoint.name, endpoint.auth_mode, deployment.name, deployment.endpoint_name, deployment.model.tags,
    deployment.code_configuration.scoring_script, deployment.environment.conda_file,
]))
"""


def test_azure_ai_ml_reads_the_bundle(bundle: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", LOADERS, str(bundle)]  # its dependencies warn of each other
    read = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1]
    *names, conda = json.loads(read)
    assert names == ["digits", "key", "blue", "digits", {"onnx": "digits"}, "score.py"]
    assert conda["name"] == "digits"
    assert any(str(package).startswith("onnxruntime==") for package in conda["dependencies"][-1]["pip"])


def test_the_readme_s_commands_name_the_files_that_are_there(bundle: Path) -> None:
    readme = (bundle / "README.md").read_text()
    for command in ("create", "invoke", "delete"):
        assert f"az ml online-endpoint {command} --name digits" in readme
    for file in ("endpoint.yml", "deployment.yml", "test-data.json", "register.py", "score.py"):
        assert file in readme
        assert (bundle / file).is_file()
    compile((bundle / "register.py").read_text(), "register.py", "exec")


def script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The scoring script as AzureML opens it: the model somewhere below AZUREML_MODEL_DIR."""
    shutil.copytree(folder / "model", folder.parent / "registered" / "1" / "model")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder.parent / "registered"))
    names = runpy.run_path(str(folder / "score.py"))
    names["init"]()
    return names


def test_every_type_of_json_goes_through_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = script(oh.deploy.azureml(mixed(), tmp_path / "b", name="mixed"), monkeypatch)["run"]
    request = {"flags": [True, False], "texts": ["é", ""], "halves": [0.5, 1]}
    answer = {f"{name}_out": value for name, value in request.items()}
    assert run(json.dumps(request)) == {**answer, "twice": 42}
    assert run(json.dumps({**request, "step": 4})) == {**answer, "twice": 8}
    assert run(json.dumps({**request, "flags": []}))["flags_out"] == []
    for wrong in (
        *({"flags": [1.5]}, {"texts": [1]}, {"step": 1.5}, {"halves": ["a"]}),
        *({"flags": [1]}, {"step": 2**63}, {"step": -(2**63) - 1}, {"halves": [70_000]}, {"halves": [1e300]}),
    ):
        assert set(run(json.dumps({**request, **wrong}))) == {"error"}
    assert json.loads((tmp_path / "b" / "test-data.json").read_text()) == {
        "flags": [True], "texts": ["text"], "halves": [1.0]
    }  # fmt: skip


def test_a_hybrid_runs_in_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({"digits": dense("d", "x", "y", (3, 2))}) as cloud:
        folder = oh.deploy.azureml(oh.remote.triton(cloud.url, "digits"), tmp_path / "b", name="hybrid")
        assert "onnxhybrid==" in (folder / "env.yml").read_text()
        answer = script(folder, monkeypatch)["run"](json.dumps({"data": X.tolist()}))
    np.testing.assert_allclose(answer["result"], expected(), rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"name": "a b"}, {"name": "x"}, {"name": "a\nb: c"}, {"name": 5}, {"name": "ok1", "deployment": "-"},
     {"name": "ok1", "instance_type": "a: b"}, {"name": "ok1", "instance_count": 0}],
    ids=str,
)  # fmt: skip
def test_what_azureml_would_not_take_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(oh.ModelError, match="OH411"):
        oh.deploy.azureml(dense("d", "x", "y", (3, 2)), tmp_path / "b", **options)
    assert not list(tmp_path.iterdir())


def test_a_type_without_json_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.BFLOAT16, [1])
    given = helper.make_tensor_value_info("y", TensorProto.BFLOAT16, [1])
    model = of_graph(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [given]))
    with pytest.raises(oh.ModelError, match="OH411"):
        oh.deploy.azureml(model, tmp_path / "b", name="brain")


def test_a_folder_with_files_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    model = dense("d", "x", "y", (3, 2))
    (tmp_path / "b").mkdir()
    oh.deploy.azureml(model, tmp_path / "b", name="first")
    with pytest.raises(oh.ModelError, match="OH410"):
        oh.deploy.azureml(model, tmp_path / "b", name="second")
    assert "first" in (tmp_path / "b" / "endpoint.yml").read_text()
    oh.deploy.azureml(model, tmp_path / "b", name="second", overwrite=True)
    assert "second" in (tmp_path / "b" / "endpoint.yml").read_text()
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "b", "a\0b", None):
        with pytest.raises(oh.ModelError, match="OH410"):
            oh.deploy.azureml(model, place, name="digits")  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"b", "file"}


def test_triton_s_configuration_says_what_the_model_takes_and_gives(tmp_path: Path) -> None:
    folder = oh.deploy.triton(mixed().rename({"flags": 'a "é"\n'}), tmp_path / "models", name="mixed", version=3)
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("mixed", "onnxruntime", 0)
    taken = {entry.name: entry for entry in config.input}
    assert set(taken) == {'a "é"\n', "texts", "halves", "step"}
    assert list(taken["texts"].dims) == [-1]
    assert model_config_pb2.DataType.Name(taken["texts"].data_type) == "TYPE_STRING"
    assert (list(taken["step"].dims), taken["step"].optional) == ([1], True)
    assert taken["step"].HasField("reshape")
    assert [entry.name for entry in config.output] == [spec.name for spec in mixed().outputs]
    onnx.checker.check_model(str(folder / "3" / "model.onnx"))


@pytest.mark.parametrize(
    "options", [{"name": "a/b"}, {"name": ""}, {"name": ".."}, {"name": "m", "version": 0}], ids=str
)
def test_what_triton_would_not_take_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(oh.ModelError, match="OH411"):
        oh.deploy.triton(dense("d", "x", "y", (3, 2)), tmp_path, **options)


def test_triton_runs_no_remote_nodes(tmp_path: Path) -> None:
    with pytest.raises(oh.ModelError, match="OH411"):
        oh.deploy.triton(oh.remote.openai_chat("m"), tmp_path, name="chat")


def identity(kind: int, shape: list[Any]) -> oh.Model:
    given, taken = (helper.make_tensor_value_info(name, kind, shape) for name in ('it\'s "q"\n', "o'$x"))
    return of_graph(
        helper.make_graph([helper.make_node("Identity", [given.name], [taken.name])], "g", [given], [taken])
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (TensorProto.INT8, 300),
        (TensorProto.UINT64, -1),
        (TensorProto.UINT64, 1 << 70),
        (TensorProto.INT64, 1 << 63),
        (TensorProto.FLOAT16, 1e6),
        (TensorProto.FLOAT, float("nan")),
        (TensorProto.BOOL, 1),
    ],
)
def test_a_number_that_the_type_cannot_hold_is_refused_and_never_another(
    kind: int, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = script(oh.deploy.azureml(identity(kind, [1]), tmp_path / "b", name="narrow"), monkeypatch)["run"]
    assert set(run(json.dumps({"data": [value]}))) == {"error"}


@pytest.mark.parametrize(("shape", "sent"), [([0, 3], []), (["n", 3], []), (["n", "m"], [[], []]), ([], 1.5)], ids=str)
def test_empty_batches_scalars_and_odd_names_go_through_a_script(
    shape: list[Any], sent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = oh.deploy.azureml(identity(TensorProto.FLOAT, shape), tmp_path / "b", name="odd-names")
    assert script(folder, monkeypatch)["run"](json.dumps({"data": sent})) == {"result": sent}
    calls = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    compile(calls, "README.md", "exec")


def test_a_deployment_replaces_no_other_folder_and_itself_whole(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "thesis.txt").write_text("years of work")
    for write in (oh.deploy.azureml, oh.deploy.triton):
        place = tmp_path / "project" if write is oh.deploy.azureml else tmp_path
        with pytest.raises(oh.ModelError, match="OH410"):
            write(dense("d", "x", "y", (3, 2)), place, name="project", overwrite=True)
    assert (tmp_path / "project" / "thesis.txt").read_text() == "years of work"
    folder = oh.deploy.azureml(dense("d", "x", "y", (3, 2)), tmp_path / "b", name="first")
    again = oh.deploy.azureml(folder / "model" / "model.onnx", tmp_path / "b", name="again", overwrite=True)
    np.testing.assert_allclose(oh.Session(again / "model" / "model.onnx").run(None, {"x": X})[0], expected())
    assert {path.name for path in tmp_path.iterdir()} == {"b", "project"}


def test_a_repository_that_is_no_path_is_refused() -> None:
    for place in (None, 5, "a\0b"):
        with pytest.raises(oh.ModelError, match="OH410"):
            oh.deploy.triton(dense("d", "x", "y", (3, 2)), place, name="d")  # type: ignore[arg-type]


def test_a_model_of_extensions_is_opened_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime_extensions")
    node = helper.make_node("StringUpper", ["x"], ["y"], domain="ai.onnx.contrib")
    values = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in "xy"]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    model = of_graph(helper.make_graph([node], "upper", values[:1], values[1:]), opset_imports=imports)
    folder = oh.deploy.azureml(model, tmp_path / "b", name="upper")
    assert "onnxruntime-extensions" in (folder / "env.yml").read_text()
    assert script(folder, monkeypatch)["run"]('{"data": ["abc"]}') == {"result": ["ABC"]}

"""`oh.scoring.deployment`: a hybrid behind Ray Serve, as tritonclient sees it, on a real cluster."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http
from hypothesis import given
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid.scoring.serving.health import Health
from onnxhybrid.scoring.serving.together import Question, alike, joined, parted
from tests import cascades
from tests.scoring import rows
from tests.servers.counted import Counted, counted


@pytest.fixture(scope="module")
def serve(cluster: Any) -> Iterator[Any]:
    """Ray Serve, which listens on loopback."""
    from ray import serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config={"log_level": "ERROR"})
    serve.onnxhybrid_url = f"127.0.0.1:{port}"
    yield serve
    serve.shutdown()


@pytest.fixture(scope="module")
def remote() -> Iterator[Counted]:
    with counted() as server:
        yield server


@pytest.fixture(scope="module")
def hybrid(serve: Any, remote: Counted, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The cascade of tests/cascades.py, which is served; three calls at most are under way."""
    path = tmp_path_factory.mktemp("served") / "hybrid.onnx"
    cascades.cascade(asked=remote.remote()).save(path)
    policy = oh.Policy(max_concurrency=3, budget={"calls": 1000})
    app = oh.scoring.deployment(
        path, name="hybrid", batch=64, wait=0.05, policy=policy, ray_actor_options={"num_cpus": 0.5}
    )
    return serve.run(app, name="served", route_prefix="/")


def ask(url: str, x: Any) -> Any:
    """What tritonclient gets, of which each thread has its own."""
    given = tritonclient.http.InferInput("x", list(x.shape), "FP32")
    given.set_data_from_numpy(x)
    threshold = tritonclient.http.InferInput("threshold", [1], "FP32")
    threshold.set_data_from_numpy(np.array([0.5], np.float32))
    with tritonclient.http.InferenceServerClient(url) as client:
        return client.infer("hybrid", [given, threshold]).as_numpy("label")


def test_tritonclient_gets_what_a_session_gives_and_requests_share_runs(
    serve: Any, hybrid: Any, remote: Counted
) -> None:
    x = rows(60)
    x[:, 1] = 0  # all are sent
    with tritonclient.http.InferenceServerClient(serve.onnxhybrid_url) as client:
        assert client.is_server_ready()
        assert client.is_model_ready("hybrid")
        assert client.get_model_metadata("hybrid")["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
    before = remote.requests
    with ThreadPoolExecutor(30) as threads:
        answers = list(threads.map(lambda start: ask(serve.onnxhybrid_url, x[start : start + 2]), range(0, 60, 2)))
    assert np.concatenate(answers).tolist() == x[:, 2].astype(int).tolist()
    assert remote.requests - before < 15, "thirty requests are a few runs"


def test_a_request_that_fails_fails_none_that_ran_with_it(serve: Any, hybrid: Any, remote: Counted) -> None:
    x = rows(8, seed=3)
    x[:, 1] = 0
    bad = tuple(x[3].tolist())
    remote.fails, remote.failure = lambda _, asked: bad in asked, "400 Bad"
    together = threading.Barrier(8)

    def one(place: int) -> Any:
        together.wait()
        try:
            return ask(serve.onnxhybrid_url, x[place : place + 1]).item()
        except tritonclient.http.InferenceServerException as problem:
            return problem.status()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(one, range(8)))
    remote.fails = lambda _, __: False
    wanted = x[:, 2].astype(int).tolist()
    assert answers == [*wanted[:3], "500", *wanted[4:]]


def test_a_handle_and_a_bad_request_are_answered(serve: Any, hybrid: Any) -> None:
    x = rows(5)
    assert hybrid.run.remote({"x": x, "threshold": np.array([0.5], np.float32)}).result()["label"].shape == (5,)
    request = urllib.request.Request(f"http://{serve.onnxhybrid_url}/v2/models/hybrid/infer", b"{", method="POST")
    with pytest.raises(urllib.request.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 400
    assert "error" in json.load(caught.value)


def test_the_limits_of_a_policy_are_those_of_all_replicas(cluster: Any, hybrid: Any) -> None:
    brokers = [name["name"] for name in cluster.util.list_named_actors(all_namespaces=True)]
    (name,) = [name for name in brokers if name.startswith("onnxhybrid-serve-hybrid")]
    standing = cluster.get(cluster.get_actor(name, namespace="onnxhybrid").standing.remote())
    assert list(standing["places"].values()) == [3]
    assert 0 < standing["spent"]["calls"] < 1000


def test_a_replica_that_fails_by_its_own_fault_is_unhealthy_and_one_whose_remote_is_away_is_not() -> None:
    health = Health()
    for _ in range(9):
        health.failed(oh.RemoteError("OH501", "no connection"))
        health.failed(oh.Error("OH540", "a bad request"))
    health.check()
    for _ in range(2):
        health.failed(MemoryError())
    health.went_well()
    for _ in range(2):
        health.failed(oh.PolicyDenied("OH670", "the broker is gone"))
    health.check()
    health.failed(RuntimeError("no thread"))
    with pytest.raises(RuntimeError, match="3 runs in a row"):
        health.check()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"batch": 0}, "OH674"),
        ({"batch": True}, "OH674"),
        ({"wait": -1}, "OH674"),
        ({"name": ""}, "OH674"),
        ({"no_such_option": 1}, "OH674"),
        ({"credentials": {"a": "s3cret"}}, "OH671"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(cluster: Any, options: Any, code: str) -> None:
    with pytest.raises(oh.Error) as caught:
        oh.scoring.deployment(cascades.cascade(), **options)
    assert caught.value.code == code


def test_a_model_without_rows_is_not_run_together(cluster: Any) -> None:
    single = cascades.cascade().declare({"x": (1, 3), "label": (1,)})
    with pytest.raises(oh.Error, match="batch=8") as caught:
        oh.scoring.deployment(single, batch=8)
    assert caught.value.code == "OH674"
    assert oh.scoring.deployment(single) is not None


def test_a_path_that_is_no_model_is_refused_where_it_is_deployed(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(oh.ModelError):
        oh.scoring.deployment(tmp_path / "nothing.onnx")


questions = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["float32", "float64"]), st.booleans(), st.sampled_from([0.1, 0.2])),
    min_size=1,
    max_size=12,
)


@given(questions)
def test_questions_that_are_run_together_get_what_each_would_get_alone(given_questions: list[Any]) -> None:
    asked = [
        Question(("y", "z") if both else ("y",), {"x": np.full((count, 2), place, kind), "t": np.array([t])}, count)
        for place, (count, kind, both, t) in enumerate(given_questions)
    ]

    def run(question: Question, feeds: Any) -> list[Any]:
        outputs = {"y": feeds["x"].sum(axis=1) + feeds["t"], "z": feeds["x"] * 2}
        return [outputs[name] for name in question.wanted]

    found: dict[int, Any] = {}
    for places in alike(asked, ["x"]):
        together = [asked[place] for place in places]
        parts = parted(together, run(together[0], joined(together, ["x"])))
        assert parts is not None
        found.update(zip(places, parts, strict=True))
    for place, question in enumerate(asked):
        for mine, alone in zip(found[place], run(question, question.feeds), strict=True):
            np.testing.assert_array_equal(mine, alone)


def test_outputs_that_have_not_as_many_rows_are_not_parted() -> None:
    asked = [Question(("y",), {"x": np.zeros((2, 1))}, 2)] * 2
    assert parted(asked, [np.zeros(3)]) is None
    assert parted(asked, [np.zeros(())]) is None

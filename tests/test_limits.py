"""What a policy limits beside addresses: requests at a time, requests in all, origins that fail, whole processes."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, raw_server, silence

# It says how long to wait, so that the pause between repeats does not outlast the breaker's.
BUSY = answer(b'{"error": "busy"}', status="503 Service Unavailable", more="retry-after-ms: 1\r\n")


def budgeted(url: str, budget: Mapping[str, Any], **options: Any) -> oh.Session:
    return oh.Session(adder(url, **options), policy=oh.Policy(budget=budget))


def test_no_more_requests_are_under_way_than_the_policy_allows_and_who_waits_in_vain_meets_its_deadline() -> None:
    arrived, leave = threading.Event(), threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        arrived.set()
        leave.wait(10)
        answer(reply())(connection, request)

    options = onnxruntime.SessionOptions()
    oh.register(options, policy=oh.Policy(max_concurrency=1))
    with raw_server(behave) as server:
        patient, hasty = (
            onnxruntime.InferenceSession(adder(server.url, timeout=timeout).to_proto().SerializeToString(), options)
            for timeout in (10.0, 0.3)
        )
        first = threading.Thread(target=patient.run, args=(None, {"x": X}))
        first.start()
        assert arrived.wait(10)
        with pytest.raises(Exception, match=r'OH502.*"attempts":0'):
            hasty.run(None, {"x": X})
        assert len(server.requests) == 1
        leave.set()
        first.join()
        hasty.run(None, {"x": X})


@pytest.mark.parametrize(
    ("budget", "passed"),
    [
        ({"calls": 2}, 2),
        ({"calls": 0}, 0),
        ({"bytes": 1000}, 2),
        ({"cost": 0.006, "price": {"adder": 0.002}}, 3),
        ({"cost": 1, "price": {"adder": 0.4, "*": 0.0}}, 2),
        ({"cost": 1, "price": {"*": 0.5}}, 2),
        ({"calls": 5, "bytes": 1_000_000, "cost": 0.5, "price": {"adder": 0.5}}, 1),
    ],
)
def test_what_is_over_the_budget_is_not_sent(budget: dict[str, Any], passed: int) -> None:
    body = reply().ljust(400)
    with raw_server(answer(body)) as server:
        session = budgeted(server.url, budget)
        for _ in range(passed):
            session.run(None, {"x": X})
        for _ in range(2):
            with pytest.raises(oh.PolicyDenied, match="OH521") as caught:
                session.run(None, {"x": X})
            assert (caught.value.attempts, caught.value.node) == (0, "adder")
    assert len(server.requests) == passed
    assert session.stats()["adder"].errors == {"OH521": 2}


def test_repeats_count_and_a_repeat_over_the_budget_leaves_the_servers_own_failure() -> None:
    with raw_server(BUSY) as server:
        session = budgeted(server.url, {"calls": 2}, retries=5)
        with pytest.raises(oh.RemoteStatusError, match="busy") as caught:
            session.run(None, {"x": X})
        assert caught.value.attempts == 2
        with pytest.raises(oh.PolicyDenied, match="OH521"):
            session.run(None, {"x": X})
    assert len(server.requests) == 2


def test_a_cost_without_a_price_is_refused_rather_than_free() -> None:
    with raw_server(answer(reply())) as server:
        with pytest.raises(oh.PolicyDenied, match="OH522"):
            budgeted(server.url, {"cost": 5.0, "price": {"other": 1.0}}).run(None, {"x": X})
        assert not server.requests
        budgeted(server.url, {"cost": 5.0, "price": {"*": 0}}).run(None, {"x": X})


def test_a_budget_holds_for_all_nodes_and_threads_of_a_session_together() -> None:
    with raw_server(answer(reply())) as server:
        model = oh.parallel(a=adder(server.url, on_error="flag"), b=adder(server.url, on_error="flag")).bind(x=X)
        session = oh.Session(model, policy=oh.Policy(budget={"calls": 11}))
        results: list[Any] = []
        threads = [threading.Thread(target=lambda: results.append(session.run(["a/ok", "b/ok"], {}))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(bool(ok) for both in results for ok in both) == 11
    assert len(server.requests) == 11


def test_a_breaker_lets_an_origin_that_fails_alone_and_probes_it_after_the_pause() -> None:
    works = threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        (answer(reply()) if works.is_set() else BUSY)(connection, request)

    with raw_server(behave) as server:
        policy = oh.Policy(breaker={"failures": 3, "pause": 0.2})
        session = oh.Session(adder(server.url, retries=1), policy=policy)
        for attempts in (2, 1):  # the third failure in a row opens it, and no repeat follows
            with pytest.raises(oh.RemoteStatusError, match="OH503") as caught:
                session.run(None, {"x": X})
            assert caught.value.attempts == attempts
        with pytest.raises(oh.PolicyDenied, match="OH523"):
            session.run(None, {"x": X})
        assert len(server.requests) == 3
        works.set()
        refused = oh.Session(adder(server.url), policy=policy)  # another session, another breaker
        refused.run(None, {"x": X})
        while True:
            try:
                session.run(None, {"x": X})
                break
            except oh.PolicyDenied:
                continue
        session.run(None, {"x": X})


def test_a_breaker_does_not_mind_mistakes_of_the_caller() -> None:
    refusing = answer(b'{"error": "no"}', status="404 Not Found")
    with raw_server(refusing) as server:
        session = oh.Session(adder(server.url), policy=oh.Policy(breaker={"failures": 1}))
        for _ in range(3):
            with pytest.raises(oh.RemoteStatusError):
                session.run(None, {"x": X})
    assert len(server.requests) == 3


def test_a_server_that_stays_silent_opens_the_breaker() -> None:
    with raw_server(silence) as server:
        session = oh.Session(adder(server.url, timeout=0.2), policy=oh.Policy(breaker={"failures": 1}))
        with pytest.raises(oh.RemoteTimeout):
            session.run(None, {"x": X})
        with pytest.raises(oh.PolicyDenied, match="OH523"):
            session.run(None, {"x": X})


@pytest.mark.parametrize("allow", ["", "example.com", "https://127.0.0.1, 10.0.0.0/8"])
def test_the_environment_restricts_every_session_of_the_process(allow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXHYBRID_ALLOW", allow)
    with raw_server(answer(reply())) as server:
        for policy in (None, oh.Policy(allow=["127.0.0.1"])):
            with pytest.raises(oh.PolicyDenied, match=r"OH520.*ONNXHYBRID_ALLOW"):
                oh.Session(adder(server.url), policy=policy).run(None, {"x": X})
    assert not server.requests


def test_the_environment_and_the_sessions_policy_must_both_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXHYBRID_ALLOW", "example.com, 127.0.0.1")
    with raw_server(answer(reply())) as server:
        (y,) = oh.Session(adder(server.url)).run(None, {"x": X})
        assert y.shape == (2, 2)
        with pytest.raises(oh.PolicyDenied, match="OH520"):
            oh.Session(adder(server.url), policy=oh.Policy(allow=["example.com"])).run(None, {"x": X})
        monkeypatch.setenv("ONNXHYBRID_ALLOW", "http://[")
        with pytest.raises(oh.Error, match=r"OH530.*ONNXHYBRID_ALLOW"):
            oh.Session(adder(server.url))
    assert len(server.requests) == 1


@pytest.mark.parametrize("settings", [
    {"max_concurrency": 0}, {"max_concurrency": 1.5}, {"budget": 5}, {"budget": {"call": 1}}, {"budget": {"calls": -1}},
    {"budget": {"bytes": 1.5}}, {"budget": {"cost": float("nan")}}, {"budget": {"cost": "5"}},
    {"budget": {"price": {"a": -1}}}, {"budget": {"price": [1]}}, {"breaker": 5}, {"breaker": {"failures": 0}},
    {"breaker": {"pause": -1}}, {"breaker": {"errors": 1}}, {"ca_file": 5}, {"ca_file": ""},
    {"client_certificate": "c.pem"}, {"client_certificate": ("c.pem",)}, {"client_certificate": ("c.pem", 5)},
])  # fmt: skip
def test_a_limit_that_cannot_be_is_refused_where_it_is_made(settings: dict[str, Any]) -> None:
    with pytest.raises(oh.Error, match="OH530"):
        oh.Policy(**settings)


_LIMIT = st.none() | st.integers(0, 2**62)
_MONEY = st.floats(0, 1e9)
_PRICES = st.dictionaries(st.text(), _MONEY)


@given(
    st.fixed_dictionaries(
        {},
        optional={"calls": _LIMIT, "bytes": _LIMIT, "cost": st.none() | _MONEY, "price": _PRICES},
    ),
    st.none() | st.integers(1, 1 << 20),
    st.none() | st.fixed_dictionaries({}, optional={"failures": st.integers(1, 9), "pause": st.floats(0, 86_400)}),
)  # fmt: skip
def test_every_policy_that_can_be_made_is_one_for_the_library(
    budget: dict[str, Any], concurrency: int | None, breaker: dict[str, float] | None
) -> None:
    policy = oh.Policy(budget=budget, max_concurrency=concurrency, breaker=breaker)
    oh.register(onnxruntime.SessionOptions(), policy=policy)


def test_the_values_pass_a_policy_with_every_limit_unchanged() -> None:
    policy = oh.Policy(
        allow=["127.0.0.1"], max_concurrency=4, budget={"calls": 9, "bytes": 10**6, "cost": 1, "price": {"*": 0.1}},
        breaker={"failures": 2},
    )  # fmt: skip
    with raw_server(answer(reply())) as server:
        (y,) = oh.Session(adder(server.url), policy=policy).run(None, {"x": X})
    np.testing.assert_array_equal(y, np.array([[1, 2], [3, 4]], np.float32))


def test_a_price_by_the_models_name_counts_where_the_model_is_an_option_of_the_call() -> None:
    reply = b'{"choices": [{"message": {"content": "hi"}}]}'
    with raw_server(answer(reply)) as server:
        model = oh.remote.openai_chat("gpt-4o", url=server.url, auth=None, name="composed/cloud", retries=0)
        policy = oh.Policy(budget={"cost": 0.01, "price": {"gpt-4o": 0.006}})
        session = oh.Session(model, policy=policy)
        session.run(None, {"prompt": np.array(["a"], object)})
        with pytest.raises(oh.PolicyDenied, match="OH521"):
            session.run(None, {"prompt": np.array(["a"], object)})
    assert len(server.requests) == 1


CHATTING = answer(b'{"choices": [{"message": {"content": "hi"}}]}')
PRICES = {"dear": 1.0, "cheap": 0.0, "*": 0.0}


def _named(name: str | None = None) -> dict[str, Any]:
    return {"auth": None, "retries": 0, "name": name}


def _one_text(url: str, protocol: str, **attributes: Any) -> oh.Model:
    """A node of a file that was made without the builders."""
    fields: dict[str, Any] = {
        "protocol": protocol,
        "endpoint": url,
        "output_names": '["y"]',
        "auth": "none",
        "retries": 0,
        **attributes,
    }
    inputs = {
        name: TensorProto.UINT8 if name == "file" else TensorProto.STRING for name in json.loads(fields["input_names"])
    }
    node = helper.make_node("Invoke", list(inputs), ["y"], name="cheap", domain="ai.onnxhybrid", **fields)
    values = [helper.make_tensor_value_info(name, kind, ["n"]) for name, kind in inputs.items()]
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", TensorProto.STRING, [1])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=8))


DEAR: dict[str, Callable[[str], oh.Model]] = {
    "named as a cheap one": lambda url: oh.remote.openai_chat("dear", url=url, **_named("cheap")),
    "composed": lambda url: oh.fallback(*[oh.remote.openai_chat("dear", url=url, **_named())] * 2),
    "an input": lambda url: oh.remote.openai_chat(oh.Input("model", default="dear"), url=url, **_named("cheap")),
    "in another case": lambda url: oh.remote.openai_chat(" Dear", url=url, **_named()),
    "a whole body": lambda url: oh.remote.openai_chat("cheap", url=url, raw=True, **_named("cheap")),
    "embeddings": lambda url: oh.remote.openai_embeddings(oh.Input("model", default="dear"), url=url, **_named()),
    "azure": lambda url: oh.remote.azure_openai_chat(url, "dear", api_version="1", **_named("cheap")),
    "azure, an input": lambda url: oh.remote.azure_openai_chat(
        url, oh.Input("deployment", default="dear"), api_version="1", **_named("cheap")
    ),
    "a deployment in the path": lambda url: oh.remote.openai_chat(
        "cheap", url=f"{url}/openai/deployments/dear", **_named("cheap")
    ),
    "triton": lambda url: oh.remote.triton(
        url,
        "dear",
        inputs=[oh.TensorSpec("prompt", "str", ("n",))],
        outputs=[oh.TensorSpec("y", "str", None)],
        **_named("cheap"),
    ),
    "azureml": lambda url: oh.remote.azureml(
        url,
        deployment="dear",
        inputs=[oh.TensorSpec("prompt", "str", ("n",))],
        outputs=[oh.TensorSpec("y", "str", None)],
        **_named("cheap"),
    ),
    "a field of a form": lambda url: _one_text(
        url, "legacy.form", input_names='["file"]', fields='[["model", "dear"]]'
    ),
    "an input of a form": lambda url: _one_text(url, "legacy.form", input_names='["file", "model"]'),
    "a body as it is": lambda url: _one_text(url, "legacy.text", input_names='["body"]'),
}


@pytest.mark.parametrize("way", DEAR)
def test_the_price_is_that_of_the_model_that_is_sent_however_the_node_is_called(way: str) -> None:
    with raw_server(CHATTING) as server:
        model = DEAR[way](server.url)
        session = oh.Session(model, policy=oh.Policy(budget={"cost": 2.0, "price": PRICES}))
        texts = {"body": '{"model": "dear"}', **({"prompt": '{"model": "dear"}'} if way == "a whole body" else {})}
        feeds = {spec.name: np.array([texts.get(spec.name, "dear")]) for spec in model.inputs}
        feeds.update({"file": np.zeros(3, np.uint8)} if "file" in feeds else {})
        codes = []
        for _ in range(4):
            try:
                session.run(None, feeds)
                codes.append("")
            except oh.RemoteError as error:
                codes.append(error.code)
    assert len(server.requests) == 2
    assert codes[-1] == "OH521"


def test_a_model_that_has_no_price_is_refused_before_anything_is_sent_also_where_an_input_names_it() -> None:
    budget = {"cost": 1.0, "price": {"known": 0.1}}
    with raw_server(CHATTING) as server:
        model = oh.remote.openai_chat(oh.Input("model"), url=server.url, **_named("known"))
        session = oh.Session(model, policy=oh.Policy(budget=budget))
        session.run(None, {"prompt": np.array(["x"]), "model": np.array(["known"])})
        with pytest.raises(oh.PolicyDenied, match=r"OH522.*no price for the model"):
            session.run(None, {"prompt": np.array(["x"]), "model": np.array(["unknown"])})
    assert len(server.requests) == 1


@pytest.mark.parametrize("retries", [0, 3])
def test_every_request_that_reaches_a_server_is_paid_also_where_kept_connections_die(retries: int) -> None:
    seen: dict[socket.socket, int] = {}

    def behave(connection: socket.socket, request: bytes) -> None:
        seen[connection] = seen.get(connection, 0) + 1
        if seen[connection] > 1:  # a kept connection: it ends
            connection.shutdown(socket.SHUT_RDWR)
            return
        answer(reply())(connection, request)

    with raw_server(behave) as server:
        session = budgeted(server.url, {"calls": 4}, retries=retries)
        answered = 0
        for _ in range(6):
            with contextlib.suppress(oh.RemoteError):
                session.run(None, {"x": X})
                answered += 1
        (stats,) = session.stats().values()
    assert len(server.requests) == 4
    assert stats.retries == 4 - answered

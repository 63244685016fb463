"""Prices by tokens: what a service says it used is what a call costs."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxhybrid as oh
from tests.remotes import X, adder, in_turn, reply
from tests.servers.raw import answer, raw_server

PRICE = {"request": 0.5, "input_token": 0.001, "output_token": 0.01}
TEXTS = np.array(["a"])
VECTOR = [{"index": 0, "embedding": [1.0]}]


def said(usage: object, **others: object) -> bytes:
    """An answer of every service of the OpenAI API at once, with this usage."""
    return json.dumps(
        {
            "choices": [{"message": {"content": "hi"}}],
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
            "data": VECTOR,
            "text": "hi",
            **others,
            "usage": usage,
        }
    ).encode()


def priced(model: oh.Model, price: object = PRICE, **limits: Any) -> oh.Session:
    return oh.Session(model, policy=oh.Policy(budget={"price": {"m": price}, **limits}))


def chat(url: str, **options: Any) -> oh.Model:
    settings = {"auth": None, "retries": 0, "name": "cloud", "timeout": 5.0, **options}
    return oh.remote.openai_chat("m", url=url, **settings)


_SETTINGS: dict[str, Any] = {"auth": None, "retries": 0, "name": "cloud"}
CHATTED = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
NEWER = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 19}, "output_tokens": 3, "total_tokens": 23}
SERVICES: dict[str, tuple[Callable[[str], oh.Model], dict[str, Any], int]] = {
    "chat": (chat, CHATTED, 3),
    "chat in newer words": (chat, NEWER, 3),
    "azure chat": (
        lambda url: oh.remote.azure_openai_chat(url, "m", api_version="v1", **_SETTINGS),
        CHATTED,
        3,
    ),
    "responses": (lambda url: oh.remote.openai_responses("m", url=url, **_SETTINGS), NEWER, 3),
    "embeddings": (
        lambda url: oh.remote.openai_embeddings("m", url=url, **_SETTINGS),
        {"prompt_tokens": 20, "total_tokens": 20},
        0,
    ),
    "audio": (
        lambda url: oh.remote.openai_audio("m", url=url, **_SETTINGS),
        {"type": "tokens", "input_token_details": {"audio_tokens": 18}, **NEWER},
        3,
    ),
}


def run(session: oh.Session) -> None:
    (spec,) = session.get_inputs()
    session.run(None, {spec.name: np.zeros(3, np.uint8) if "uint8" in spec.type else TEXTS})


@pytest.mark.parametrize("service", SERVICES)
def test_a_call_costs_what_the_service_says_it_used(service: str) -> None:
    build, usage, output = SERVICES[service]
    cost = 0.5 + 20 * 0.001 + output * 0.01
    with raw_server(answer(said(usage))) as server:
        session = priced(build(server.url), cost=2 * cost + 0.499)
        for times in (1, 2):
            run(session)
            stats = session.stats()
            node, budget = stats["cloud"], stats.budget
            assert node.spent == pytest.approx(times * cost)
            assert (node.input_tokens, node.output_tokens) == (times * 20, times * output)
            assert budget is not None
            assert budget.cost == pytest.approx(times * cost)
            assert budget.left == {"cost": pytest.approx((2 - times) * cost + 0.499)}
        with pytest.raises(oh.PolicyDenied, match="OH521"):
            run(session)
    assert len(server.requests) == 2


def test_each_row_of_a_batch_is_paid_and_rows_side_by_side_add_up() -> None:
    with raw_server(answer(said(CHATTED))) as server:
        session = priced(chat(server.url))
        session.run(None, {"prompt": np.array([f"row {index}" for index in range(20)])})
    assert session.stats()["cloud"].spent == pytest.approx(20 * 0.55)
    assert session.stats()["cloud"].output_tokens == 60


@pytest.mark.parametrize("status", ["500 Internal Server Error", "400 Bad Request", "200 OK"])
def test_an_answer_that_is_a_failure_is_paid_where_it_says_what_it_used(status: str) -> None:
    body = said(CHATTED, error={"message": "the filter took it away"}, choices=[])
    with raw_server(answer(body, status=status)) as server:
        session = priced(chat(server.url))
        with pytest.raises(oh.RemoteError):
            run(session)
    assert session.stats()["cloud"].spent == pytest.approx(0.55)


def test_repeats_are_paid_each_by_its_own_answer() -> None:
    busy = answer(b'{"error": "busy"}', status="503 Service Unavailable", more="retry-after-ms: 1\r\n")
    with raw_server(in_turn(iter([busy, busy, answer(said(CHATTED))]))) as server:
        session = priced(chat(server.url, retries=2))
        run(session)
    assert session.stats()["cloud"].spent == pytest.approx(3 * 0.5 + 0.05)


@pytest.mark.parametrize("usage", [None, {}, {"type": "duration", "seconds": 3}, {"total_tokens": 5}])
def test_where_a_success_says_nothing_of_tokens_each_byte_is_one(usage: object) -> None:
    body = said(usage)
    with raw_server(answer(body)) as server:
        session = priced(chat(server.url))
        run(session)
    sent = len(server.requests[0].partition(b"\r\n\r\n")[2])
    node = session.stats()["cloud"]
    assert (node.input_tokens, node.output_tokens) == (sent, len(body))
    assert node.spent == pytest.approx(0.5 + sent * 0.001 + len(body) * 0.01)


def test_a_service_that_knows_no_tokens_is_paid_by_its_bytes_too() -> None:
    body = reply()
    with raw_server(answer(body)) as server:
        session = oh.Session(adder(server.url), policy=oh.Policy(budget={"price": {"*": {"output_token": 1e-6}}}))
        session.run(None, {"x": X})
    assert session.stats()["adder"].spent == pytest.approx(len(body) * 1e-6)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(sorted(CHATTED)), inner, max_size=3),
    max_leaves=5,
)


@given(
    usage=_VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys([*CHATTED, *NEWER], _VALUES)),
    price=st.sampled_from([1e9, 1e-12, 0.0]),
)
def test_no_usage_however_strange_breaks_a_call_or_lowers_what_was_spent(usage: object, price: float) -> None:
    with raw_server(answer(said(usage))) as server:
        session = priced(chat(server.url), {"request": 1, "input_token": price, "output_token": price})
        run(session)
    stats = session.stats()
    assert 1 <= stats["cloud"].spent < 1e11
    assert stats.budget is not None
    assert stats.budget.cost == pytest.approx(stats["cloud"].spent)


def test_what_a_request_allows_is_set_aside_before_it_is_sent() -> None:
    with raw_server(answer(said(CHATTED))) as server:
        session = priced(chat(server.url, max_tokens=60), cost=1.0)
        with pytest.raises(oh.PolicyDenied, match=r"OH521.*cost"):
            run(session)
        assert not server.requests
        session = priced(chat(server.url, max_tokens=50), cost=1.0)
        run(session)  # it used 3 of them: the rest is free again
        assert session.stats()["cloud"].spent == pytest.approx(0.55)


def test_what_was_set_aside_stays_spent_where_no_answer_came() -> None:
    leave = threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        leave.wait(10)

    with raw_server(behave) as server:
        session = priced(chat(server.url, max_tokens=50, timeout=0.3))
        with pytest.raises(oh.RemoteTimeout):
            run(session)
        leave.set()
    assert session.stats()["cloud"].spent == pytest.approx(1.0)


def test_only_the_price_of_the_request_is_spent_where_nobody_was_reached() -> None:
    with raw_server(answer(b"")) as server:
        pass
    session = priced(chat(server.url, max_tokens=50))
    with pytest.raises(oh.RemoteRefused):
        run(session)
    assert session.stats()["cloud"].spent == pytest.approx(0.5)


@given(answers=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 30)), min_size=1, max_size=12))
def test_the_cost_is_never_passed_by_more_than_the_one_call_under_way(answers: list[tuple[int, int]]) -> None:
    costs = [0.01 + 0.001 * sent + 0.01 * came for sent, came in answers]
    bodies = [said({"prompt_tokens": sent, "completion_tokens": came}) for sent, came in answers]
    with raw_server(in_turn(answer(body) for body in bodies)) as server:
        session = priced(chat(server.url), {**PRICE, "request": 0.01}, cost=0.5)
        passed = 0
        for _ in answers:
            try:
                run(session)
            except oh.PolicyDenied:
                break
            passed += 1
    assert session.stats()["cloud"].spent == pytest.approx(sum(costs[:passed]))
    assert sum(costs[: max(passed - 1, 0)]) + 0.01 <= 0.5 + 1e-9
    assert passed == len(answers) or sum(costs[:passed]) + 0.01 > 0.5 - 1e-9


def test_a_session_without_a_budget_spends_nothing_and_says_nothing_of_one() -> None:
    with raw_server(answer(said(CHATTED))) as server:
        session = oh.Session(chat(server.url))
        run(session)
    stats = session.stats()
    assert (stats["cloud"].spent, stats["cloud"].input_tokens, stats.budget) == (0.0, 0, None)

"""`oh.Policy.strict`: what a file from a stranger gets is what was named, and no more than the ceilings."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

import onnxhybrid as oh
from onnxhybrid.runtime.ceilings import node_count
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import answer, raw_server, silence


def _run(model: oh.Model, policy: oh.Policy, **settings: Any) -> None:
    oh.Session(model, policy=policy, **settings).run(None, {"x": X})


def test_nothing_is_called_but_what_is_named_this_machine_included() -> None:
    with raw_server(answer(reply())) as server:
        port = server.url.rpartition(":")[2]
        here, by_name = adder(server.url), adder(f"http://localhost:{port}")
        for allow in ([], ["gpu.example"], ["localhost"], ["127.0.0.1:1"], ["https://127.0.0.1"]):
            with pytest.raises(oh.PolicyDenied, match="OH520"):
                _run(here, oh.Policy.strict(allow))
        with pytest.raises(oh.PolicyDenied, match="OH520"):
            _run(by_name, oh.Policy.strict(["*.localhost"]))
        assert not server.requests
        for model, allow in ((here, [server.url]), (here, ["127.0.0.0/8"]), (by_name, ["localhost"])):
            _run(model, oh.Policy.strict(allow))
    assert len(server.requests) == 3


def test_the_environment_gives_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_C", TOKEN)
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_C_HOSTS", "127.0.0.1")
    with raw_server(answer(reply())) as server:
        model, policy = adder(server.url, auth=oh.Credential("c")), oh.Policy.strict([server.url])
        with pytest.raises(oh.CredentialError, match=r"OH510.*strict"):
            _run(model, policy)
        assert not server.requests
        _run(model, policy, credentials={"c": TOKEN})
        oh.Session(model).run(None, {"x": X})  # any other policy takes it
    assert len(server.requests) == 2


def test_a_deadline_and_repeats_end_at_their_ceilings() -> None:
    with raw_server(silence) as server:
        started = time.monotonic()
        with pytest.raises(oh.RemoteTimeout, match="no answer within 200 ms"):
            _run(adder(server.url, timeout=3600.0), oh.Policy.strict([server.url], max_timeout=0.2))
        assert time.monotonic() - started < 5
    with raw_server(answer(b"", status="503 Service Unavailable")) as server:
        model, policy = adder(server.url, retries=100), oh.Policy.strict([server.url], max_retries=1)
        with pytest.raises(oh.RemoteStatusError) as caught:
            _run(model, policy)
    assert caught.value.attempts == len(server.requests) == 2


def test_a_request_above_its_ceiling_is_not_sent_and_an_answer_not_read() -> None:
    with raw_server(answer(reply())) as server:
        with pytest.raises(oh.PolicyDenied, match=r"OH524.*more than the 100"):
            _run(adder(server.url), oh.Policy.strict([server.url], max_request_bytes=100))
        assert not server.requests
        with pytest.raises(oh.ProtocolError, match="OH507"):
            _run(adder(server.url), oh.Policy.strict([server.url], max_response_bytes=10))


def _bomb(depth: int, width: int) -> oh.Model:
    """Functions that call the next one `width` times, `depth` of them."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = []
    for level in range(depth):
        kind, domain = ("Identity", "") if level == depth - 1 else (f"f{level + 1}", "f")
        names = ["x", *(f"v{index}" for index in range(width - 1)), "y"]
        nodes = [helper.make_node(kind, [a], [b], domain=domain) for a, b in itertools.pairwise(names)]
        functions.append(helper.make_function("f", f"f{level}", ["x"], ["y"], nodes, opsets))
    value = [helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("f0", ["x"], ["y"], domain="f")], "g", value[:1], value[1:])
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8))


@given(depth=st.integers(1, 5), width=st.integers(1, 4))
def test_nodes_are_counted_with_functions_put_in_place(depth: int, width: int) -> None:
    assert node_count(_bomb(depth, width).skeleton, 10_000) == width**depth


def test_a_bomb_of_functions_is_refused_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(oh.ModelError, match="OH131"):
        _bomb(40, 10)
    with pytest.raises(oh.PolicyDenied, match=r"OH524.*1000 nodes"):
        oh.Session(_bomb(4, 10), policy=oh.Policy.strict([], max_nodes=1000))
    assert time.monotonic() - started < 5
    session = oh.Session(_bomb(3, 3), policy=oh.Policy.strict([], max_nodes=27))
    np.testing.assert_array_equal(session.run(None, {"x": np.ones(1, np.float32)})[0], [1.0])


def test_a_file_is_held_to_them_as_a_model_is(tmp_path: Path) -> None:
    path = tmp_path / "bomb.onnx"
    _bomb(3, 3).save(path)
    with pytest.raises(oh.PolicyDenied, match="OH524"):
        oh.Session(path, policy=oh.Policy.strict([], max_nodes=26))
    oh.Session(path, policy=oh.Policy.strict([], max_nodes=27))


@pytest.mark.parametrize(
    "settings",
    [
        {"allow": None}, {"max_timeout": 0}, {"max_timeout": "5"}, {"max_timeout": float("nan")}, {"max_retries": -1},
        {"max_retries": True}, {"max_request_bytes": 1.5}, {"max_nodes": None}, {"max_concurrency": 0}, {"deny": "h"},
    ],
)  # fmt: skip
def test_a_ceiling_of_another_kind_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(oh.Error, match="OH530"):
        oh.Policy.strict(**{"allow": [], **settings})
    with pytest.raises(oh.Error, match="OH530"):
        oh.Policy(ceilings=5)  # type: ignore[arg-type]

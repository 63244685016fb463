"""A token goes to the hosts and origins that it is for, encrypted; and validate sees the host that a call goes to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from onnx import helper

import onnxhybrid as oh
from onnxhybrid import library
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import RawServer, answer, raw_server


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """What leaves this machine in clear: the proxy for all hosts but loopback."""
    with raw_server(answer(reply())) as server:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("http_proxy", server.url)
        yield server


SECRETS: dict[str, Any] = {
    "a text": TOKEN,
    "no hosts": oh.Secret(lambda: TOKEN),
    "the host": oh.Secret(TOKEN, hosts=["gpu.invalid"]),
    "host and port": oh.Secret(TOKEN, hosts=["gpu.invalid:80"]),
    "its other origin": oh.Secret(TOKEN, hosts=["https://gpu.invalid", "http://gpu.invalid:81"]),
}


@pytest.mark.parametrize("secret", SECRETS)
def test_no_credential_leaves_this_machine_in_clear(secret: str, outside: RawServer) -> None:
    model = adder("http://gpu.invalid", auth=oh.Credential("gpu"))
    for policy in (None, oh.Policy(allow=["gpu.invalid"]), oh.Policy(allow=["https://gpu.invalid", "gpu.invalid"])):
        with pytest.raises(oh.CredentialError, match=r"OH511.*gpu\.invalid"):
            oh.Session(model, credentials={"gpu": SECRETS[secret]}, policy=policy).run(None, {"x": X})
    assert not outside.requests


def test_a_credential_of_the_environment_or_an_input_does_neither(
    outside: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_GPU", TOKEN)
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_GPU_HOSTS", "gpu.invalid")
    given_as = {"input": oh.Input("token"), "credential": oh.Credential("gpu")}
    for auth in given_as.values():
        feeds = {"x": X, "token": np.array([TOKEN])} if auth is given_as["input"] else {"x": X}
        with pytest.raises(oh.CredentialError, match=r"OH511.*unencrypted"):
            oh.Session(adder("http://gpu.invalid", auth=auth)).run(None, feeds)
    with pytest.raises(oh.CredentialError, match=r"OH511.*unencrypted"):
        oh.remote.triton("http://gpu.invalid", "adder", auth=oh.Credential("gpu"))
    assert not outside.requests


@pytest.mark.parametrize("way", ["policy", "hosts", "process"])
def test_it_does_where_an_origin_that_begins_with_http_is_named(
    way: str, outside: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = "http://gpu.invalid"
    if way == "process":
        monkeypatch.setenv("ONNXHYBRID_ALLOW", origin)
    secret = oh.Secret(TOKEN, hosts=[origin if way == "hosts" else "gpu.invalid"])
    policy = oh.Policy(allow=[origin]) if way == "policy" else None
    oh.Session(adder(origin, auth=oh.Credential("gpu")), credentials={"gpu": secret}, policy=policy).run(None, {"x": X})
    assert TOKEN.encode() in outside.requests[0]


def test_a_credential_that_is_bound_to_an_origin_goes_to_that_one_alone() -> None:
    with raw_server(answer(reply())) as server:
        host = server.url.removeprefix("http://")
        model = adder(server.url, auth=oh.Credential("gpu"))
        for hosts in ([f"https://{host}"], ["http://127.0.0.1:1"], ["http://127.0.0.1"]):
            with pytest.raises(oh.CredentialError, match="OH511"):
                oh.Session(model, credentials={"gpu": oh.Secret(TOKEN, hosts=hosts)}).run(None, {"x": X})
        assert not server.requests
        oh.Session(model, credentials={"gpu": oh.Secret(TOKEN, hosts=[server.url])}).run(None, {"x": X})
        oh.Session(model, credentials={"gpu": oh.Secret(TOKEN, hosts=[host])}).run(None, {"x": X})
    assert len(server.requests) == 2


def _file(endpoint: str) -> oh.Model:
    """A file whose endpoint no builder has looked at."""
    proto = adder("http://127.0.0.1:1").to_proto()
    (node,) = [node for node in proto.graph.node if node.op_type == "Invoke"]
    kept = [attribute for attribute in node.attribute if attribute.name != "endpoint"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("endpoint", endpoint)])
    return oh.Model.from_proto(proto)


_PIECES = st.one_of(
    st.sampled_from(["http", "HTTP", ":", "/", "//", "\\", "@", ".", "#", "?", "%2e", ":80", "user", "\t", "\n", " "]),
    st.sampled_from(["evil.invalid", "localhost", "127.0.0.1", "[::1]", "0x7f.1", "é", "\u3002"]),
)


@given(endpoint=st.lists(_PIECES, min_size=1, max_size=6).map("".join).map("http:".__add__))
@example(endpoint="http://evil.invalid\\.localhost")
@example(endpoint="http://evil.invalid\\@localhost")
@example(endpoint="http:\\\\evil.invalid")
@example(endpoint="http:evil.invalid")
@example(endpoint="HTTP://evil.invalid:80/base")
@example(endpoint="http:///evil.invalid")
@example(endpoint="http://localhost\u3002evil.invalid")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_leaves_this_machine_is_what_validate_says_of_it(endpoint: str, outside: RawServer) -> None:
    outside.requests.clear()
    assume("localhost" not in endpoint or "evil" in endpoint)
    model = _file(endpoint)
    codes = {finding.code for finding in oh.validate(model).findings}
    try:
        oh.Session(model).run(None, {"x": X})
    except oh.Error as error:
        assert (error.code in ("OH301", "OH303")) == bool(codes & {"OH301", "OH303"})
    if outside.requests:
        assert "OH307" in codes
        line = outside.requests[0].split(b"\r\n")[0].decode()
        assert line.startswith(f"POST http://{library.endpoint(endpoint)['host']}")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://.",
        "https://..",
        "http://\u3002/v2",
        "http://h\0.localhost",
        "http://\ud800",
        "grpc:h",
        "http://h/\u00a0",
    ],
)
def test_odd_texts_are_no_endpoints(endpoint: str) -> None:
    assert "problem" in library.endpoint(endpoint)

"""Calls through the proxies that the environment names: HTTP with and without TLS, and SOCKS."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

import onnxhybrid as oh
from tests.remotes import X, adder, reply
from tests.servers.proxies import Greet, connect, proxy, socks
from tests.servers.raw import RawServer, answer, raw_server

AUTHORITY = trustme.CA()

Call = Callable[..., str]


@pytest.fixture
def authority(tmp_path: Path) -> str:
    """The PEM file of the authority that signs all."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A server of right answers."""
    with raw_server(answer(reply())) as made:
        yield made


def _context(*names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Says what comes of a call, in an environment without other proxies than these."""

    def made(url: str, **variables: str) -> str:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
                patch.delenv(name)
            for name, value in variables.items():
                patch.setenv(name, value)
            try:
                (y,) = oh.Session(adder(url)).run(None, {"x": X})
            except oh.RemoteError as error:
                assert not any(secret in str(error) + repr(vars(error)) for secret in ("s3cret", "czNjcmV0"))
                return str(error)
        return "answered" if y.shape == (2, 2) else "wrong"

    return made


def test_the_environments_proxy_carries_plain_requests_and_is_asked_for_a_tunnel(call: Call) -> None:
    def behave(connection: socket.socket, request: bytes) -> None:
        tunnel = request.startswith(b"CONNECT ")
        (answer(b"", status="403 Forbidden") if tunnel else answer(reply()))(connection, request)

    with raw_server(behave) as proxy:
        url = proxy.url.replace("://", "://user:s3cret@")
        assert call("http://model.invalid/base", HTTP_PROXY=url) == "answered"
        assert "OH501" in call("https://model.invalid", HTTPS_PROXY=url)
    plain, tunnel = proxy.requests
    assert plain.startswith(b"POST http://model.invalid/base/v2/models/adder/infer HTTP/1.1\r\n")
    assert b"proxy-authorization: basic dxnlcjpzm2nyzxq=" in plain.lower()
    assert tunnel.startswith(b"CONNECT model.invalid:443 HTTP/1.1\r\n")


def test_a_socks_proxy_is_asked_for_the_name_or_for_the_address(call: Call, server: RawServer) -> None:
    with proxy(socks(), server.url) as made:
        assert call("http://model.invalid:81", ALL_PROXY=f"socks5h://127.0.0.1:{made.port}") == "answered"
        assert call("http://192.0.2.7", http_proxy=f"socks5://127.0.0.1:{made.port}") == "answered"
        assert "OH501" in call("http://model.invalid", http_proxy=f"socks5://127.0.0.1:{made.port}")
    assert made.asked == ["model.invalid:81", "192.0.2.7:80"]
    assert server.requests[0].startswith(b"POST /v2/models/adder/infer HTTP/1.1\r\n")
    assert b"proxy" not in server.requests[0].lower()


def test_a_socks_proxy_is_logged_in_to_and_a_wrong_login_is_an_error_without_it(call: Call, server: RawServer) -> None:
    with proxy(socks(login=("user", "s3cret:@")), server.url) as made:
        at = f"127.0.0.1:{made.port}"
        assert call("http://model.invalid", ALL_PROXY=f"socks5h://user:s3cret%3A%40@{at}") == "answered"
        assert "OH501" in call("http://model.invalid", ALL_PROXY=f"socks5h://user:s3cret@{at}")
        assert "wants a user" in call("http://model.invalid", ALL_PROXY=f"socks5h://{at}")
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", [1, 2, 5, 8, 77])
def test_a_socks_proxy_that_refuses_is_a_coded_error(call: Call, reply: int, server: RawServer) -> None:
    with proxy(socks(reply=reply), server.url) as made:
        said = call("http://model.invalid", ALL_PROXY=f"socks5h://user:s3cret@127.0.0.1:{made.port}")
    assert said.startswith("[OH501]")
    assert "the proxy refused model.invalid:80" in said


@pytest.mark.parametrize(
    "greeting", [b"", b"\5", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\5\0\5\0\0\7", b"\5\0\5\0\0\3\xff"]
)
def test_a_server_that_speaks_no_socks_is_a_coded_error(call: Call, greeting: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        connection, _ = listener.accept()
        with contextlib.suppress(OSError), connection:
            connection.sendall(greeting)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(100):
                pass

    thread = threading.Thread(target=speak)
    thread.start()
    said = call("http://model.invalid", ALL_PROXY=f"socks5h://127.0.0.1:{listener.getsockname()[1]}")
    thread.join(10)
    listener.close()
    assert said.startswith("[OH501]")


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_server_with_tls_is_reached_through_a_proxy_of_each_kind(
    call: Call, scheme: str, server: RawServer, authority: str
) -> None:
    greet: Greet = socks(login=("user", "s3cret")) if scheme == "socks5h" else connect
    context = _context("localhost") if scheme == "https" else None
    with (
        proxy(_at_once, server.url, context=_context("model.invalid")) as secured,
        proxy(greet, f"http://127.0.0.1:{secured.port}", context=context) as made,
    ):
        url = f"{scheme}://user:s3cret@localhost:{made.port}"
        assert call("https://model.invalid", https_proxy=url, ONNXHYBRID_CA_FILE=authority) == "answered"
        assert "OH501" in call("https://other.invalid", https_proxy=url, ONNXHYBRID_CA_FILE=authority)
    assert "model.invalid:443" in made.asked[0]
    assert scheme == "socks5h" or "Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=" in made.asked[0]
    assert len(server.requests) == 1


async def _at_once(*_: object) -> str:
    return ""


def test_a_proxy_with_tls_reads_plain_requests_and_must_show_a_certificate(
    call: Call, server: RawServer, authority: str
) -> None:
    with proxy(_at_once, server.url, context=_context("localhost")) as made:
        url = f"https://user:s3cret@localhost:{made.port}"
        assert call("http://model.invalid", HTTP_PROXY=url, ONNXHYBRID_CA_FILE=authority) == "answered"
        assert "the proxy" in call("http://model.invalid", HTTP_PROXY=url)
        wrong = url.replace("localhost", "127.0.0.1")
        assert "the proxy" in call("http://model.invalid", HTTP_PROXY=wrong, ONNXHYBRID_CA_FILE=authority)
    assert server.requests[0].startswith(b"POST http://model.invalid/v2/models/adder/infer HTTP/1.1\r\n")
    assert len(server.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_the_policy_holds_behind_every_proxy(call: Call, scheme: str, server: RawServer) -> None:
    with proxy(socks(), server.url) as made:
        for host in ("169.254.169.254", "0xa9fea9fe", "[::ffff:169.254.169.254]", "metadata.invalid"):
            variables = {"ALL_PROXY": f"{scheme}://127.0.0.1:{made.port}", "ONNXHYBRID_ALLOW": "10.0.0.0/8"}
            said = call(f"http://{host}", **variables)
            assert said.startswith("[OH501]" if (host, scheme) == ("metadata.invalid", "socks5") else "[OH520]"), said
    assert not made.asked


@pytest.mark.parametrize(
    "url", ["socks4://user:s3cret@127.0.0.1:1", "s3cret://127.0.0.1", "http://u:s3cret@", "http://h:s3cret"]
)
def test_a_proxy_that_cannot_be_used_is_an_error_and_never_gone_around(call: Call, url: str) -> None:
    said = call("http://192.0.2.1", ALL_PROXY=url)
    assert said.startswith("[OH501]")
    assert "the proxy that all_proxy names cannot be used" in said


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_proxy_that_is_not_there_is_an_error_and_never_gone_around(call: Call, scheme: str) -> None:
    assert "the proxy" in call("http://192.0.2.1", ALL_PROXY=f"{scheme}://user:s3cret@127.0.0.1:1")


def test_a_name_that_only_the_proxy_can_look_up_is_refused_where_addresses_are_denied(
    monkeypatch: pytest.MonkeyPatch, server: RawServer
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", server.url)
    for deny in (["10.0.0.0/8"], ["10.0.0.1"], ["[fd00::1]:80"]):
        session = oh.Session(adder("http://model.invalid"), policy=oh.Policy(deny=deny, allow=["model.invalid"]))
        with pytest.raises(oh.PolicyDenied, match=r"OH520.*denies addresses"):
            session.run(None, {"x": X})
    assert not server.requests
    oh.Session(adder("http://model.invalid"), policy=oh.Policy(deny=["*.evil.invalid"])).run(None, {"x": X})

"""The embedded endpoint and the host that a request names, which a page of the web could have bound to it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import onnxhybrid as oh
from onnxhybrid.endpoint import azureml, kserve, metrics, openai, serve
from onnxhybrid.errors import Error
from tests.endpoint_models import identity
from tests.endpoint_process import answer_to, head


def every_route() -> list[tuple[str, str]]:
    """(method, path) of each route."""
    threads = ThreadPoolExecutor(1)
    routes = [*kserve.routes({}, threads, 1), *openai.routes({}, threads), *azureml.routes({}, threads)]
    return [("GET", metrics.PATH)] + [
        (method, route.path.format(model="m", version="1"))
        for route in routes
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


ROUTES = every_route()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve({"m": identity("FP32")}, allow_hosts=["gpu.example", "10.1.2.3", "2001:db8::7"]) as endpoint:
        yield endpoint.url


def refused(answer: bytes, path: str) -> int:
    """The status of an answer whose body is an error in the form of the protocol of that path."""
    first, _, body = answer.partition(b"\r\n\r\n")
    error: Any = json.loads(body)["error"]
    if path.startswith(("/v1", "/openai")):
        assert set(error) == {"message", "type", "param", "code"}
        error = error["message"]
    assert isinstance(error, str)
    return int(first.split()[1])


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_for_another_host(url: str, method: str, path: str) -> None:
    assert refused(answer_to(url, head(method, path, "Host: rebound.example")), path) == 421
    assert refused(answer_to(url, head(method, path)), path) == 400


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LocalHost", "localhost.", "localhost:1", "localhost:", "127.0.0.1", "127.0.0.1:65535",
        "127.5.6.7", "[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "gpu.example", "GPU.example.:8000",
        "10.1.2.3", "[2001:db8::7]", "[2001:DB8:0::7]:9",
    ],
)  # fmt: skip
def test_loopback_and_what_was_named_are_served(url: str, host: str) -> None:
    assert answer_to(url, head("GET", "/v2", f"Host: {host}")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example", "localhost.rebound.example", "127.0.0.1.rebound.example", "rebound.example:80",
        "notlocalhost", "0.0.0.0", "[::]", "10.0.0.1", "192.168.0.1:80", "[fe80::1]", "127.1", "2130706433",
        "0x7f.0.0.1", "gpu", "example", "sub.gpu.example", "localhost.localdomain", "127.0.0.1.", "*",
    ],
)  # fmt: skip
def test_any_other_host_is_refused(url: str, host: str) -> None:
    assert refused(answer_to(url, head("GET", "/v2", f"Host: {host}")), "/v2") in (400, 421)


@pytest.mark.parametrize(
    "headers",
    [
        [], ["Host: "], ["Host: localhost", "Host: localhost"], ["Host: localhost", "Host: rebound.example"],
        ["Host: localhost, rebound.example"], ["Host: rebound.example@localhost"], ["Host: localhost@rebound.example"],
        ["Host: localhost/"], ["Host: localhost:x"], ["Host: localhost:65536"], ["Host: localhost.."], ["Host: ::1"],
        ["Host: [::1"], ["Host: [127.0.0.1]"], ["Host: http://localhost"], ["Host: local host"], ["Host: l\xf6calhost"],
        ["Host : localhost"], ["X: y", " Host: localhost"],
    ],
)  # fmt: skip
def test_what_names_no_host_or_several_is_malformed(url: str, headers: list[str]) -> None:
    for path in ("/v2", "/v1/models"):
        assert refused(answer_to(url, head("GET", path, *headers)), path) == 400
    assert b" 400 " in answer_to(url, head("GET", "/v2", *headers, version="1.0"))[:13]


@pytest.mark.parametrize("target", ["http://localhost/v2", "HTTP://127.0.0.1:9/v2", "http://gpu.example/v2?x=1"])
def test_a_target_that_is_a_url_is_served_as_its_path(url: str, target: str) -> None:
    assert b"binary_tensor_data" in answer_to(url, head("GET", target, "Host: localhost"))


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://rebound.example/v2", "localhost"),
        ("http://localhost/v2", "rebound.example"),
        ("http://rebound.example/v1/models", "localhost"),
        ("http://u@localhost/v2", "localhost"),
        ("http:///v2", "localhost"),
        ("//rebound.example/v2", "localhost"),
        ("rebound.example:80", "localhost"),
    ],
)
def test_a_target_that_names_another_host_than_the_endpoint_s_is_not_served(url: str, target: str, host: str) -> None:
    answer = answer_to(url, head("GET", target, f"Host: {host}"))
    assert answer.split()[1] in (b"400", b"404", b"421")
    assert b"error" in answer


@pytest.mark.parametrize(
    ("host", "status"),
    [("192.0.2.7", 200), ("[2001:db8::1]:80", 200), ("localhost", 200), ("rebound.example", 421), ("0x7f.1", 421)],
)
def test_an_endpoint_that_other_machines_reach_answers_for_addresses_and_for_its_own_name(
    host: str, status: int
) -> None:
    with serve({"m": identity("FP32")}, "0.0.0.0") as endpoint:
        assert int(answer_to(endpoint.url, head("GET", "/v2", f"Host: {host}")).split()[1]) == status
        own = head("GET", "/v2", f"Host: {socket.gethostname()}:80")
        assert answer_to(endpoint.url, own).startswith(b"HTTP/1.1 200")


def test_a_star_allows_every_host_that_is_one() -> None:
    with serve({"m": identity("FP32")}, allow_hosts=["*"]) as endpoint:
        assert answer_to(endpoint.url, head("GET", "/v2", "Host: any.example")).startswith(b"HTTP/1.1 200")
        assert refused(answer_to(endpoint.url, head("GET", "/v2")), "/v2") == 400


@pytest.mark.parametrize("hosts", ["gpu.example", [""], ["a b"], ["a:80"], ["http://a"], [7], None, ["[::1"], ["*.a"]])
def test_a_host_that_is_none_is_an_error_of_the_caller(hosts: Any) -> None:
    with pytest.raises(Error, match="allow_hosts") as caught:
        serve({"m": identity("FP32")}, allow_hosts=hosts)
    assert caught.value.code == "OH552"


def test_our_own_nodes_are_served_under_a_name_that_was_allowed() -> None:
    with serve({"m": identity("FP32")}) as endpoint:
        remote = oh.remote.triton(endpoint.url.replace("127.0.0.1", "localhost"), "m")
        assert remote.inputs

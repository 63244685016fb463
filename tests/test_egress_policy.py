"""`Policy(egress=…)`: a file of which more leaves the device than of the one that was looked at is not opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxhybrid as oh
from tests.servers.echo import echo_server, remote
from tests.servers.raw import RawServer
from tests.strategies import dense

LOCAL = dense("local", "x", "y", (3, 3), softmax=True)
JUDGE = oh.judge.max_probability("y") >= oh.Input("threshold", default=0.5)
X = np.ones((2, 3), np.float32)


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with echo_server() as serving:
        yield serving


def hybrid(url: str, **options: Any) -> oh.Model:
    return oh.cascade(LOCAL, remote(url, "m", **options), JUDGE)


def test_what_was_looked_at_is_opened_and_runs(server: RawServer, tmp_path: Path) -> None:
    model = hybrid(server.url)
    path = tmp_path / "m.onnx"
    model.save(path)
    for egress in (oh.egress(path), oh.egress(model).to_json()):
        policy = oh.Policy(egress=egress)
        for given in (model, path, str(path)):
            oh.Session(given, policy=policy).run(None, {"x": X})
    strict = oh.Policy.strict([server.url], egress=oh.egress(model))
    oh.Session(model, policy=strict).run(None, {"x": X})


def test_less_than_was_looked_at_is_opened(server: RawServer) -> None:
    allowed = oh.Policy(egress=oh.egress(hybrid(server.url)))
    oh.Session(hybrid(server.url).bind(threshold=0.5).prefix("p/", inputs=False), policy=allowed)
    oh.Session(LOCAL, policy=allowed)


WIDE = remote("https://a.example", "m", batch=4)
"""A request of it has a bound."""

MORE: dict[str, tuple[oh.Model, oh.Model, str]] = {
    "endpoint": (hybrid("https://a.example"), hybrid("https://b.example"), "is a new one.*https://a.example"),
    "path": (hybrid("https://a.example/one"), hybrid("https://a.example/two"), "is a new one"),
    "query": (hybrid("https://a.example?t=one"), hybrid("https://a.example?t=two"), r"is a new one.*t=\*\*\*"),
    "credential": (
        hybrid("https://a.example"),
        hybrid("https://a.example", auth=oh.Credential("gpu")),
        "credentials 'gpu', and none may",
    ),
    "header": (
        hybrid("https://a.example", auth=oh.Credential("gpu")),
        hybrid("https://a.example", headers={"X-Key": oh.Credential("side")}),
        "credentials 'side', and 'gpu' may",
    ),
    "content": (
        remote("https://a.example", "m"),
        remote("https://a.example", "m").rename({"x": "secret"}),
        "depends on the inputs 'secret', and 'x' may",
    ),
    "decides": (
        remote("https://a.example", "m").prefix("else/", inputs=False, outputs=False),
        oh.switch("c", LOCAL, remote("https://a.example", "m")),
        "as the inputs say 'c', and none may",
    ),
    "bytes": (WIDE, remote("https://a.example", "m", batch=5), "up to .* bytes at a time"),
    "any bytes": (WIDE, remote("https://a.example", "m"), "any number of bytes"),
    "anything": (LOCAL, hybrid("https://a.example"), "goes to nowhere"),
}


@pytest.mark.parametrize("what", MORE)
def test_more_than_was_looked_at_is_refused_with_both_sides(what: str, tmp_path: Path) -> None:
    before, after, said = MORE[what]
    after.save(tmp_path / "m.onnx")
    for given in (after, tmp_path / "m.onnx"):
        with pytest.raises(oh.PolicyDenied, match=said) as caught:
            oh.Session(given, policy=oh.Policy(egress=oh.egress(before)))
        assert caught.value.code == "OH587"
        assert caught.value.node in {spec.node for spec in after.remotes}
        assert "t=two" not in str(caught.value)


def test_a_call_is_covered_by_one_that_is_allowed_and_not_by_several_together() -> None:
    a, b = (oh.chain(dense("l", name, "x", (3, 3)), remote("https://a.example", "m")) for name in "uv")
    both = oh.parallel(a=a, b=b)
    mixed = oh.chain(
        oh.ensemble([dense("l", "u", "x", (3, 3)), dense("l", "v", "x", (3, 3))]), remote("https://a.example", "m")
    )
    policy = oh.Policy(egress=oh.egress(both))
    oh.Session(a, policy=policy)
    with pytest.raises(oh.PolicyDenied, match=r"'u', 'v', and '[uv]' may"):
        oh.Session(mixed, policy=policy)


def plain(built: oh.Model, path: Path, **options: Any) -> onnxruntime.InferenceSession:
    built.save(path)
    settings = onnxruntime.SessionOptions()
    oh.register(settings, **options)
    return onnxruntime.InferenceSession(str(path), settings)


def test_a_plain_session_is_prepared_with_the_model_that_it_will_run(server: RawServer, tmp_path: Path) -> None:
    model, path = hybrid(server.url), tmp_path / "m.onnx"
    policy = oh.Policy(egress=oh.egress(model))
    plain(model, path, policy=policy, model=path).run(None, {"x": X})
    with pytest.raises(oh.PolicyDenied, match="OH587"):
        plain(model, path, policy=oh.Policy(egress=oh.egress(LOCAL)), model=path)
    with pytest.raises(oh.Error, match=r"OH530.*model"):
        plain(model, path, policy=policy)


@pytest.mark.parametrize("egress", [3, "[]", "{", b"{}", {"outflows": []}, oh.egress])
def test_what_is_no_egress_is_no_part_of_a_policy(egress: Any) -> None:
    make: Callable[..., oh.Policy] = oh.Policy
    with pytest.raises(oh.Error, match="OH530"):
        make(egress=egress)

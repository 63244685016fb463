"""The hybrids whose sessions are given something, that speak gRPC, whose weights are beside them, or that fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx.parser

import onnxhybrid as oh
from tests.bindings.hybrids import ACCEPTED, JUDGE, LARGE, REFUSED, SMALL, Hybrid, X, remote
from tests.bindings.servers import CLOSED, TOKEN, Servers

FED = "threshold that is fed"
"""The hybrid whose input with a default is fed, which Java's API refuses by itself."""


def thresholds(servers: Servers) -> Iterator[tuple[str, Hybrid]]:
    model = oh.cascade(SMALL, remote(servers.models), JUDGE, rows=True, report=True)
    for name, value in {"all accepted": ACCEPTED, "all refused": REFUSED, "one refused": 8.0}.items():
        given = {"threshold": np.array([value], np.float32)}
        yield f"threshold by initializer, {name}", Hybrid(model, defaults=given)
    yield FED, Hybrid(model, {"x": X, "threshold": np.array([6], np.float32)})


def credentials(servers: Servers) -> Iterator[tuple[str, Hybrid]]:
    model = remote(servers.guarded, auth=oh.Credential("cloud"))
    at_home = {"hosts": ["127.0.0.1"]}
    kinds: dict[str, Any] = {
        "text": TOKEN,
        "value and hosts": {"value": TOKEN, **at_home},
        "file": {"file": "{set}/token", **at_home},
        "wrong": "another",
        "of another host": {"value": TOKEN, "hosts": ["api.example.com"]},
        "file that is not there": {"file": "{set}/absent", **at_home},
    }
    for name, given in kinds.items():
        yield f"credential, {name}", Hybrid(model, settings={"credentials": {"cloud": given}})
    yield "credential, none", Hybrid(model)
    whole = {"credentials": {"cloud": TOKEN}, "policy": {"max_concurrency": 4, "budget": {"calls": 9}}}
    judged = oh.cascade(SMALL, model, JUDGE, rows=True, report=True)
    yield WHOLE, Hybrid(judged, settings=whole, defaults={"threshold": np.array([6], np.float32)})
    yield "settings in a file", Hybrid(judged, settings=whole, in_file=True)
    early = oh.parallel(edge=SMALL, cloud=model)
    yield "credential, begun early", Hybrid(early, settings=whole)


WHOLE = "credentials, policy and threshold"
"""The hybrid of which sixteen sessions are opened side by side."""


def endpoints(servers: Servers) -> Iterator[tuple[str, Hybrid]]:
    model = oh.remote.triton(oh.Endpoint("gpu"), "large", inputs=LARGE.inputs, outputs=LARGE.outputs, retries=1)
    for name, urls in {"one": servers.models, "the second of two": [CLOSED, servers.models]}.items():
        yield f"endpoint of the session, {name}", Hybrid(model, settings={"endpoints": {"gpu": urls}})
    yield "endpoint of the session, none", Hybrid(model)


def policies(servers: Servers) -> Iterator[tuple[str, Hybrid]]:
    kinds: dict[str, dict[str, Any]] = {
        "denied": {"deny": ["127.0.0.0/8"]},
        "not allowed": {"allow": ["api.example.com"]},
        "over the budget": {"budget": {"calls": 0}},
        "answer too large": {"max_response_bytes": 8},
        "strict and allowed": {"strict": True, "allow": ["127.0.0.1"]},
    }
    for name, policy in kinds.items():
        yield f"policy, {name}", Hybrid(remote(servers.models), settings={"policy": policy})
        flagged = oh.parallel(edge=SMALL, cloud=remote(servers.models, on_error="flag"))
        yield f"policy, {name}, flags", Hybrid(flagged, settings={"policy": policy})


def failing(servers: Servers) -> Iterator[tuple[str, Hybrid]]:
    kinds = {
        "status 503": remote(servers.busy),
        "no model": remote(servers.models, "absent"),
        "a page in place of an answer": remote(servers.page),
        "deadline": remote(servers.silent, timeout=0.3),
        "nobody listens": remote(CLOSED),
    }
    for name, model in kinds.items():
        yield f"error, {name}", Hybrid(model)
        yield f"error, {name}, in a cascade", Hybrid(oh.cascade(SMALL, model, JUDGE, rows=True))
        yield f"error, {name}, begun early", Hybrid(oh.parallel(edge=SMALL, cloud=model))


def speaking_grpc(servers: Servers) -> Iterator[tuple[str, Hybrid]]:
    cloud = remote(servers.grpc)
    yield "grpc", Hybrid(cloud)
    yield "grpc, begun early", Hybrid(oh.parallel(edge=SMALL, cloud=cloud))
    yield "grpc, cascade", Hybrid(oh.cascade(SMALL, cloud, JUDGE, rows=True, report=True))
    yield "grpc, slices and cache", Hybrid(remote(servers.grpc, batch=1, cache=oh.Cache()))
    yield "grpc, fallback", Hybrid(oh.fallback(remote("grpc://127.0.0.1:1"), cloud, report=True))


def beside(servers: Servers) -> Iterator[tuple[str, Hybrid]]:
    """Weights in a file of their own."""
    matrix = ", ".join(str(number % 7) for number in range(3 * 256))
    back = ", ".join(str(number % 3) for number in range(256 * 3))
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    wide (float[n, 3] x) => (float[n, 3] y) <float[3, 256] w = {{{matrix}}}, float[256, 3] v = {{{back}}}>
    {{
        h = MatMul (x, w)
        y = MatMul (h, v)
    }}
    """
    local = oh.Model.from_proto(onnx.parser.parse_model(text))
    yield "weights beside the file", Hybrid(oh.parallel(edge=local, cloud=remote(servers.models)), external=True)
    judged = oh.cascade(local, remote(servers.models), JUDGE, rows=True)
    yield "weights beside the file, cascade", Hybrid(judged, external=True)


def given(servers: Servers) -> dict[str, Hybrid]:
    """All of them, by their names."""
    groups = (thresholds, credentials, endpoints, policies, failing, speaking_grpc, beside)
    return dict(pair for group in groups for pair in group(servers))

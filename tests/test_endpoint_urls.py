"""URLs of endpoints: queries, keys in them, and what a message says to write instead of a URL that is no base URL."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import openai
import pytest

import onnxhybrid as oh
from tests.dialects import DIALECTS, Dialect
from tests.old_models import AUTH, STRING, old_model
from tests.servers.faults import Good
from tests.servers.heard import listening_to
from tests.test_headers import ALL, METADATA, call

CODE = "s3cret/code+0123456789"
QUERY = "sv=2024-10-21&code=s3cret%2Fcode%2B0123456789"
NONE: Any = None
SPECS: dict[str, Any] = {
    "inputs": [oh.TensorSpec("x", "float32", (1,))],
    "outputs": [oh.TensorSpec("y", "float32", (1,))],
}


@ALL
def test_the_path_of_the_protocol_goes_before_the_query_of_the_endpoint(dialect: Dialect) -> None:
    paths = []
    for tail in ("/base", f"/base/?{QUERY}"):
        with listening_to(dialect.good, dialect.scheme) as server:
            result = call(dialect, dialect.build(server.url + tail, auth=None))
            np.testing.assert_array_equal(result[0], dialect.value)
            paths.append(server.requests[0].path)
    plain, queried = paths
    path, _, query = plain.partition("?")
    whole = f"{path}/" if dialect.name.startswith("azureml") else path
    assert queried == f"{whole}?{QUERY}" + (f"&{query}" if query else "")


def test_the_question_for_metadata_keeps_the_query() -> None:
    with listening_to(Good(json.dumps(METADATA).encode())) as server:
        oh.remote.triton(f"{server.url}/base?{QUERY}", "adder")
        assert server.requests[0].path == f"/base/v2/models/adder?{QUERY}"


def test_a_version_in_the_query_gives_way_to_that_of_the_builder() -> None:
    [dialect] = [dialect for dialect in DIALECTS if dialect.name == "azure_openai.chat"]
    with listening_to(dialect.good) as server:
        call(dialect, dialect.build(f"{server.url}?api-version=1&x=2", auth=None))
        assert server.requests[0].path.endswith("/chat/completions?x=2&api-version=2024-10-21")


def test_an_old_model_keeps_the_query_of_its_url() -> None:
    with listening_to(Good(b"yes", "text/plain")) as server:
        old = old_model(
            "AzureTextToText", [AUTH, ("x", STRING, [1])], [("t", STRING, [1])], model_uri=f"{server.url}/a?b=1"
        )
        model = oh.legacy.upgrade(oh.Model.from_proto(old))
        oh.Session(model).run(None, {"auth_token": np.array(["t"]), "x": np.array(["hi"])})
        assert server.requests[0].path == "/a?b=1"


@ALL
def test_a_key_in_the_query_is_found_by_validate_and_seen_in_no_message(dialect: Dialect) -> None:
    echo = Good(f"the code is {CODE}, {QUERY}".encode(), "text/html")
    with listening_to(echo if dialect.scheme == "http" else Good(CODE.encode() * 3), dialect.scheme) as server:
        model = dialect.build(f"{server.url}/base?{QUERY}", auth=None, timeout=2.0)
        with pytest.raises(oh.RemoteError) as caught:
            call(dialect, model)
        assert len(server.requests) == 1
    assert str(caught.value.endpoint).endswith("/base?sv=***&code=***")
    found = oh.validate(model)
    assert [finding.code for finding in found.findings] == ["OH324"]
    assert "'code'" in str(found)
    for text in (str(caught.value), str(found), repr(model)):
        assert CODE not in text
        assert QUERY not in text


def test_a_key_in_the_query_is_in_no_message_about_metadata() -> None:
    url = f"http://127.0.0.1:9/base?{QUERY}"
    with pytest.raises(oh.RemoteError, match="was asked what the model") as caught:
        oh.remote.triton(url, "m", timeout=2.0, retries=0)
    model = oh.parallel(a=oh.remote.triton(url, "m", **SPECS), b=oh.remote.triton("http://127.0.0.1:9", "n", **SPECS))
    proto = model.to_proto()
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.name == "endpoint" and b"?" in attribute.s:
                attribute.s = attribute.s.replace(b"/base", b"/other")
    found = oh.validate(oh.Model.from_proto(proto))
    assert "OH315" in {finding.code for finding in found.findings}
    for text in (str(caught.value), str(found)):
        assert "s3cret" not in text


def test_a_query_without_a_key_is_no_finding() -> None:
    model = oh.remote.triton("https://h/base?api-version=2024-10-21&code=200", "m", **SPECS)
    assert not oh.validate(model).findings


def test_the_key_of_a_host_does_not_move_to_another() -> None:
    model = oh.remote.triton(f"https://a.example/base/v1?{QUERY}", "m", **SPECS)
    for urls, expected in (
        ({"https://a.example/base": "https://b.example/other"}, "https://b.example/other/v1"),
        ({"https://a.example/base": "https://b.example?sig=1"}, "https://b.example/v1?sig=1"),
        ({f"https://a.example/base/v1?{QUERY}": "https://b.example/x?sig=1"}, "https://b.example/x?sig=1"),
        ({"https://a.example": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000/base/v1"),
    ):
        [remote] = model.retarget(urls).remotes
        assert remote.endpoint == expected
    with pytest.raises(oh.ModelError, match="OH116") as caught:
        model.retarget({"https://c.example": "https://b.example"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000/base", "http://127.0.0.1:8000/base"),
        ("gpu.example:8000", "https://gpu.example:8000"),
        ("gpu.example", "https://gpu.example"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_endpoint_without_a_scheme_says_what_to_write(url: str, written: str) -> None:
    with pytest.raises(oh.ModelError, match="OH301") as caught:
        oh.remote.triton(url, "m", **SPECS)
    assert repr(written) in str(caught.value)
    assert oh.remote.triton(written, "m", **SPECS).remotes[0].endpoint == written


TRITON = ("/v2", "/v2/", "/v2/models", "/v2/models/m", "/v2/models/m/infer", "/v2/models/m/versions/1/infer",
          "/v2/health/ready")  # fmt: skip
OPENAI = ("/chat/completions", "/completions", "/embeddings", "/audio/transcriptions", "/audio/translations", "/models",
          "/responses", "/chat/completions/")  # fmt: skip
AZURE = ("/openai/deployments", "/openai/deployments/d", "/openai/deployments/d/chat/completions", "/openai/v1",
         "/openai/v1/chat/completions")  # fmt: skip


@pytest.mark.parametrize("query", ["", f"?{QUERY}"])
@pytest.mark.parametrize("base", ["https://gpu.example", "https://gpu.example/base/v1"])
def test_an_endpoint_with_the_protocols_own_path_says_what_to_write(base: str, query: str) -> None:
    cases: list[tuple[str, Any]] = [
        *((path, lambda url: oh.remote.triton(url, "m", **SPECS)) for path in TRITON),
        ("/inference.GRPCInferenceService/ModelInfer", lambda url: oh.remote.triton(url, "m", **SPECS)),
        *((path, lambda url: oh.remote.openai_chat("m", url=url)) for path in OPENAI),
        *((path, lambda url: oh.remote.openai_audio("m", url=url)) for path in OPENAI),
        *((path, lambda url: oh.remote.azure_openai_chat(url, "d", api_version="1")) for path in AZURE),
    ]
    shown = "?sv=***&code=***" if query else ""
    for path, build in cases:
        url = f"{base}{path}{query}"
        if path.startswith("/inference"):
            url = url.replace("https", "grpcs")
        with pytest.raises(oh.ModelError, match="OH325") as caught:
            build(url)
        instead = base.replace("https", "grpcs") if path.startswith("/inference") else base
        assert repr(instead + shown) in str(caught.value), path
        assert "s3cret" not in str(caught.value)
        build(f"{instead}{query}")


def test_what_stands_in_the_path_beside_is_named() -> None:
    with pytest.raises(oh.ModelError, match="'my model' as the model"):
        oh.remote.triton("http://h/v2/models/my%20model/infer", "m", **SPECS)
    with pytest.raises(oh.ModelError, match="'gpt' as the deployment"):
        oh.remote.azure_openai_chat("https://h/openai/deployments/gpt/chat/completions", "d", api_version="1")


def test_paths_of_a_protocol_are_right_where_they_are_no_end_of_a_base_url() -> None:
    for url in (
        "https://h/v1",
        "https://h/openai/v1",
        "https://h/openai/deployments/d?api-version=2024-10-21",
        "https://h/v2",
    ):
        assert oh.remote.openai_chat("m", url=url).remotes[0].endpoint == url
    for url in ("https://h/v2/models/m", "https://h/score", "https://h/embeddings"):
        assert oh.remote.azureml(url, **SPECS).remotes[0].endpoint == url
    for url in ("https://h/v2x", "https://h/v2/base"):
        assert oh.remote.triton(url, "m", **SPECS).remotes[0].endpoint == url


@pytest.mark.parametrize("operation", ["audio", "chat", "embeddings"])
def test_v1_of_azure_is_the_path_that_the_official_client_calls_there(operation: str) -> None:
    [dialect] = [dialect for dialect in DIALECTS if dialect.name == f"azure_openai.{operation}"]
    build = getattr(oh.remote, f"azure_openai_{operation}")
    more = {"response_format": "json"} if operation == "audio" else {}
    with listening_to(dialect.good) as server:
        model = build(server.url, "my dep", api_version="v1", **more)
        call(dialect, model, credentials={"azure_openai": "k" * 20})
        with openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key="k") as client:
            if operation == "chat":
                client.chat.completions.create(model="my dep", messages=[{"role": "user", "content": "hi"}])
            elif operation == "embeddings":
                client.embeddings.create(model="my dep", input=["a", "b"])
            else:
                file = ("audio.wav", bytes(range(256)), "audio/wav")
                client.audio.transcriptions.create(model="my dep", file=file, response_format="json")
        ours, theirs = server.requests
    assert ours.path == theirs.path
    assert ours.headers["api-key"] == "k" * 20
    if operation != "audio":
        assert json.loads(ours.body) == json.loads(theirs.body)
    assert b"my dep" in ours.body


@pytest.mark.parametrize(
    ("build", "near"),
    [
        (lambda **more: oh.remote.triton("http://h", "m", **SPECS, **more), {"header": "headers", "timout": "timeout"}),
        (lambda **more: oh.remote.openai_chat("m", **more), {"max_token": "max_tokens", "sytem": "system"}),
        (lambda **more: oh.remote.openai_embeddings("m", **more), {"dimension": "dimensions", "retry": "retries"}),
        (lambda **more: oh.remote.openai_audio("m", **more), {"lang": None, "translat": "translate"}),
        (lambda **more: oh.remote.azure_openai_chat("http://h", "d", api_version="1", **more), {"sistem": "system"}),
        (lambda **more: oh.remote.azure_openai_audio("http://h", "d", api_version="1", **more), {"promt": "prompt"}),
        (lambda **more: oh.remote.azure_openai_embeddings("http://h", "d", api_version="1", **more), {"ulr": None}),
        (lambda **more: oh.remote.azureml("http://h", **SPECS, **more), {"deploiment": "deployment"}),
        (lambda **more: oh.cascade(NONE, NONE, NONE, **more), {"row": "rows", "specualte": "speculate"}),
    ],
)  # fmt: skip
def test_a_mistyped_argument_is_told_with_the_one_that_was_meant(build: Any, near: dict[str, str | None]) -> None:
    for name, meant in near.items():
        with pytest.raises(oh.ModelError, match="OH304") as caught:
            build(**{name: 1})
        assert (f"did you mean {meant!r}?" in str(caught.value)) is (meant is not None)
        assert repr(name) in str(caught.value)


def test_a_builder_still_says_what_it_takes() -> None:
    assert "parameters" in inspect.signature(oh.remote.triton).parameters
    assert "rows" in inspect.signature(oh.cascade).parameters


def test_a_callable_is_a_credential_of_the_models_own_endpoints() -> None:
    dialect, tokens = DIALECTS[0], iter(["first-token-0123456789", "second-token-0123456789"])
    with listening_to(dialect.good) as server:
        model = dialect.build(server.url, auth=oh.Credential("token"))
        session = oh.Session(model, credentials={"token": lambda: next(tokens)})
        for _ in range(2):
            session.run(None, dialect.feeds)
        carried = [request.headers["authorization"] for request in server.requests]
    assert carried == ["Bearer first-token-0123456789", "Bearer second-token-0123456789"]

"""The endpoint as OpenAI, Azure OpenAI and AzureML, judged by the official clients and called by our own nodes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.endpoint_models import identity, post
from tests.strategies import dense, of_graph

STRING, BYTES, FLOAT = TensorProto.STRING, TensorProto.UINT8, TensorProto.FLOAT
TOKEN = "token-0123456789abcdef"


def model(nodes: list[Any], inputs: list[Any], output: tuple[str, int, list[Any]], **constants: Any) -> oh.Model:
    values = [helper.make_tensor_value_info(*tensor) for tensor in inputs]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    given = [helper.make_tensor_value_info(*output)]
    return of_graph(helper.make_graph(nodes, "service", values, given, weights), opset=20)


def speech() -> oh.Model:
    """Says how it was asked: `<language>: heard`."""
    nodes = [
        helper.make_node("StringConcat", ["language", "heard"], ["text"]),
        helper.make_node("Size", ["file"], ["size"]),
    ]
    inputs = [("file", BYTES, ["bytes"]), ("language", STRING, [1])]
    return model(nodes, inputs, ("text", STRING, [1]), heard=np.array([": heard"], object))


def chat() -> oh.Model:
    nodes = [helper.make_node("StringConcat", ["prompt", "end"], ["text"])]
    return model(nodes, [("prompt", STRING, ["n"])], ("text", STRING, ["n"]), end=np.array(["!"], object))


def told_and_limited(system: str, limit: str) -> oh.Model:
    """Says what it was told, what it was asked, and its limit."""
    nodes = [
        helper.make_node("Cast", [limit], ["number"], to=STRING),
        helper.make_node("StringConcat", [system, "prompt"], ["said"]),
        helper.make_node("StringConcat", ["said", "number"], ["text"]),
    ]
    inputs = [("prompt", STRING, ["n"]), (system, STRING, [1]), (limit, TensorProto.INT64, [1])]
    return model(nodes, inputs, ("text", STRING, ["n"]))


def embedder() -> oh.Model:
    """The text's length in words up to two: [count, 1]."""
    nodes = [
        helper.make_node("StringSplit", ["text"], ["words", "count"], delimiter=" "),
        helper.make_node("Cast", ["count"], ["number"], to=FLOAT),
        helper.make_node("Unsqueeze", ["number", "last"], ["column"]),
        helper.make_node("Concat", ["column", "column"], ["embedding"], axis=1),
    ]
    given = ("embedding", FLOAT, ["n", 2])
    return model(nodes, [("text", STRING, ["n"])], given, last=np.array([1]))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    models = {"speech": speech(), "chat": chat(), "embedder": embedder(), "dense": dense("d", "x", "y", (3, 2))}
    with serve(models, token=TOKEN) as server:
        yield server.url


def official(url: str, token: str = TOKEN) -> openai.OpenAI:
    return openai.OpenAI(api_key=token, base_url=f"{url}/v1", max_retries=0)


def azure(url: str) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(api_key=TOKEN, azure_endpoint=url, api_version="2024-10-21", max_retries=0)


def run(remote: oh.Model, url: str, **feeds: Any) -> list[Any]:
    credentials = {remote.remotes[0].credential or "": oh.Secret(TOKEN, hosts=[url.partition("://")[2]])}
    return oh.Session(remote, credentials=credentials).run(None, feeds)


def test_the_official_client_transcribes(endpoint: str) -> None:
    for made in (official(endpoint), azure(endpoint)):
        with made as client:
            heard = client.audio.transcriptions.create(model="speech", file=("a.wav", b"RIFF"), language="de")
            assert heard.text == "de: heard"
            plain = client.audio.transcriptions.create(
                model="speech", file=("a.wav", b"RIFF"), language="de", response_format="text"
            )
            assert plain == "de: heard"
            verbose = client.audio.transcriptions.create(
                model="speech", file=("a.wav", b"RIFF"), language="de", response_format="verbose_json"
            )
            assert verbose.text == "de: heard"


def test_the_official_client_chats(endpoint: str) -> None:
    for made in (official(endpoint), azure(endpoint)):
        with made as client:
            messages: list[Any] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hé"}]
            answer = client.chat.completions.create(model="chat", messages=messages)
            assert answer.choices[0].message.content == "hé!"


def test_the_official_client_gets_responses(endpoint: str) -> None:
    with official(endpoint) as client:
        answer = client.responses.create(model="chat", input="hé", instructions="be brief", max_output_tokens=99)
        assert (answer.output_text, answer.status, answer.error) == ("hé!", "completed", None)
        parts: list[Any] = [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "input_text", "text": "h"}, {"type": "input_text", "text": "é"}]},
        ]
        assert client.responses.create(model="chat", input=parts, previous_response_id=None).output_text == "hé!"


def test_what_the_system_says_and_the_limit_reach_a_model_under_every_name() -> None:
    models = {
        "chats": told_and_limited("system", "max_tokens"),
        "reasons": told_and_limited("system", "max_completion_tokens"),
        "responds": told_and_limited("instructions", "max_output_tokens"),
    }
    with serve(models) as server, official(server.url) as client:
        messages: list[Any] = [{"role": "system", "content": "brief:"}, {"role": "user", "content": "hi"}]
        for name in models:
            for limit in ("max_tokens", "max_completion_tokens"):
                chat: Any = client.chat.completions.create
                assert chat(model=name, messages=messages, **{limit: 7}).choices[0].message.content == "brief:hi7"
            response = client.responses.create(model=name, input="hi", instructions="brief:", max_output_tokens=8)
            assert response.output_text == "brief:hi8"


def test_the_official_client_embeds(endpoint: str) -> None:
    for made in (official(endpoint), azure(endpoint)):
        with made as client:
            found = client.embeddings.create(model="embedder", input=["one", "one two"])
            assert [row.embedding for row in found.data] == [[1, 1], [2, 2]]
            lists = client.embeddings.create(model="embedder", input="one two", encoding_format="float")
            assert lists.data[0].embedding == [2, 2]


def test_the_official_client_lists_the_models(endpoint: str) -> None:
    with official(endpoint) as client:
        found = {model.id for model in client.models.list()}
    assert found == {"speech", "chat", "embedder", "dense"}


def test_our_own_nodes_get_the_same(endpoint: str) -> None:
    url, file = f"{endpoint}/v1", np.frombuffer(b"RIFF", np.uint8)
    for response_format in ("json", "text"):
        audio = oh.remote.openai_audio("speech", url=url, language="en", response_format=response_format)
        assert run(audio, endpoint, file=file)[0].tolist() == ["en: heard"]
    prompts, texts = np.array(["a", "b"], object), np.array(["a b", "c"], object)
    assert run(oh.remote.openai_chat("chat", url=url), endpoint, prompt=prompts)[0].tolist() == ["a!", "b!"]
    assert run(oh.remote.openai_responses("chat", url=url), endpoint, prompt=prompts)[0].tolist() == ["a!", "b!"]
    embedded = run(oh.remote.openai_embeddings("embedder", url=url), endpoint, text=texts)[0]
    np.testing.assert_array_equal(embedded, np.array([[2, 2], [1, 1]], np.float32))
    for api_version in ("2024-10-21", "v1"):
        deployed = oh.remote.azure_openai_chat(endpoint, "chat", api_version=api_version)
        assert run(deployed, endpoint, prompt=prompts)[0].tolist() == ["a!", "b!"]


@pytest.mark.parametrize("form", ["named", "data"])
def test_our_own_node_scores(endpoint: str, form: Any) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    remote = oh.remote.azureml(
        f"{endpoint}/score",
        inputs=[oh.TensorSpec("x", "float32", ("n", 3))],
        outputs=[oh.TensorSpec("y", "float32", ("n", 2))],
        deployment="dense",
        form=form,
    )
    expected = oh.Session(dense("d", "x", "y", (3, 2))).run(None, {"x": x})
    np.testing.assert_array_equal(run(remote, endpoint, x=x)[0], expected[0])


@pytest.mark.parametrize(
    ("work", "status", "word"),
    {
        "another model": (lambda c: c.embeddings.create(model="other", input="a"), 404, "'other'"),
        "a model that does not": (lambda c: c.embeddings.create(model="chat", input="a"), 404, "embed"),
        "tokens": (lambda c: c.embeddings.create(model="embedder", input=[1, 2]), 400, "tokens"),
        "other dimensions": (lambda c: c.embeddings.create(model="embedder", input="a", dimensions=3), 400, "2"),
        "no user": (lambda c: c.chat.completions.create(model="chat", messages=[]), 400, "user"),
        "a stream": (
            lambda c: c.chat.completions.create(model="chat", messages=[{"role": "user", "content": "a"}], stream=True),
            400,
            "stream",
        ),
        "a stream of speech": (
            lambda c: c.audio.transcriptions.create(model="speech", file=("a", b"a"), language="en", stream=True),
            400,
            "stream",
        ),
        "two choices": (
            lambda c: c.chat.completions.create(model="chat", messages=[{"role": "user", "content": "a"}], n=2),
            400,
            "leave n out",
        ),
        "a stream of a response": (lambda c: c.responses.create(model="chat", input="a", stream=True), 400, "stream"),
        "a response to another": (
            lambda c: c.responses.create(model="chat", input="a", previous_response_id="r"),
            400,
            "previous_response_id",
        ),
        "a response to nothing": (lambda c: c.responses.create(model="chat", input=[]), 400, "user"),
        "a response of a model that embeds": (
            lambda c: c.responses.create(model="embedder", input="a"),
            404,
            "respond",
        ),
        "no language": (lambda c: c.audio.transcriptions.create(model="speech", file=("a", b"")), 400, "language"),
    }.values(),
)
def test_a_request_that_cannot_be_served_is_an_error_of_the_client(
    endpoint: str, work: Any, status: int, word: str
) -> None:
    with official(endpoint) as client, pytest.raises(openai.APIStatusError) as caught:
        work(client)
    assert caught.value.status_code == status
    assert word in str(caught.value)


def test_another_token_is_refused(endpoint: str) -> None:
    with official(endpoint, "another-token") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/score", b'{"x": [[1, 2, 3]]}'),
        ("/score/other", b"{}"),
        ("/score/dense", b"[]"),
        ("/score/dense", b'{"x": [[1, 2], [3]]}'),
        ("/score/dense", b'{"x": [[1, 2, "a"]]}'),
        ("/score/dense", b'{"x": [[1, 2]]}'),
        ("/score/dense", b'{"z": 1}'),
        ("/score/dense", b'{"x": [[NaN, 1, 2]]}'),
        ("/score/dense", b"\xff"),
        ("/v1/embeddings", b'"'),
        ("/v1/chat/completions", b"[" * 100_000),
        ("/v1/audio/transcriptions", b"no form"),
    ],
)
def test_a_malformed_request_is_a_json_error(endpoint: str, path: str, body: bytes) -> None:
    request = urllib.request.Request(f"{endpoint}{path}", body, {"Authorization": f"Bearer {TOKEN}"}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code in (400, 404)
    assert json.loads(caught.value.read())["error"]


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("UINT8", "[300]"),
        ("UINT8", "[-1]"),
        ("INT64", "[9223372036854775808]"),
        ("INT8", "[true]"),
        ("BOOL", "[2]"),
        ("FP16", "[70000]"),
        ("FP32", "[1e39]"),
        ("FP32", "[1e400]"),
        ("FP32", "[null]"),
        ("FP32", "[true]"),
        ("BYTES", '["\\ud800"]'),
    ],
)
def test_a_value_that_the_input_cannot_hold_is_refused_and_never_becomes_another(datatype: str, value: str) -> None:
    with serve({"same": identity(datatype)}) as server:
        status, answer, _ = post(server.url, "/score", f'{{"x": {value}}}'.encode())
        assert status == 400
        assert "'x'" in answer["error"] or '"x"' in answer["error"]


@pytest.mark.parametrize(
    ("datatype", "value"), [("INT8", [-128, 127]), ("UINT64", [2**64 - 1]), ("BOOL", []), ("INT64", [])]
)
def test_the_widest_and_the_emptiest_come_back(datatype: str, value: list[int]) -> None:
    with serve({"same": identity(datatype)}) as server:
        assert post(server.url, "/score", {"x": value})[:2] == (200, {"y": value})

"""What servers of the OpenAI API answer that are not OpenAI's own, and what comes of it in each form of the API."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from tests.servers.raw import answer, raw_server

COMMON: dict[str, Any] = {"timeout": 5.0, "retries": 0, "auth": None}
FILE = np.frombuffer(b"RIFF", np.uint8)


def _openai(build: Callable[..., oh.Model]) -> Callable[..., oh.Model]:
    return lambda url, **own: build("m", url=url, **own, **COMMON)


def _azure(build: Callable[..., oh.Model]) -> Callable[..., oh.Model]:
    return lambda url, **own: build(url, "m", api_version="2024-10-21", **own, **COMMON)


BUILDERS: dict[str, dict[str, Callable[..., oh.Model]]] = {
    "audio": {"openai": _openai(oh.remote.openai_audio), "azure": _azure(oh.remote.azure_openai_audio)},
    "chat": {"openai": _openai(oh.remote.openai_chat), "azure": _azure(oh.remote.azure_openai_chat)},
    "responses": {"openai": _openai(oh.remote.openai_responses)},
    "embeddings": {"openai": _openai(oh.remote.openai_embeddings), "azure": _azure(oh.remote.azure_openai_embeddings)},
}
FEEDS: dict[str, dict[str, Any]] = {
    "audio": {"file": FILE},
    "chat": {"prompt": np.array(["{}"], object)},
    "responses": {"prompt": np.array(["hi"], object)},
    "embeddings": {"text": np.array(["a", "b"], object)},
}
RIGHT: dict[str, Any] = {
    "audio": {"text": "right"},
    "chat": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "right"}, "finish_reason": "stop"}]},
    "responses": {"output": [{"type": "message", "content": [{"type": "output_text", "text": "right"}]}]},
    "embeddings": {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [3, 4]}]},
}
VECTORS = [[1.0, 2.0], [3.0, 4.0]]
FORMS = [(operation, family) for operation, families in BUILDERS.items() for family in families]


def value(operation: str) -> Any:
    """What the right answer gives."""
    return VECTORS if operation == "embeddings" else ["right"]


def called(operation: str, family: str, body: object, kind: str = "application/json", **own: Any) -> Any:
    """The output of a call that is answered so."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with raw_server(answer(raw, kind=kind)) as server:
        model = BUILDERS[operation][family](server.url, **own)
        return oh.Session(model).run(None, FEEDS[operation])[0].tolist()


def refused(operation: str, family: str, body: object, kind: str = "application/json", **own: Any) -> str:
    """The error of a call that is answered so: of the answer, and not of its status."""
    with pytest.raises(oh.ProtocolError, match="OH504") as caught:
        called(operation, family, body, kind, **own)
    assert caught.value.status == 200
    return str(caught.value)


TYPES = (
    "application/json", "application/json; charset=utf-8", "text/plain", "text/plain; charset=utf-8", "text/json",
    "application/octet-stream", "application/problem+json", "binary/octet-stream",
    "application/json;charset=ISO-8859-1",
)  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("operation", "family"), FORMS)
def test_json_is_read_whatever_it_is_called(operation: str, family: str, kind: str) -> None:
    assert called(operation, family, RIGHT[operation], kind) == value(operation)


@pytest.mark.parametrize(("operation", "family"), FORMS)
def test_json_is_read_with_what_may_stand_around_it(operation: str, family: str) -> None:
    body = json.dumps(RIGHT[operation]).encode()
    for around in (b"\n\n \t%b\r\n", b"\xef\xbb\xbf%b", b"\xef\xbb\xbf %b\n"):
        assert called(operation, family, around % body) == value(operation)


@pytest.mark.parametrize(("operation", "family"), FORMS)
def test_json_is_read_where_no_type_is_said(operation: str, family: str) -> None:
    body = json.dumps(RIGHT[operation]).encode()

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with raw_server(behave) as server:
        session = oh.Session(BUILDERS[operation][family](server.url))
        assert session.run(None, FEEDS[operation])[0].tolist() == value(operation)


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"])
@pytest.mark.parametrize(("operation", "family"), FORMS)
def test_a_page_is_no_answer_whatever_it_holds(operation: str, family: str, kind: str) -> None:
    assert "page" in refused(operation, family, RIGHT[operation], kind)


FAILURES: dict[str, Any] = {
    "OpenAI's": {"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}},
    "a text": {"error": "overloaded"},
    "vLLM's": {"object": "error", "message": "overloaded", "type": "NotFoundError", "param": None, "code": 404},
    "FastAPI's": {"detail": "overloaded"},
    "FastAPI's of fields": {"detail": [{"loc": ["body", "model"], "msg": "overloaded", "type": "missing"}]},
    "a gateway's": {"statusCode": 401, "message": "overloaded"},
    "a code and a message": {"code": "InvalidApiKey", "message": "overloaded", "request_id": "r"},
    "TEI's": {"error": "overloaded", "error_type": "overloaded"},
    "Cloudflare's": {"success": False, "errors": [{"code": 5007, "message": "overloaded"}], "messages": []},
    "Spring's": {"timestamp": "t", "status": 500, "error": "Internal Server Error", "message": "overloaded"},
    "another's": {"error_code": 17, "error_msg": "overloaded"},
    "a status within": {"base_resp": {"status_code": 1004, "status_msg": "overloaded"}},
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("operation", "family"), FORMS)
def test_a_failure_with_status_200_is_told_in_the_servers_words(operation: str, family: str, failure: str) -> None:
    body = FAILURES[failure]
    told = refused(operation, family, body)
    assert "overloaded" in told
    assert "{" not in told
    if "error" in body:
        assert "overloaded" in refused(operation, family, {**RIGHT[operation], **body})


@pytest.mark.parametrize("empty", [None, False, "", {}, [], 0])
@pytest.mark.parametrize(("operation", "family"), FORMS)
def test_an_empty_error_and_words_of_errors_are_none(operation: str, family: str, empty: object) -> None:
    beside = {"error": empty, "message": "error", "detail": "error", "code": 0, "object": "x", "usage": None}
    assert called(operation, family, {**beside, **RIGHT[operation]}) == value(operation)


@pytest.mark.parametrize("raw", [False, True])
def test_a_content_that_speaks_of_errors_is_content(raw: bool) -> None:
    content = '{"error": {"message": "this is what the user asked for"}}'
    body = {"choices": [{"message": {"content": content}}], "error": None}
    (text,) = called("chat", "openai", body, raw=True) if raw else called("chat", "openai", body)
    assert text == (json.dumps(body) if raw else content)


def _listed(body: Any) -> Iterator[Any]:
    """The body with one of its objects as the list of that object's values, each in turn."""
    if isinstance(body, dict):
        yield list(body.values())
        yield from ({**body, key: other} for key, item in body.items() for other in _listed(item))
    if isinstance(body, list):
        yield from (
            [*body[:place], other, *body[place + 1 :]] for place, item in enumerate(body) for other in _listed(item)
        )


@pytest.mark.parametrize(("operation", "family"), FORMS)
def test_a_list_never_passes_for_an_object(operation: str, family: str) -> None:
    for body in _listed(RIGHT[operation]):
        refused(operation, family, body)
    if operation == "audio":
        for response_format in ("text", "srt", "verbose_json", "diarized_json"):
            refused(operation, family, ["right"], response_format=response_format)


def choice(message: object, reason: str | None = "stop", **more: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": reason, "message": message, **more}], "usage": None}


FOUND = {"hate": {"filtered": True, "severity": "high"}, "sexual": {"filtered": False, "severity": "safe"}}
SILENT: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "reasoning up to the limit": (choice({"content": None, "reasoning_content": "hm"}, "length"),
                                  ("length", "reasoning", "tokens")),
    "reasoning under its other name": (choice({"content": None, "reasoning": "hm"}, "length"), ("length", "reasoning")),
    "an empty content at the limit": (choice({"content": ""}, "length"), ("length", "tokens")),
    "a filter": (choice({}, "content_filter"), ("content_filter",)),
    "Azure's filter": (choice({"content": ""}, "content_filter", content_filter_results=FOUND),
                       ("content_filter", "hate (high)")),
    "tools": (choice({"content": None, "tool_calls": [{"id": "c"}]}, "tool_calls"), ("tool_calls",)),
    "no tools": (choice({"content": None, "tool_calls": []}, "tool_calls"), ("tool_calls",)),
    "reasoning and no more": (choice({"content": None, "reasoning": "hm", "tool_calls": []}), ("stop", "reasoning")),
    "a reason that nobody knows": (choice({"content": None}, "engine_overloaded"), ("engine_overloaded",)),
    "no reason": (choice({"content": None}, None), ("no finish_reason",)),
    "thinking alone": (choice({"content": [{"type": "thinking", "thinking": []}]}, "length"), ("length",)),
    "a refusal": (choice({"content": None, "refusal": "I cannot"}), ("I cannot",)),
    "a part that refuses": (choice({"content": [{"type": "refusal", "refusal": "I cannot"}]}), ("I cannot",)),
    "an error of the choice": (choice({"content": "ha"}, "error", error={"code": 502, "message": "lost"}), ("lost",)),
}  # fmt: skip


@pytest.mark.parametrize("silent", SILENT)
@pytest.mark.parametrize("family", ["openai", "azure"])
def test_why_a_model_gave_no_text_is_told(family: str, silent: str) -> None:
    body, words = SILENT[silent]
    told = refused("chat", family, body)
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize("family", ["openai", "azure"])
def test_a_text_is_given_as_it_is_where_the_model_was_done_or_was_cut(family: str) -> None:
    for message, reason, text in (
        ({"content": ""}, "stop", ""),
        ({"content": "", "reasoning_content": "hm"}, None, ""),
        ({"content": "hal"}, "length", "hal"),
        ({"content": "hal"}, "content_filter", "hal"),
        ({"content": "yes", "tool_calls": [{"id": "c"}]}, "tool_calls", "yes"),
    ):
        assert called("chat", family, choice(message, reason)) == [text]


def test_what_azure_says_of_its_filter_is_told_with_the_status() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FOUND}
    error = {"message": "The response was filtered", "code": "content_filter", "status": 400, "innererror": inner}
    body = json.dumps({"error": error}).encode()
    with raw_server(answer(body, status="400 Bad Request")) as server:
        model = BUILDERS["chat"]["azure"](server.url)
        with pytest.raises(oh.RemoteStatusError, match=r"filtered.*ResponsibleAIPolicyViolation.*hate"):
            oh.Session(model).run(None, FEEDS["chat"])


SPOKEN: dict[str, tuple[str, bytes]] = {
    "an object": ("application/json", b'{"text": "h\\u00e9", "usage": {"type": "duration", "seconds": 9}}'),
    "an object as text": ("text/plain; charset=utf-8", '{"text": "h\u00e9"}'.encode()),
    "an object as bytes": ("application/octet-stream", '\ufeff{"text": "h\u00e9"}'.encode()),
    "a bare text": ("text/plain; charset=utf-8", "h\u00e9".encode()),
}


@pytest.mark.parametrize("spoken", SPOKEN)
@pytest.mark.parametrize("own", [{}, {"response_format": "json"}, {"response_format": "text"}], ids=str)
@pytest.mark.parametrize("family", ["openai", "azure"])
def test_a_transcript_comes_out_whatever_form_the_server_gives_it(
    family: str, own: dict[str, Any], spoken: str
) -> None:
    kind, body = SPOKEN[spoken]
    assert called("audio", family, body, kind, **own) == ["h\u00e9"]


@pytest.mark.parametrize("family", ["openai", "azure"])
def test_a_transcript_in_quotes_is_a_text_where_a_text_was_asked_for(family: str) -> None:
    assert called("audio", family, b'"h\\u00e9"', response_format="text") == ["h\u00e9"]
    assert called("audio", family, b'"Hello."', "text/plain", response_format="text") == ['"Hello."']
    assert 'response_format="text"' in refused("audio", family, b'"h\\u00e9"')


@pytest.mark.parametrize("family", ["openai", "azure"])
def test_a_format_of_the_servers_own_gives_the_body_as_it_came(family: str) -> None:
    for response_format, kind, body in (
        ("diarized_json", "application/json", b'{"text": "a", "segments": [{"speaker": "A"}]}'),
        ("lrc", "text/plain", b"[00:01.00] a\n"),
        ("tsv", "text/tab-separated-values", b"0\t1\ta\n"),
        ("srt", "text/plain", b"1\n00:00:00,000 --> 00:00:01,000\na\n"),
    ):
        own = {"response_format": response_format}
        assert called("audio", family, body, kind, **own) == [body.decode()]
        assert "busy" in refused("audio", family, {"error": {"message": "busy"}}, **own)
    wrapped = b'{"text": "1\\n00:00:00,000 --> 00:00:01,000\\na\\n"}'
    assert called("audio", family, wrapped, response_format="srt") == [json.loads(wrapped)["text"]]
    assert "srt" in refused("audio", family, b'{"text": "no times"}', response_format="srt")
    page = refused("audio", family, b"a text", "text/html", response_format="text")
    assert 'response_format="json"' in page


@pytest.mark.parametrize(("operation", "family"), [form for form in FORMS if form[0] == "embeddings"])
def test_how_vectors_are_asked_for_is_said_and_both_forms_are_read(operation: str, family: str) -> None:
    packed = [base64.b64encode(np.array(row, "<f4").tobytes()).decode() for row in VECTORS]
    late = oh.Input("form", default="float")
    for own, late_feeds, sent in (
        ({}, {}, "base64"),
        ({"encoding_format": "base64"}, {}, "base64"),
        ({"encoding_format": "float"}, {}, "float"),
        ({"encoding_format": None}, {}, None),
        ({"encoding_format": late}, {}, "float"),
        ({"encoding_format": late}, {"form": np.array(["base64"], object)}, "base64"),
        ({"encoding_format": late}, {"form": np.array([""], object)}, None),
    ):
        for rows in (packed, VECTORS, [packed[0], VECTORS[1]]):
            body = json.dumps({"data": [{"embedding": row} for row in rows]}).encode()
            with raw_server(answer(body)) as server:
                model = BUILDERS[operation][family](server.url, **own)
                (vectors,) = oh.Session(model).run(None, {**FEEDS[operation], **late_feeds})
                heard = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
            assert vectors.tolist() == VECTORS
            assert heard.get("encoding_format") == sent


INDICES: dict[str, tuple[list[Any], bool]] = {
    "all": ([0, 1, 2], True),
    "in another order": ([2, 0, 1], True),
    "none": ([..., ..., ...], True),
    "null": ([None, None, None], True),
    "none where it is 0": ([..., 1, 2], True),
    "none where it is 0, behind others": ([2, ..., 1], True),
    "with a fraction of zero": ([0.0, 2.0, 1.0], True),
    "some": ([0, ..., ...], False),
    "none where it is 1": ([0, ..., 2], False),
    "zero everywhere": ([0, 0, 0], False),
    "one twice": ([0, 1, 1], False),
    "from 1": ([1, 2, 3], False),
    "texts": (["0", "1", "2"], False),
    "below zero": ([-1, 0, 1], False),
}


@pytest.mark.parametrize("indices", INDICES)
@pytest.mark.parametrize("family", ["openai", "azure"])
def test_vectors_are_put_in_order_or_refused(family: str, indices: str) -> None:
    places, fits = INDICES[indices]
    items = [{"embedding": [row], **({} if place is ... else {"index": place})} for row, place in enumerate(places)]
    with raw_server(answer(json.dumps({"data": items}).encode())) as server:
        session = oh.Session(BUILDERS["embeddings"][family](server.url))
        feeds = {"text": np.array(["a", "b", "c"], object)}
        if not fits:
            with pytest.raises(oh.ProtocolError, match="OH504"):
                session.run(None, feeds)
            return
        (vectors,) = session.run(None, feeds)
    known = [place for place in places if place not in (..., None)]
    expected = [row if not known else place if place is not ... else 0 for row, place in enumerate(places)]
    assert vectors[:, 0].tolist() == [float(expected.index(row)) for row in range(3)]


class _Stage:
    """A server that answers what it is told to."""

    def __init__(self) -> None:
        self.body = b""

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        answer(self.body)(connection, request)


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[_Stage, str]]:
    """A server and its URL."""
    stage = _Stage()
    with raw_server(stage) as server:
        yield stage, server.url


def _client(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=url, max_retries=0)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5), data=st.data()
)
def test_vectors_are_those_of_the_official_client(
    stage: tuple[_Stage, str], rows: list[float], data: st.DataObject
) -> None:
    server, url = stage
    items = [{"object": "embedding", "index": row, "embedding": [value]} for row, value in enumerate(rows)]
    shuffled = data.draw(st.permutations(items))
    texts = np.array(["x"] * len(rows), object)
    session = oh.Session(BUILDERS["embeddings"]["openai"](url))
    server.body = json.dumps({"data": [{"embedding": item["embedding"]} for item in shuffled]}).encode()
    with _client(url) as client:
        expected = client.embeddings.create(model="m", input=texts.tolist(), encoding_format="float")
    (vectors,) = session.run(None, {"text": texts})
    np.testing.assert_array_equal(vectors, np.array([item.embedding for item in expected.data], np.float32))
    server.body = json.dumps({"data": shuffled}).encode()
    with _client(url) as client:
        expected = client.embeddings.create(model="m", input=texts.tolist(), encoding_format="float")
    ordered = sorted(expected.data, key=lambda item: item.index)
    (vectors,) = session.run(None, {"text": texts})
    np.testing.assert_array_equal(vectors, np.array([item.embedding for item in ordered], np.float32))


_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_PART = st.one_of(
    _TEXT.map(lambda text: {"type": "output_text", "text": text, "annotations": []}),
    _TEXT.map(lambda text: {"type": "reasoning_text", "text": text}),
)
_ITEM = st.one_of(
    st.lists(_PART, max_size=3).map(lambda parts: {"type": "message", "role": "assistant", "content": parts}),
    _TEXT.map(lambda text: {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}),
)


@settings(max_examples=25, deadline=None)
@given(items=st.lists(_ITEM, max_size=4), last=st.lists(_PART, max_size=3))
def test_a_response_s_text_is_that_of_the_official_client(
    stage: tuple[_Stage, str], items: list[dict[str, Any]], last: list[dict[str, Any]]
) -> None:
    server, url = stage
    output = [*items, {"type": "message", "role": "assistant", "content": last}]
    server.body = json.dumps({"object": "response", "status": "completed", "output": output}).encode()
    with _client(url) as client:
        expected = client.responses.create(model="m", input="hi").output_text
    (text,) = oh.Session(BUILDERS["responses"]["openai"](url)).run(None, FEEDS["responses"])
    assert text.tolist() == [expected]


@settings(max_examples=25, deadline=None)
@given(pieces=st.lists(_TEXT, min_size=1, max_size=4), thoughts=_TEXT)
def test_a_content_in_parts_is_the_content_in_one(stage: tuple[_Stage, str], pieces: list[str], thoughts: str) -> None:
    server, url = stage
    parts = [{"type": "text", "text": piece} for piece in pieces]
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": thoughts}]}, *parts]
    session = oh.Session(BUILDERS["chat"]["openai"](url))
    texts = []
    for said in (content, "".join(pieces)):
        server.body = json.dumps(choice({"role": "assistant", "content": said})).encode()
        texts.append(session.run(None, FEEDS["chat"])[0].tolist())
    assert texts[0] == texts[1] == ["".join(pieces)]

"""The protocols of the OpenAI API: our operator sends what the official client sends, and gives what it gives."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import openai
import pytest

import onnxhybrid as oh
from tests.servers.raw import Behaviour, RawServer, answer, raw_server

KEY = "sk-0123456789abcdefghij"
VERSION = "2024-10-21"
SOUND = bytes(range(256)) * 20
FILE = np.frombuffer(SOUND, np.uint8)
MEANING: tuple[str, ...] = ("authorization", "api-key", "accept")
COMMON: dict[str, Any] = {"timeout": 5.0, "retries": 0}


@dataclass
class Heard:
    """A request as far as it means something to a service."""

    line: str
    headers: dict[str, str]
    fields: dict[str, Any]

    @classmethod
    def of(cls, request: bytes) -> Heard:
        head, _, body = request.partition(b"\r\n\r\n")
        line, *rows = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        kind = headers["content-type"].partition(";")[0]
        meaning: dict[str, str] = {name: headers[name] for name in MEANING if name in headers}
        read = json.loads if kind == "application/json" else lambda body: _form(headers["content-type"], body)
        return cls(line, {**meaning, "content-type": kind}, read(body))


def _form(kind: str, body: bytes) -> dict[str, Any]:
    """Field -> value, or (file name, content type, bytes); the temperature as the number that it is."""
    message = email.message_from_bytes(
        f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP.clone(utf8=True)
    )
    fields: dict[str, Any] = {}
    for part in message.iter_parts():
        name, file = str(part.get_param("name", header="content-disposition")), part.get_filename()
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        assert name not in fields
        fields[name] = (file, part.get_content_type(), content) if file else content.decode()
    if "temperature" in fields:
        fields["temperature"] = float(fields["temperature"])
    return fields


def completion(text: str | None, **more: object) -> bytes:
    message = {"role": "assistant", "content": text, "refusal": None, **more}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    ).encode()


def vectors(*rows: list[float], order: list[int] | None = None) -> bytes:
    items = [
        {"object": "embedding", "index": index, "embedding": base64.b64encode(np.array(row, "<f4").tobytes()).decode()}
        for index, row in enumerate(rows)
    ]
    items = [items[index] for index in order or range(len(items))]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return json.dumps({"object": "list", "data": items, "model": "m", "usage": usage}).encode()


def floats(embedding: Any) -> Any:
    """A vector in either of its forms."""
    of_text = isinstance(embedding, str)
    return np.frombuffer(base64.b64decode(embedding), "<f4") if of_text else np.array(embedding, np.float32)


def response(*texts: str) -> bytes:
    """A response that has reasoned, with one message for each text."""
    messages = [
        {"type": "message", "id": "m", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": text, "annotations": []}]}
        for text in texts
    ]  # fmt: skip
    output = [{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}, *messages]
    body = {"id": "r", "object": "response", "status": "completed", "error": None, "output": output, "model": "m"}
    return json.dumps(body).encode()


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=KEY, base_url=url, max_retries=0)


def azure(url: str) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(api_key=KEY, azure_endpoint=url, api_version=VERSION, max_retries=0)


def run(model: oh.Model, /, **feeds: Any) -> list[Any]:
    arrays = {name: value if isinstance(value, np.ndarray) else np.array(value) for name, value in feeds.items()}
    return oh.Session(model, credentials={"openai": KEY, "azure_openai": KEY}).run(None, arrays)


Call = Callable[[openai.OpenAI], Any]
Build = Callable[[str], oh.Model]
AUDIO = ("audio.wav", SOUND, "audio/wav")
JSON_TEXT = answer(b'{"text": "h\\u00e9"}')
DIARIZED = '{"task": "transcribe", "duration": 1.0, "text": "hi", "segments": [{"speaker": "A", "text": "hi"}]}'
PAIRS: dict[str, tuple[Behaviour, Call, Build, dict[str, Any]]] = {
    "a transcription": (
        answer(b"h\xc3\xa9\n", kind="text/plain; charset=utf-8"),
        lambda c: c.audio.transcriptions.create(
            model="whisper-1", file=AUDIO, response_format="text", language="de", prompt="a\u00e9\r\n--b",
            temperature=0.2,
        ),
        lambda url: oh.remote.openai_audio(
            url=url, response_format="text", language="de", prompt="a\u00e9\r\n--b", temperature=0.2, **COMMON
        ),
        {"file": FILE},
    ),
    "a transcription as json": (
        JSON_TEXT,
        lambda c: c.audio.transcriptions.create(
            model="m", file=("audio.mp3", SOUND, "audio/mpeg"), response_format="json"
        ).text,
        lambda url: oh.remote.openai_audio("m", url=url, audio_format="mp3", **COMMON),
        {"file": FILE},
    ),
    "subtitles": (
        answer(b"WEBVTT\n\n00:00 --> 00:01\nhi\n", kind="text/vtt"),
        lambda c: c.audio.transcriptions.create(model="whisper-1", file=AUDIO, response_format="vtt"),
        lambda url: oh.remote.openai_audio(url=url, response_format="vtt", **COMMON),
        {"file": FILE},
    ),
    "speakers": (
        answer(DIARIZED.encode()),
        lambda c: c.audio.transcriptions.with_raw_response.create(
            model="m", file=AUDIO, response_format="diarized_json"
        ).text,
        lambda url: oh.remote.openai_audio("m", url=url, response_format="diarized_json", **COMMON),
        {"file": FILE},
    ),
    "a translation": (
        JSON_TEXT,
        lambda c: c.audio.translations.create(model="whisper-1", file=AUDIO, response_format="json", prompt="p").text,
        lambda url: oh.remote.openai_audio(url=url, translate=True, prompt="p", **COMMON),
        {"file": FILE},
    ),
    "a chat": (
        answer(completion("h\u00e9\n")),
        lambda c: c.chat.completions.create(
            model="m",
            messages=[{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi \u00e9\n"}],
            temperature=0.2,
            max_tokens=7,
        ).choices[0].message.content,
        lambda url: oh.remote.openai_chat(
            "m", url=url, system="be brief", temperature=0.2, max_tokens=7, **COMMON
        ),
        {"prompt": ["hi \u00e9\n"]},
    ),
    "a plain chat": (
        answer(completion("")),
        lambda c: c.chat.completions.create(model="m", messages=[{"role": "user", "content": ""}])
        .choices[0].message.content,
        lambda url: oh.remote.openai_chat("m", url=url, **COMMON),
        {"prompt": [""]},
    ),
    "a chat of a model that reasons": (
        answer(completion("hi")),
        lambda c: c.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], max_completion_tokens=7
        ).choices[0].message.content,
        lambda url: oh.remote.openai_chat("m", url=url, max_completion_tokens=7, **COMMON),
        {"prompt": ["x"]},
    ),
    "a response": (
        answer(response("h\u00e9", "\n!")),
        lambda c: c.responses.create(
            model="m", input="hi \u00e9\n", instructions="be brief", max_output_tokens=99
        ).output_text,
        lambda url: oh.remote.openai_responses(
            "m", url=url, instructions="be brief", max_output_tokens=99, **COMMON
        ),
        {"prompt": ["hi \u00e9\n"]},
    ),
    "a plain response": (
        answer(response("")),
        lambda c: c.responses.create(model="m", input="").output_text,
        lambda url: oh.remote.openai_responses("m", url=url, **COMMON),
        {"prompt": [""]},
    ),
    "embeddings as floats": (
        answer(b'{"data": [{"object": "embedding", "index": 0, "embedding": [1, -2.5e-3]}], "model": "m"}'),
        lambda c: c.embeddings.create(model="m", input=["a"], encoding_format="float"),
        lambda url: oh.remote.openai_embeddings("m", url=url, encoding_format="float", **COMMON),
        {"text": ["a"]},
    ),
    "embeddings": (
        answer(vectors([1.0, 0.1], [-3.0, 1e-30], order=[1, 0])),
        lambda c: c.embeddings.create(model="m", input=["a", "\u00e9"], encoding_format="base64"),
        lambda url: oh.remote.openai_embeddings("m", url=url, **COMMON),
        {"text": ["a", "\u00e9"]},
    ),
    "short embeddings": (
        answer(vectors([1.0, 0.1])),
        lambda c: c.embeddings.create(model="m", input=["a"], encoding_format="base64", dimensions=2),
        lambda url: oh.remote.openai_embeddings("m", url=url, dimensions=2, **COMMON),
        {"text": ["a"]},
    ),
}  # fmt: skip


def both(server: RawServer) -> tuple[Heard, Heard]:
    theirs, ours = server.requests
    return Heard.of(theirs), Heard.of(ours)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the client wants no translations any more
@pytest.mark.parametrize("pair", PAIRS)
def test_our_request_and_result_are_those_of_the_official_client(pair: str) -> None:
    behave, call, build, feeds = PAIRS[pair]
    with raw_server(behave) as server:
        with client(f"{server.url}/v1") as official:
            expected = call(official)
        (result,) = run(build(f"{server.url}/v1"), **feeds)
        theirs, ours = both(server)
    assert ours == theirs
    if isinstance(expected, str):
        assert result.tolist() == [expected]
    else:
        rows = {item.index: floats(item.embedding) for item in expected.data}
        np.testing.assert_array_equal(result, np.stack([rows[index] for index in range(len(rows))]))


AZURE: dict[str, tuple[Behaviour, Call, Build, dict[str, Any]]] = {
    "a transcription": (
        answer(b"hi", kind="text/plain"),
        lambda c: c.audio.transcriptions.create(model="my dep", file=AUDIO, response_format="text", language="de"),
        lambda url: oh.remote.azure_openai_audio(
            url, "my dep", api_version=VERSION, response_format="text", language="de", **COMMON
        ),
        {"file": FILE},
    ),
    "a chat": (
        answer(completion("hi")),
        lambda c: c.chat.completions.create(model="dep", messages=[{"role": "user", "content": "x"}], max_tokens=3),
        lambda url: oh.remote.azure_openai_chat(url, "dep", api_version=VERSION, max_tokens=3, **COMMON),
        {"prompt": ["x"]},
    ),
    "a chat of a model that reasons": (
        answer(completion("hi")),
        lambda c: c.chat.completions.create(
            model="dep", messages=[{"role": "user", "content": "x"}], max_completion_tokens=3
        ),
        lambda url: oh.remote.azure_openai_chat(url, "dep", api_version=VERSION, max_completion_tokens=3, **COMMON),
        {"prompt": ["x"]},
    ),
    "embeddings": (
        answer(vectors([1.0])),
        lambda c: c.embeddings.create(model="dep", input=["x"], encoding_format="base64"),
        lambda url: oh.remote.azure_openai_embeddings(url, "dep", api_version=VERSION, **COMMON),
        {"text": ["x"]},
    ),
}


@pytest.mark.parametrize("pair", AZURE)
def test_our_request_is_that_of_the_official_client_on_azure_too(pair: str) -> None:
    behave, call, build, feeds = AZURE[pair]
    with raw_server(behave) as server:
        with azure(server.url) as official:
            call(official)
        run(build(f"{server.url}/"), **feeds)
        theirs, ours = both(server)
    assert ours == theirs
    assert ours.headers["api-key"] == KEY


def test_options_given_at_run_time_are_inputs_with_or_without_a_default() -> None:
    def model(url: str) -> oh.Model:
        return oh.remote.openai_chat(
            oh.Input("which"),
            url=url,
            system=oh.Input(default="be brief"),
            temperature=oh.Input(),
            max_tokens=oh.Input("limit", default=5),
            auth=oh.Input("auth_token"),
            **COMMON,
        )

    specs = [(spec.name, spec.dtype, spec.shape, spec.optional) for spec in model("http://h").inputs]
    assert specs == [
        ("auth_token", "str", (1,), False),
        ("which", "str", (1,), False),
        ("system", "str", (1,), True),
        ("temperature", "float32", (1,), False),
        ("limit", "int64", (1,), True),
        ("prompt", "str", ("n",), False),
    ]
    feeds = {"auth_token": [KEY], "which": ["m"], "prompt": ["hi"], "temperature": np.array([0.2], np.float32)}
    with raw_server(answer(completion("ok"))) as server:
        run(model(server.url), **feeds)
        run(model(server.url), **feeds, system=[""], limit=np.array([9], np.int64))
        first, second = both(server)
    user = {"role": "user", "content": "hi"}
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.fields == {
        "model": "m",
        "temperature": 0.2,
        "max_tokens": 5,
        "messages": [{"role": "system", "content": "be brief"}, user],
    }
    assert second.fields == {"model": "m", "temperature": 0.2, "max_tokens": 9, "messages": [user]}


def test_every_option_of_audio_may_come_at_run_time() -> None:
    options: dict[str, Any] = {
        name: oh.Input() for name in ("model", "audio_format", "response_format", "language", "prompt")
    }
    given = {"model": "m", "audio_format": "flac", "response_format": "json", "language": "", "prompt": "p"}
    with raw_server(JSON_TEXT) as server:
        (text,) = run(
            oh.remote.openai_audio(url=server.url, **options, **COMMON), file=FILE, **{k: [v] for k, v in given.items()}
        )
        heard = Heard.of(server.requests[0])
    assert text.tolist() == ["h\u00e9"]
    assert heard.fields == {
        "model": "m",
        "response_format": "json",
        "prompt": "p",
        "file": ("audio.flac", "audio/flac", SOUND),
    }


@pytest.mark.parametrize(("option", "value"), [("audio_format", 'wav"\r\nX: y'), ("model", "")])
def test_a_run_time_option_that_cannot_be_is_not_sent(option: str, value: str) -> None:
    late: dict[str, Any] = {option: oh.Input()}
    with raw_server(JSON_TEXT) as server, pytest.raises(oh.ProtocolError, match="OH509"):
        run(oh.remote.openai_audio(url=server.url, **late, **COMMON), file=FILE, **{option: [value]})
    assert not server.requests


def echo(connection: socket.socket, request: bytes) -> None:
    """Answer a chat with its last message."""
    answer(completion(json.loads(request.partition(b"\r\n\r\n")[2])["messages"][-1]["content"]))(connection, request)


def test_rows_travel_side_by_side_and_come_back_in_order() -> None:
    together = threading.Barrier(8)

    def wait(connection: socket.socket, request: bytes) -> None:
        together.wait(5)
        echo(connection, request)

    prompts = [f"row {number}" for number in range(8)]
    with raw_server(wait) as server:
        session = oh.Session(oh.remote.openai_chat("m", url=server.url, auth=None, **COMMON))
        (texts,) = session.run(None, {"prompt": np.array(prompts)})
        stats = session.stats()["m"]
    assert texts.tolist() == prompts
    assert (stats.calls, stats.retries, len(server.requests)) == (1, 0, 8)


def test_many_rows_come_back_in_order() -> None:
    prompts = [f"{number}\u00e9" * (number % 3) for number in range(60)]
    with raw_server(echo) as server:
        (texts,) = run(oh.remote.openai_chat("m", url=server.url, auth=None, **COMMON), prompt=prompts)
    assert texts.tolist() == prompts


@pytest.mark.parametrize("builder", [oh.remote.openai_chat, oh.remote.openai_responses, oh.remote.openai_embeddings])
def test_no_rows_need_no_request(builder: Callable[..., oh.Model]) -> None:
    with raw_server(answer(b"{}")) as server:
        model = builder("m", url=server.url, auth=None, **COMMON)
        (result,) = oh.Session(model).run(None, {model.inputs[0].name: np.empty((0,), object)})
    assert result.shape[0] == 0
    assert not server.requests


def test_one_row_that_fails_fails_the_call_and_says_which() -> None:
    def behave(connection: socket.socket, request: bytes) -> None:
        refuse = answer(b'{"error": {"message": "too long", "code": null}}', status="400 Bad Request")
        (refuse if b"bad" in request else echo)(connection, request)

    with raw_server(behave) as server:
        url = server.url
        with pytest.raises(oh.RemoteStatusError, match=r"row 2: .*too long") as caught:
            run(oh.remote.openai_chat("m", url=url, auth=None, **COMMON), prompt=["a", "b", "bad", "c"])
        flagged = oh.remote.openai_chat("m", url=url, auth=None, on_error="flag", **COMMON)
        text, ok, status, error = run(flagged, prompt=["a", "bad"])
    assert caught.value.status == 400
    assert (text.shape, bool(ok), int(status)) == ((0,), False, 400)
    assert "OH503" in str(error)


def test_each_row_is_tried_again_where_that_is_safe() -> None:
    seen: list[bytes] = []

    def behave(connection: socket.socket, request: bytes) -> None:
        seen.append(request)
        busy = answer(b"", status="429 Too Many Requests")
        (busy if seen.count(request) == 1 else echo)(connection, request)

    with raw_server(behave) as server:
        session = oh.Session(oh.remote.openai_chat("m", url=server.url, auth=None, timeout=10.0, retries=1))
        (texts,) = session.run(None, {"prompt": np.array(["a", "b", "c"])})
    assert texts.tolist() == ["a", "b", "c"]
    assert session.stats()["m"].retries == 3


def test_a_raw_chat_takes_and_gives_whole_bodies() -> None:
    bodies = ['{ "model": "x", "messages": [] }', '{"n": 2}']
    reply = completion("hi")
    with raw_server(answer(reply)) as server:
        (texts,) = run(oh.remote.openai_chat("m", url=server.url, raw=True, **COMMON), prompt=bodies)
        sent = sorted(request.partition(b"\r\n\r\n")[2].decode() for request in server.requests)
    assert texts.tolist() == [reply.decode()] * 2
    assert sent == sorted(bodies)


def test_floats_in_lists_are_understood() -> None:
    with raw_server(answer(b'{"data": [{"index": 0, "embedding": [1, 0.1]}]}')) as server:
        (embedding,) = run(oh.remote.openai_embeddings("m", url=server.url, **COMMON), text=["a"])
    np.testing.assert_array_equal(embedding, np.array([[1, 0.1]], np.float32))


AUDIO_FAULTS = {
    "an HTML page": (answer(b"<html>", kind="text/html"), "OH504"),
    "text that is no UTF-8": (answer(b"\xff", kind="text/plain"), "OH504"),
    "a list for a text": (answer(b'["a"]'), "OH504"),
    "401": (answer(b'{"error": {"message": "bad key"}}', status="401 Unauthorized"), "OH503"),
}
CHAT_FAULTS = {
    "null content": (answer(completion(None)), "OH504"),
    "a refusal": (answer(completion(None, refusal="I cannot")), "OH504"),
    "no choices": (answer(b'{"choices": []}'), "OH504"),
    "an error with 200": (answer(b'{"error": {"message": "overloaded"}}'), "OH504"),
    "an HTML page": (answer(b"<html>", kind="text/html"), "OH504"),
}
EMBEDDING_FAULTS = {
    "too few rows": (answer(vectors([1.0])), "OH506"),
    "too many rows": (answer(vectors([1.0], [1.0], [1.0])), "OH506"),
    "ragged rows": (answer(vectors([1.0], [1.0, 2.0])), "OH506"),
    "a doubled index": (answer(vectors([1.0], [2.0]).replace(b'"index": 1', b'"index": 0')), "OH504"),
    "no base64": (answer(vectors([1.0], [2.0]).replace(b"AAA", b"???")), "OH504"),
}
FAULTS = [
    (builder, feeds, behave, code)
    for builder, feeds, faults in (
        (oh.remote.openai_audio, {"file": FILE}, AUDIO_FAULTS),
        (oh.remote.openai_chat, {"prompt": ["a", "b"]}, CHAT_FAULTS),
        (oh.remote.openai_embeddings, {"text": ["a", "b"]}, EMBEDDING_FAULTS),
    )
    for behave, code in faults.values()
]


@pytest.mark.parametrize(("builder", "feeds", "behave", "code"), FAULTS)
def test_a_fault_of_the_service_is_a_coded_error(
    builder: Callable[..., oh.Model], feeds: dict[str, Any], behave: Behaviour, code: str
) -> None:
    with raw_server(behave) as server, pytest.raises(oh.RemoteError) as caught:
        run(builder("m", url=server.url, **COMMON), **feeds)
    assert caught.value.code == code


def test_the_official_variables_do_not_go_to_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    with raw_server(answer(completion("hi"))) as server:
        for model in (
            oh.remote.openai_chat("m", url=server.url, **COMMON),
            oh.remote.azure_openai_chat(server.url, "m", api_version=VERSION, **COMMON),
        ):
            with pytest.raises(oh.CredentialError, match="OH511") as caught:
                oh.Session(model).run(None, {"prompt": np.array(["a"])})
            assert KEY not in str(caught.value)
        assert not server.requests
        oh.Session(oh.remote.openai_chat("m", url=server.url, auth=None, **COMMON)).run(
            None, {"prompt": np.array(["a"])}
        )
    assert b"authorization" not in server.requests[0].lower()


def test_the_credential_of_a_service_is_the_default() -> None:
    for model, name in (
        (oh.remote.openai_audio(), "openai"),
        (oh.remote.openai_chat("m"), "openai"),
        (oh.remote.azure_openai_embeddings("https://r.openai.azure.com", "d", api_version=VERSION), "azure_openai"),
    ):
        assert [remote.credential for remote in model.remotes] == [name]
    assert oh.remote.openai_chat("gpt").remotes[0].model == "gpt"


def test_the_specs_say_what_a_model_takes_and_gives() -> None:
    spec = oh.TensorSpec
    for model, taken, given in (
        (oh.remote.openai_audio(), spec("file", "uint8", ("bytes",)), spec("text", "str", (1,))),
        (oh.remote.openai_chat("m"), spec("prompt", "str", ("n",)), spec("text", "str", ("n",))),
        (oh.remote.openai_responses("m"), spec("prompt", "str", ("n",)), spec("text", "str", ("n",))),
        (oh.remote.openai_embeddings("m"), spec("text", "str", ("n",)), spec("embedding", "float32", ("n", None))),
        (oh.remote.openai_embeddings("m", dimensions=8), spec("text", "str", ("n",)),
         spec("embedding", "float32", ("n", 8))),
    ):  # fmt: skip
        assert (model.inputs, model.outputs) == ((taken,), (given,))


@pytest.mark.parametrize(
    "build",
    [
        lambda: oh.remote.openai_audio(response_format=5),  # type: ignore[arg-type]
        lambda: oh.remote.openai_audio(response_format=oh.Input(default=5)),
        lambda: oh.remote.openai_audio(translate=True, language="de"),
        lambda: oh.remote.openai_audio(translate=oh.Input()),  # type: ignore[arg-type]
        lambda: oh.remote.openai_audio(temperature="hot"),  # type: ignore[arg-type]
        lambda: oh.remote.openai_audio(temperature=float("nan")),
        lambda: oh.remote.openai_chat(""),
        lambda: oh.remote.openai_chat("m", max_tokens=1.5),  # type: ignore[arg-type]
        lambda: oh.remote.openai_chat("m", max_tokens=oh.Input(default="many")),
        lambda: oh.remote.openai_chat("m", raw=True, system="x"),
        lambda: oh.remote.openai_chat("m", raw=True, max_completion_tokens=1),
        lambda: oh.remote.openai_chat("m", max_tokens=1, max_completion_tokens=1),
        lambda: oh.remote.openai_chat("m", max_tokens=1, max_completion_tokens=oh.Input()),
        lambda: oh.remote.azure_openai_chat(
            "https://h", "d", api_version=VERSION, max_tokens=oh.Input(), max_completion_tokens=1
        ),
        lambda: oh.remote.openai_responses(""),
        lambda: oh.remote.openai_responses("m", max_output_tokens="many"),  # type: ignore[arg-type]
        lambda: oh.remote.openai_responses("m", instructions=5),  # type: ignore[arg-type]
        lambda: oh.remote.openai_embeddings("m", encoding_format="int8"),
        lambda: oh.remote.openai_embeddings("m", encoding_format=oh.Input(default="int8")),
        lambda: oh.remote.openai_embeddings("m", encoding_format=5),  # type: ignore[arg-type]
        lambda: oh.remote.openai_embeddings("m", dimensions=0),
        lambda: oh.remote.openai_embeddings("m", dimensions=True),
        lambda: oh.remote.openai_embeddings("m", timeuot=1),
        lambda: oh.remote.azure_openai_chat("https://h", "d", api_version=""),
        lambda: oh.remote.azure_openai_chat("https://h", None, api_version=VERSION),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused_at_the_line_that_gave_it(build: Callable[[], oh.Model]) -> None:
    with pytest.raises(oh.ModelError, match="OH304"):
        build()

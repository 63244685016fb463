"""Exported models run in the real old library, and put on the wire there what they put on the wire here."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import onnxhybrid as oh
from tests.old_models import AUTH, BYTES, ECHO, FILE, FLOAT, STRING, TOKEN, of_nodes, old_model, run_old, sent, text
from tests.servers.raw import answer, raw_server

ANSWER = [("transcriptions", STRING, [-1])]
X = np.array([1, 2], np.float32)
TOKEN_INPUT = oh.Input("auth_token")


def both_send(model: oh.Model, feeds: dict[str, Any], server: Any) -> None:
    """The exported model sends, from the old library with all its optimizations, what the model itself sends."""
    server.requests.clear()
    new = oh.Session(model).run(None, feeds)
    exported = oh.legacy.export(model)
    assert exported.inputs == model.inputs
    assert exported.outputs == model.outputs
    old = run_old(exported.to_proto(), feeds, optimized=True)
    assert len(server.requests) % 2 == 0
    ours, theirs = server.requests[: len(server.requests) // 2], server.requests[len(server.requests) // 2 :]
    assert list(map(sent, ours)) == list(map(sent, theirs))
    for one, other in zip(new, old, strict=True):
        np.testing.assert_array_equal(one, other)


def triton(url: str, *names: str, dtype: str = "float32", shape: Any = (2,), **options: Any) -> oh.Model:
    inputs = [oh.TensorSpec(name, dtype, shape) for name in names or ("X",)]
    settings = {"version": "1", "auth": TOKEN_INPUT, **options}
    return oh.remote.triton(url, "m", inputs=inputs, outputs=[oh.TensorSpec("Z", dtype, shape)], **settings)


def feeds(**tensors: Any) -> dict[str, Any]:
    return {"auth_token": text(TOKEN), **(tensors or {"X": X})}


def negated(source: str, target: str) -> oh.Model:
    nodes = [helper.make_node("Neg", [source], [target])]
    return oh.Model.from_proto(of_nodes(nodes, [(source, FLOAT, [2])], [(target, FLOAT, [2])]))


def test_a_triton_call_is_written() -> None:
    with raw_server(ECHO) as server:
        both_send(triton(f"{server.url}/base", "X", "Y", version=""), feeds(X=X, Y=-X), server)


@pytest.mark.parametrize(
    "names",
    [{"auth_token": "t"}, {"X": "image"}, {"Z": "grid"}, {"X": "a/b", "Z": "p/Z"}, {"auth_token": "x", "X": "auth"}],
    ids=str,
)
def test_a_renamed_tensor_keeps_its_wire_name(names: dict[str, str]) -> None:
    with raw_server(ECHO) as server:
        given = {names.get(name, name): value for name, value in feeds().items()}
        both_send(triton(server.url).rename(names), given, server)


@pytest.mark.parametrize("shape", [(2,), (), None, ("n", 1, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "str", "bool", "int64"])
def test_every_rank_is_written(dtype: str, shape: Any) -> None:
    actual = tuple(1 if isinstance(size, str) else size for size in (shape or ()))
    value = np.full(actual, "é" if dtype == "str" else 1, object if dtype == "str" else dtype)
    with raw_server(ECHO) as server:
        model = triton(server.url, dtype=dtype, shape=shape).rename({"X": "in", "Z": "out"})
        both_send(model, feeds(**{"in": value}), server)


def test_what_stands_around_a_call_does_not_change_its_names() -> None:
    """The optimizer folds an Identity away, and the name that it gave."""
    with raw_server(ECHO) as server:
        before, after = (
            oh.Model.from_proto(
                of_nodes([helper.make_node("Identity", [a], [b])], [(a, FLOAT, [2])], [(b, FLOAT, [2])])
            )
            for a, b in (("image", "X"), ("Z", "grid"))
        )
        both_send(oh.chain(before, triton(server.url), after), feeds(image=X), server)
        both_send(oh.chain(negated("image", "X"), triton(server.url), negated("Z", "y")), feeds(image=X), server)


def test_branches_may_give_outputs_of_one_name() -> None:
    with raw_server(ECHO) as server:
        remotes = (triton(server.url, "X"), triton(f"{server.url}/other", "X"))
        model = oh.switch("first", then=remotes[0], else_=remotes[1])
        for first in (True, False):
            both_send(model, feeds(X=X, first=np.array(first)), server)


def test_calls_side_by_side_share_a_token() -> None:
    with raw_server(ECHO) as server:
        one, other = triton(server.url), triton(server.url, "Y").rename({"Z": "W"})
        parts = oh.parallel(a=one, b=other)
        with pytest.raises(oh.ModelError, match="OH403"):  # both outputs are Z on the wire
            oh.legacy.export(parts)
        audio = oh.remote.openai_audio(url=f"{server.url}/v1", response_format="text", auth=TOKEN_INPUT)
        assert oh.legacy.export(oh.parallel(a=one, b=audio)).remotes == ()
        with pytest.raises(oh.ModelError, match=r"OH403.*one token"):
            oh.legacy.export(oh.parallel(a=one, b=audio.rename({"auth_token": "other"})))


def test_a_call_without_a_token_is_written() -> None:
    with raw_server(ECHO) as server:
        both_send(triton(server.url, auth=None), {"X": X}, server)


@settings(max_examples=25)
@given(
    response_format=st.sampled_from(["text", "srt", "vtt", "verbose_json"]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "language": st.sampled_from(["de", oh.Input()]),
            "prompt": st.one_of(st.text(string.printable, min_size=1, max_size=9), st.just(oh.Input("p/prompt"))),
            "temperature": st.sampled_from([0, 0.2, 1.0]),
            "model": st.sampled_from(["whisper-1", oh.Input()]),
        },
    ),
)
def test_any_transcription_is_written(response_format: str, options: dict[str, Any]) -> None:
    body, kind = (b'{"text": "hi"}', "application/json") if response_format == "verbose_json" else (b"hi", "text/plain")
    with raw_server(answer(body, kind=kind)) as server:
        model = oh.remote.openai_audio(
            url=f"{server.url}/v1", auth=TOKEN_INPUT, response_format=response_format, **options
        )
        given = {spec.name: text(f"value of {spec.name}") for spec in model.inputs if spec.name != "file"}
        both_send(model, {**given, "auth_token": text(TOKEN), "file": FILE}, server)


def test_a_translation_is_written() -> None:
    with raw_server(answer(b"hi", kind="text/plain")) as server:
        model = oh.remote.openai_audio(url=f"{server.url}/v1", response_format="text", auth=TOKEN_INPUT, translate=True)
        both_send(model, feeds(file=FILE), server)


def test_a_raw_chat_of_azure_is_written() -> None:
    with raw_server(answer(b'{"choices": []}')) as server:
        model = oh.remote.azure_openai_chat(
            server.url, "my deployment", api_version="2024-10-21", raw=True, auth=TOKEN_INPUT
        )
        both_send(model, feeds(prompt=text('{"messages": []}')), server)


FIELD_LISTS = [["model_name", "file", "b/prompt", "a/prompt"], ["file"], ["filename", "file"]]


@pytest.mark.parametrize("fields", FIELD_LISTS, ids=str)
@pytest.mark.parametrize("operator", ["OpenAIAudioToText", "AzureAudioToText"])
def test_there_and_back_is_the_same(operator: str, fields: list[str]) -> None:
    with raw_server(answer(b"hi", kind="text/plain")) as server:
        inputs = [AUTH, *((name, BYTES if name == "file" else STRING, [-1]) for name in fields)]
        attributes = {"model_uri": f"{server.url}/v1?k=1", "model_name": "m", "audio_format": "wav"}
        old = old_model(operator, inputs, ANSWER, **attributes)
        new = oh.legacy.upgrade(oh.Model.from_proto(old))
        given = {name: FILE if name == "file" else text(f"value of {name}") for name in fields}
        both_send(new, {"auth_token": text(TOKEN), **given}, server)
        back = oh.legacy.upgrade(oh.legacy.export(new))
        assert [vars(spec) for spec in back.remotes] == [vars(spec) for spec in new.remotes]


def test_a_text_there_and_back_is_the_same() -> None:
    with raw_server(answer(b"{}")) as server:
        inputs = [AUTH, ("chat", STRING, [1])]
        old = old_model("AzureTextToText", inputs, ANSWER, model_uri=f"{server.url}/v1?k=1", timeout_seconds=7)
        new = oh.legacy.upgrade(oh.Model.from_proto(old))
        assert new.remotes[0].timeout == 7
        both_send(new, feeds(chat=text("{}")), server)
        assert oh.legacy.upgrade(oh.legacy.export(new)).remotes == new.remotes


URL = "http://127.0.0.1:1"
FIELDS = [oh.TensorSpec("X", "float32", (2,))], [oh.TensorSpec("Z", "float32", (2,))]
REFUSED = {
    "a credential": lambda: triton(URL, auth=oh.Credential("gpu")),
    "flags": lambda: triton(URL, on_error="flag"),
    "gRPC": lambda: triton("grpc://127.0.0.1:1"),
    "fp16": lambda: triton(URL, dtype="float16"),
    "bf16": lambda: triton(URL, dtype="bfloat16"),
    "a wire name with a slash": lambda: triton(URL, "a/X"),
    "JSON's text": lambda: oh.remote.openai_audio(auth=TOKEN_INPUT, response_format="json"),
    "a format at run time": lambda: oh.remote.openai_audio(auth=TOKEN_INPUT, response_format=oh.Input()),
    "a file name at run time": lambda: oh.remote.openai_audio(
        auth=TOKEN_INPUT, response_format="text", audio_format=oh.Input()
    ),
    "a temperature at run time": lambda: oh.remote.openai_audio(
        auth=TOKEN_INPUT, response_format="text", temperature=oh.Input()
    ),
    "chat": lambda: oh.remote.openai_chat("m", auth=TOKEN_INPUT),
    "Azure's chat": lambda: oh.remote.azure_openai_chat(URL, "d", api_version="1", auth=TOKEN_INPUT),
    "Azure's audio": lambda: oh.remote.azure_openai_audio(URL, "d", api_version="1", auth=TOKEN_INPUT),
    "embeddings": lambda: oh.remote.openai_embeddings("m", auth=TOKEN_INPUT),
    "AzureML": lambda: oh.remote.azureml(URL, inputs=FIELDS[0], outputs=FIELDS[1], auth=TOKEN_INPUT),
    "a public tensor of the wire name": lambda: triton(URL, "X", "Y").rename({"Z": "y", "Y": "Z"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_old_operators_cannot_do_is_refused(name: str) -> None:
    with pytest.raises(oh.ModelError, match="OH403"):
        oh.legacy.export(REFUSED[name]())


def test_a_call_whose_output_nobody_named_is_refused() -> None:
    outputs = [oh.TensorSpec(name, "float32", (2,)) for name in ("Z", "unread")]
    inputs = [oh.TensorSpec("X", "float32", (2,))]
    remote = oh.remote.triton("http://127.0.0.1:9", "m", inputs=inputs, outputs=outputs, auth=None).to_proto()
    remote.graph.node[0].output[1] = ""
    del remote.graph.output[1]
    with pytest.raises(oh.ModelError, match=r"OH403.*'unread' has no name"):
        oh.legacy.export(oh.Model.from_proto(remote))


def test_exporting_changes_no_argument() -> None:
    model = triton(URL).rename({"X": "a", "Z": "b", "auth_token": "c"})
    before = model.to_proto().SerializeToString(deterministic=True)
    one, other = (oh.legacy.export(model).to_proto().SerializeToString(deterministic=True) for _ in range(2))
    assert one == other
    assert model.to_proto().SerializeToString(deterministic=True) == before
    onnx.checker.check_model(onnx.ModelProto.FromString(one))

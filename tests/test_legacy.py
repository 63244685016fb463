"""The old operators: upgraded models send what the real old library sends, and exported ones run in it."""

from __future__ import annotations

import json
import string
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.model.old_operators import DOMAIN
from tests.old_models import (
    AUTH,
    BYTES,
    ECHO,
    FILE,
    FLOAT,
    STRING,
    TOKEN,
    constant_text,
    of_nodes,
    old_model,
    old_node,
    run_old,
    sent,
    text,
)
from tests.servers.raw import answer, raw_server

ANSWER = [("transcriptions", STRING, [-1])]
X = np.array([1, 2], np.float32)


def upgraded(proto: onnx.ModelProto) -> oh.Model:
    return oh.legacy.upgrade(oh.Model.from_proto(proto))


def both_send(proto: onnx.ModelProto, feeds: dict[str, Any], server: Any) -> None:
    """The old library and the upgraded model send the same, and give the same."""
    server.requests.clear()
    old = run_old(proto, feeds)
    new = oh.Session(upgraded(proto)).run(None, feeds)
    theirs, ours = map(sent, server.requests)
    assert ours == theirs
    for one, other in zip(old, new, strict=True):
        np.testing.assert_array_equal(one, other)


def audio(operator: str, url: str, fields: list[str], **attributes: Any) -> onnx.ModelProto:
    inputs = [AUTH, *((name, BYTES if name.endswith("file") else STRING, [-1]) for name in fields)]
    return old_model(operator, inputs, ANSWER, model_uri=url, **attributes)


def audio_feeds(fields: list[str], **values: str) -> dict[str, Any]:
    return {
        "auth_token": text(TOKEN),
        **{name: FILE if name.endswith("file") else text(values.get(name, f"value of {name}")) for name in fields},
    }


FORMS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "the published sample": ("OpenAIAudioToText", ["model_name", "response_format", "file"], {"audio_format": "wav"}),
    "the model as an attribute": ("OpenAIAudioToText", ["file"], {"model_name": "whisper-1"}),
    "both": ("OpenAIAudioToText", ["file", "model_name"], {"model_name": "other", "model_version": "7"}),
    "prefixes": ("OpenAIAudioToText", ["a/file", "b/c/prompt", "a/model_name"], {"audio_format": "mp3"}),
    "a field twice": ("OpenAIAudioToText", ["a/prompt", "file", "b/prompt"], {"model_name": "m"}),
    "a file name": ("OpenAIAudioToText", ["file", "filename"], {"model_name": "m", "timeout_seconds": 3}),
    "Azure's with a file name": ("AzureAudioToText", ["filename", "file"], {}),
    "Azure's": ("AzureAudioToText", ["file", "language"], {"model_name": "deployed"}),
    "two files": ("OpenAIAudioToText", ["a/file", "b/file", "prompt"], {"model_name": "m"}),
    "a field called model": ("OpenAIAudioToText", ["file", "model", "model_name"], {}),
    "Azure's with a file of another name": ("AzureAudioToText", ["x/audiofile", "language"], {"model_name": "d"}),
    "Azure's with two files": ("AzureAudioToText", ["audiofile", "noisefile"], {}),
    "Azure's without a file": ("AzureAudioToText", ["language"], {"model_name": "d"}),
    "Azure's without an input": ("AzureAudioToText", [], {"model_name": "d"}),
    "Azure's without a deployment": ("AzureAudioToText", ["model_name", "file"], {"verbose": "0"}),
}


@pytest.mark.parametrize("name", FORMS)
def test_an_upgraded_form_sends_the_same_fields(name: str) -> None:
    operator, fields, attributes = FORMS[name]
    attributes = {"audio_format": "wav", **attributes}
    with raw_server(answer(b"spoken\n", kind="text/plain")) as server:
        proto = audio(operator, f"{server.url}/v1/audio/transcriptions?k=1", fields, **attributes)
        # The old library keeps the file name of the first model that it sees.
        feeds = audio_feeds(fields)
        if "filename" in fields or attributes["audio_format"] == "wav":
            both_send(proto, feeds, server)
        else:
            oh.Session(upgraded(proto)).run(None, feeds)
            assert ("file", "audio.mp3", FILE.tobytes()) in sent(server.requests[0]).parts


SHORT = ["", "m", "mm", "é", "a.wa", "a.wav", "é.w", "é.wa"]


@pytest.mark.parametrize("operator", ["OpenAIAudioToText", "AzureAudioToText"])
@pytest.mark.parametrize("value", SHORT)
@pytest.mark.parametrize("field", ["model_name", "x/model_name", "filename", "model"])
@pytest.mark.parametrize("model", ["", "attribute"])
def test_a_short_model_or_file_name_counts_as_the_old_library_has_it(
    operator: str, field: str, value: str, model: str
) -> None:
    if operator == "OpenAIAudioToText" and not model and not field.endswith("model_name"):
        return  # the old library refuses a form without a model
    with raw_server(answer(b"spoken")) as server:
        proto = audio(operator, f"{server.url}/v1", ["file", field], audio_format="wav", model_name=model)
        both_send(proto, audio_feeds(["file", field], **{field: value}), server)


def test_a_text_may_be_the_file() -> None:
    with raw_server(answer(b"spoken")) as server:
        for operator in ("OpenAIAudioToText", "AzureAudioToText"):
            inputs = [AUTH, ("file", STRING, [1])]
            proto = old_model(operator, inputs, ANSWER, model_uri=f"{server.url}/v1", model_name="m")
            both_send(proto, {"auth_token": text(TOKEN), "file": text("spoken words")}, server)


def test_an_input_with_a_default_may_be_left_out() -> None:
    with raw_server(answer(b"spoken")) as server:
        proto = audio(
            "OpenAIAudioToText", f"{server.url}/v1", ["file", "filename", "prompt"], model_name="m", audio_format="wav"
        )
        proto.graph.initializer.extend([constant_text("filename", ""), constant_text("prompt", "by default")])
        both_send(proto, audio_feeds(["file"]), server)
        both_send(proto, audio_feeds(["file", "filename"], filename="voice.mp3"), server)


_words = st.text(string.printable + "é→", max_size=20)


@settings(max_examples=25)
@given(
    operator=st.sampled_from(["OpenAIAudioToText", "AzureAudioToText"]),
    fields=st.lists(
        st.sampled_from(["model_name", "prompt", "x/language", "temperature", "response_format"]), unique=True
    ),
    position=st.integers(0, 5),
    values=st.dictionaries(st.sampled_from(["prompt", "x/language", "temperature", "response_format"]), _words),
    token=st.text(string.ascii_letters + string.digits + "-._~", max_size=40),
)
def test_any_form_sends_the_same_fields(
    operator: str, fields: list[str], position: int, values: dict[str, str], token: str
) -> None:
    fields.insert(position, "file")
    with raw_server(answer(b'{"text": "spoken"}')) as server:
        proto = audio(operator, f"{server.url}/a/b", fields, model_name="m", audio_format="wav")
        both_send(proto, {**audio_feeds(fields, **values), "auth_token": text(token)}, server)


@pytest.mark.parametrize("query", ["", "?api-version=2024-10-21&x=%20y"])
def test_an_upgraded_text_sends_the_same_body(query: str) -> None:
    with raw_server(answer(b'{"choices": []}')) as server:
        url = f"{server.url}/openai/deployments/d/chat/completions{query}"
        proto = old_model("AzureTextToText", [AUTH, ("chat", STRING, [1])], ANSWER, model_uri=url, model_name="d")
        both_send(proto, {"auth_token": text(TOKEN), "chat": text('{"messages": ["é"]}')}, server)
        both_send(proto, {"auth_token": text(""), "chat": text("")}, server)


DTYPES = [
    np.float32,
    np.float64,
    np.bool_,
    *(np.dtype(f"{sign}int{bits}").type for sign in ("", "u") for bits in (8, 16, 32, 64)),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_upgraded_triton_call_sends_the_same_tensors(dtype: type) -> None:
    x: np.ndarray[Any, Any] = np.array([[1, 0, 1]]).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    with raw_server(ECHO) as server:
        inputs = [AUTH, ("pre/X", kind, ["n", 3]), ("Y", kind, [1, 3])]
        proto = old_model(
            "AzureTritonInvoker",
            inputs,
            [("Z", kind, ["n", 3])],
            model_uri=server.url,
            model_name="m",
            model_version="1",
        )
        both_send(proto, {"auth_token": text(TOKEN), "pre/X": x, "Y": x}, server)


def test_an_upgraded_triton_call_sends_the_same_strings() -> None:
    with raw_server(ECHO) as server:
        inputs = [AUTH, ("X", STRING, [2])]
        proto = old_model("AzureTritonInvoker", inputs, [("Z", STRING, [2])], model_uri=server.url, model_name="m")
        both_send(proto, {"auth_token": text(""), "X": np.array(["a", "é\n"], object)}, server)


def triton(url: str, token: str = "auth_token", source: str = "X", target: str = "Z", **more: str) -> onnx.NodeProto:
    attributes = {"model_uri": url, "model_name": "m", "model_version": "1", **more}
    return old_node("AzureTritonInvoker", [token, source], [target], **attributes)


def test_a_branch_is_upgraded() -> None:
    def branch(name: str, node: onnx.NodeProto) -> onnx.GraphProto:
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(node.output[0], FLOAT, [2])])

    with raw_server(ECHO) as server:
        local = helper.make_node("Neg", ["X"], ["L"])
        choice = helper.make_node(
            "If", ["c"], ["y"], then_branch=branch("then", triton(server.url)), else_branch=branch("else", local)
        )
        inputs = [AUTH, ("X", FLOAT, [2]), ("c", TensorProto.BOOL, [])]
        proto = of_nodes([choice], inputs, [("y", FLOAT, [2])])
        both_send(proto, {"auth_token": text(TOKEN), "X": X, "c": np.array(True)}, server)
        feeds = {"auth_token": text(TOKEN), "X": X, "c": np.array(False)}
        np.testing.assert_array_equal(oh.Session(upgraded(proto)).run(None, feeds)[0], -X)
        assert len(server.requests) == 2


@pytest.mark.parametrize("given", ["X", "other"])
def test_a_function_is_upgraded(given: str) -> None:
    with raw_server(ECHO) as server:
        imports = [helper.make_opsetid(DOMAIN, 1), helper.make_opsetid("", 17)]
        function = helper.make_function("f", "F", ["token", "X"], ["Z"], [triton(server.url, "token")], imports)
        call = helper.make_node("F", ["auth_token", given], ["y"], domain="f")
        proto = of_nodes([call], [AUTH, (given, FLOAT, [2])], [("y", FLOAT, [2])])
        proto.functions.append(function)
        proto.opset_import.append(helper.make_opsetid("f", 1))
        proto.ir_version = 9
        both_send(proto, {"auth_token": text(TOKEN), given: X}, server)


def test_wire_names_are_the_author_s_and_not_the_optimizer_s() -> None:
    with raw_server(ECHO) as server:
        nodes = [
            helper.make_node("Identity", ["image"], ["input.1"]),
            triton(server.url, source="input.1", target="218"),
            helper.make_node("Identity", ["218"], ["grid"]),
        ]
        proto = of_nodes(nodes, [AUTH, ("image", FLOAT, [2])], [("grid", FLOAT, [2])])
        declared = helper.make_tensor_value_info("218", FLOAT, [2])
        proto.graph.value_info.append(declared)
        both_send(proto, {"auth_token": text(TOKEN), "image": X}, server)
        assert sent(server.requests[0]).outputs == ("218",)
        proto.graph.value_info.remove(declared)  # as the published sample, whose type the output behind it tells
        oh.Session(upgraded(proto)).run(None, {"auth_token": text(TOKEN), "image": X})
        assert sent(server.requests[2]) == sent(server.requests[1])


def test_a_file_that_imports_no_domain_of_the_old_operators_is_upgraded() -> None:
    """The published script writes such files, and the old library ran them."""
    with raw_server(ECHO) as server:
        proto = of_nodes([triton(server.url)], [AUTH, ("X", FLOAT, [-1])], [("Z", FLOAT, [-1])])
        del proto.opset_import[0]
        both_send(proto, {"auth_token": text(TOKEN), "X": X}, server)


def test_an_empty_constant_token_is_no_token() -> None:
    with raw_server(ECHO) as server:
        proto = of_nodes(
            [triton(server.url)],
            [("X", FLOAT, [2])],
            [("Z", FLOAT, [2])],
            initializer=[constant_text("auth_token", "")],
        )
        both_send(proto, {"X": X}, server)
        assert [spec.name for spec in upgraded(proto).inputs] == ["X"]


def test_a_constant_token_is_refused() -> None:
    proto = of_nodes(
        [triton("http://127.0.0.1:1")],
        [("X", FLOAT, [2])],
        [("Z", FLOAT, [2])],
        initializer=[constant_text("auth_token", TOKEN)],
    )
    with pytest.raises(oh.ValidationError, match="OH303") as caught:
        upgraded(proto)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"),
    {
        "another first input": ("AzureTextToText", [("token", STRING, [1]), ("t", STRING, [1])], {}),
        "no file": ("OpenAIAudioToText", [AUTH, ("f", BYTES, [-1])], {"model_name": "m"}),
        "no model": ("OpenAIAudioToText", [AUTH, ("file", BYTES, [-1])], {}),
        "three texts": ("AzureTextToText", [AUTH, ("a", STRING, [1]), ("b", STRING, [1])], {}),
        "no URL": ("AzureTextToText", [AUTH, ("a", STRING, [1])], {"model_uri": ""}),
        "a wire name twice": (
            "AzureTritonInvoker",
            [AUTH, ("a/x", STRING, [1]), ("x", STRING, [1])],
            {"model_name": "m"},
        ),
        "no model on Triton": ("AzureTritonInvoker", [AUTH, ("x", STRING, [1])], {}),
    }.values(),
)
def test_what_the_old_library_refuses_is_refused(operator: str, inputs: Any, attributes: dict[str, str]) -> None:
    proto = old_model(operator, inputs, ANSWER, **{"model_uri": "http://127.0.0.1:1/v1", **attributes})
    with pytest.raises(oh.ModelError, match="OH402"):
        upgraded(proto)


def test_a_password_in_the_url_is_refused() -> None:
    proto = old_model("AzureTextToText", [AUTH, ("t", STRING, [1])], ANSWER, model_uri="http://me:secret@127.0.0.1:1/")
    with pytest.raises(oh.ModelError, match="OH303") as caught:
        upgraded(proto)
    assert "secret" not in str(caught.value)


def test_a_session_upgrades_by_itself_and_says_so_once(tmp_path: Any) -> None:
    with raw_server(answer(b"hi", kind="text/plain")) as server:
        proto = audio("OpenAIAudioToText", f"{server.url}/v1", ["file"], model_name="m", audio_format="wav")
        onnx.save(proto, tmp_path / "old.onnx")
        for model in (tmp_path / "old.onnx", oh.load(tmp_path / "old.onnx")):
            with pytest.warns(UserWarning, match="OH401") as caught:
                session = oh.Session(model)
            assert len(caught) == 1
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert session.run(None, audio_feeds(["file"]))[0].tolist() == ["hi"]


def test_validate_warns_of_the_old_operators() -> None:
    proto = audio("OpenAIAudioToText", "https://api.openai.com/v1", ["file"], model_name="m")
    report = oh.validate(oh.Model.from_proto(proto))
    assert report
    assert [finding.code for finding in report.warnings] == ["OH401"]
    assert "oh.legacy.upgrade" in str(report)


def calling_itself(node: onnx.NodeProto, *inputs: str) -> oh.Model:
    """A model that calls a function of this node, and which calls itself."""
    imports = [helper.make_opsetid(domain, 1) for domain in ("f", node.domain)] + [helper.make_opsetid("", 17)]
    again = helper.make_node("F", inputs, ["again"], domain="f")
    known = {"auth_token": AUTH, "X": ("X", FLOAT, [2])}
    call = helper.make_node("F", inputs, ["y"], domain="f")
    proto = of_nodes([call], [known[name] for name in inputs], [("y", FLOAT, [2])])
    proto.functions.append(helper.make_function("f", "F", inputs, node.output, [again, node], imports))
    proto.opset_import.append(helper.make_opsetid("f", 1))
    proto.ir_version = 9
    return oh.Model.from_proto(proto)


def test_a_function_that_calls_itself_is_a_coded_error() -> None:
    x, y = oh.TensorSpec("X", "float32", (2,)), oh.TensorSpec("y", "float32", (2,))
    remote = oh.remote.triton("http://127.0.0.1:9", "m", inputs=[x], outputs=[y])
    with pytest.raises(oh.ModelError, match="OH131"):
        calling_itself(triton("http://127.0.0.1:9"), "auth_token", "X")
    with pytest.raises(oh.ModelError, match="OH131"):
        calling_itself(remote.to_proto().graph.node[0], "X")


def test_a_model_without_old_operators_is_itself() -> None:
    model = oh.remote.openai_chat("m")
    assert oh.legacy.upgrade(model) is model
    local = oh.Model.from_proto(
        of_nodes([helper.make_node("Neg", ["X"], ["Y"])], [("X", FLOAT, [2])], [("Y", FLOAT, [2])])
    )
    assert oh.legacy.export(local) is local


@pytest.mark.parametrize("given", ["old.onnx", None, 5, onnx.ModelProto()], ids=repr)
def test_what_is_no_model_is_refused_and_told_how_to_load_one(given: Any) -> None:
    for way in (oh.legacy.upgrade, oh.legacy.export):
        with pytest.raises(oh.ComposeError, match=r"OH205.*oh\.load"):
            way(given)


def test_an_upgraded_model_says_what_leaves_the_device() -> None:
    model = audio("OpenAIAudioToText", "https://api.example/v1/audio/transcriptions", ["file"], model_name="whisper-1")
    model.graph.node.append(helper.make_node("Identity", [model.graph.output[0].name], ["heard"], name="after"))
    model.graph.value_info.append(model.graph.output[0])
    model.graph.output[0].name = "heard"
    upgraded = oh.legacy.upgrade(oh.Model.from_proto(model))
    assert not oh.validate(upgraded).findings
    (call,) = json.loads(upgraded.metadata["onnxhybrid.remotes"])
    assert call["endpoint"] == "https://api.example/v1/audio/transcriptions"

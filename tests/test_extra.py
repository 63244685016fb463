"""Further fields of OpenAI's requests, judged by the official client; and parameters of KServe's, by tritonclient."""

from __future__ import annotations

import email
import email.policy
import io
import json
from typing import Any

import numpy as np
import openai
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.grpc import service_pb2

import onnxhybrid as oh
from tests.dialects import DIALECTS, Dialect
from tests.servers.heard import Heard, listening_to
from tests.test_headers import assert_refused, call, edited

BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
OPENAI = [dialect for dialect in DIALECTS if "openai" in dialect.name]
TRITON = [BY_NAME["triton.http"], BY_NAME["triton.grpc"]]
AS_JSON = [dialect for dialect in OPENAI if "audio" not in dialect.name]
FORMS = [dialect for dialect in OPENAI if "audio" in dialect.name]
FURTHER: dict[str, Any] = {
    "seed": 7,
    "top_p": 0.1,
    "stop": ["\n", "é"],
    "reasoning_effort": "low",
    "chat_template_kwargs": {"enable_thinking": False, "deep": [{"x": None}]},
    "n": None,
    "logprobs": True,
    "big": 2**64 - 1,
}
GIVEN = {
    "flag": oh.Input("flag", default=True),
    "seed": oh.Input("seed", default=1),
    "top_p": oh.Input("top_p", default=0.5),
    "user": oh.Input("user"),
}
FEEDS = {
    "flag": np.array([False]),
    "seed": np.array([2**53 + 1]),
    "top_p": np.array([0.1], np.float32),
    "user": np.array(['a "é"']),
}
VALUES = {"flag": False, "seed": 2**53 + 1, "top_p": 0.1, "user": 'a "é"'}


def named(dialects: list[Dialect]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("dialect", dialects, ids=lambda dialect: dialect.name)


def heard(dialect: Dialect, more: dict[str, Any] | None = None, **options: Any) -> Heard:
    with listening_to(dialect.good, dialect.scheme) as server:
        result = call(dialect, dialect.build(server.url, auth=None, **options), more)
        np.testing.assert_array_equal(result[0], dialect.value)
        [request] = server.requests
    return request


def parts(request: Heard) -> list[tuple[str, bytes]]:
    """The fields of a form, by Python's own reader."""
    whole = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n" + request.body
    form = email.message_from_bytes(whole, policy=email.policy.HTTP)
    return [
        (str(part.get_param("name", header="content-disposition")), bytes(part.get_payload(decode=True)))
        for part in form.iter_parts()
    ]


@named(AS_JSON)
def test_extra_becomes_fields_of_the_body_beside_the_builders_own(dialect: Dialect) -> None:
    plain, more = json.loads(heard(dialect).body), json.loads(heard(dialect, extra=FURTHER).body)
    assert more == {**plain, **FURTHER}


@named(AS_JSON)
def test_an_input_of_extra_has_the_type_of_its_default(dialect: Dialect) -> None:
    plain = json.loads(heard(dialect).body)
    assert json.loads(heard(dialect, FEEDS, extra=GIVEN).body) == {**plain, **VALUES}
    assert json.loads(heard(dialect, {"user": np.array([""])}, extra=GIVEN).body) == {
        **plain, "flag": True, "seed": 1, "top_p": 0.5
    }  # fmt: skip


def test_the_body_with_extra_is_that_of_the_official_client() -> None:
    dialect = BY_NAME["openai.chat"]
    ours = json.loads(heard(dialect, extra=FURTHER).body)
    with listening_to(dialect.good) as server:
        with openai.OpenAI(base_url=server.url, api_key="k") as client:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], extra_body=FURTHER)
        [theirs] = server.requests
    assert ours == json.loads(theirs.body)


@named(FORMS)
def test_the_form_with_extra_is_that_of_the_official_client(dialect: Dialect) -> None:
    further = {
        "timestamp_granularities": ["word", "segment"],
        "chunking_strategy": {"type": "server_vad", "threshold": 0.5, "keep": True},
        "include": [],
        "nothing": None,
        "seed": 7,
        "note": 'a\r\n"é"',
    }
    ours = parts(heard(dialect, extra=further))
    with listening_to(dialect.good) as server:
        file = ("audio.wav", io.BytesIO(bytes(range(256))), "audio/wav")
        kind: Any = "json" if "json" in str(dialect.good) or dialect.good.kind != "text/plain" else "text"
        with openai.OpenAI(base_url=server.url, api_key="k") as client:
            client.audio.transcriptions.create(model="m", file=file, response_format=kind, extra_body=further)
        [theirs] = server.requests
    assert sorted(ours) == sorted(parts(theirs))


@named(FORMS)
def test_an_input_of_extra_is_a_field_of_the_form(dialect: Dialect) -> None:
    fields = dict(parts(heard(dialect, FEEDS, extra=GIVEN)))
    expected = {"flag": b"false", "seed": b"9007199254740993", "top_p": b"0.1", "user": 'a "é"'.encode()}
    assert expected.items() <= fields.items()


OWN = {
    "chat": ["model", "messages", "temperature", "max_tokens", "max_completion_tokens"],
    "responses": ["model", "input", "instructions", "max_output_tokens"],
    "embeddings": ["model", "input", "encoding_format", "dimensions"],
    "audio": ["model", "file", "language", "prompt", "temperature", "response_format"],
}


@named(OPENAI)
def test_a_field_of_the_builder_is_refused_when_building_and_opening_and_its_argument_named(dialect: Dialect) -> None:
    operation = dialect.name.split()[0].partition(".")[2]
    good = dialect.build("http://127.0.0.1:9", auth=None)
    for name in (*OWN[operation], "stream", "stream_options"):
        for value in (True, {"a": 1}, oh.Input("given", default=True)):
            with pytest.raises(oh.ModelError, match=f"OH323.*'{name}'") as caught:
                dialect.build("http://127.0.0.1:9", auth=None, extra={name: value})
            assert any(word in str(caught.value) for word in ("argument", "input", "whole", "both"))
        assert_refused(edited(good, extra=json.dumps({name: True})), "OH323")


@named(TRITON)
def test_a_parameter_that_frames_the_request_is_refused_when_building_and_opening(dialect: Dialect) -> None:
    url = f"{dialect.scheme}://127.0.0.1:9"
    good = dialect.build(url, auth=None)
    for name in ("binary_data_output", "binary_data", "binary_data_size", "headers", "triton_final_response"):
        with pytest.raises(oh.ModelError, match="OH323"):
            dialect.build(url, auth=None, parameters={name: True})
        assert_refused(edited(good, parameters=json.dumps({name: True})), "OH323")


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -np.float32(np.inf), [1.0, float("nan")], {"a": {"b": float("inf")}}, b"x", {1: 2},
     object(), {"a": oh.Input()}, "\ud800", np.array([np.nan]), {3, 4}],
)  # fmt: skip
@pytest.mark.parametrize("dialect", [*OPENAI, *TRITON], ids=lambda dialect: dialect.name)
def test_a_value_that_json_has_not_is_refused(dialect: Dialect, value: Any) -> None:
    group = "parameters" if dialect in TRITON else "extra"
    with pytest.raises(oh.ModelError, match="OH304"):
        dialect.build(f"{dialect.scheme}://127.0.0.1:9", auth=None, **{group: {"x": value}})


@pytest.mark.parametrize("given", [5, "seed", ["seed"], {5: 1}, {"": 1}])
def test_what_is_no_mapping_of_names_is_refused(given: Any) -> None:
    for dialect, group in ((BY_NAME["openai.chat"], "extra"), (TRITON[0], "parameters")):
        with pytest.raises(oh.ModelError, match="OH304"):
            dialect.build("http://127.0.0.1:9", auth=None, **{group: given})


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, 2**64, -(2**63) - 1])
def test_a_parameter_is_a_single_value(value: Any) -> None:
    for dialect in TRITON:
        with pytest.raises(oh.ModelError, match="OH304"):
            dialect.build(f"{dialect.scheme}://127.0.0.1:9", auth=None, parameters={"x": value})


@pytest.mark.parametrize("text", ["[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "1"])
def test_an_attribute_that_holds_no_fields_is_malformed(text: str) -> None:
    for dialect, group in ((BY_NAME["openai.chat"], "extra"), (TRITON[0], "parameters"), (TRITON[1], "parameters")):
        url = f"{dialect.scheme}://127.0.0.1:9"
        assert_refused(edited(dialect.build(url, auth=None), **{group: text}), "OH301")


@named(OPENAI)
def test_a_number_that_is_not_finite_fails_the_call_before_anything_is_sent(dialect: Dialect) -> None:
    with listening_to(dialect.good) as server:
        model = dialect.build(server.url, auth=None, extra={"top_p": oh.Input("top_p", default=1.0)})
        with pytest.raises(oh.ProtocolError, match="OH509"):
            call(dialect, model, {"top_p": np.array([np.nan], np.float32)})
        assert server.requests == []


UNSENT: dict[str, tuple[Any, str]] = {
    "no name": ({"": 1}, "a name that is empty"),
    "a number for a name": ({1: 2}, "a name that is no text, but int"),
    "a number for a name inside": ({"x": [{1: 2}]}, "a name that is no text, but int"),
    "an input inside": ({"x": {"y": [oh.Input()]}}, "an oh.Input inside it, which stands for a whole field"),
    "bytes inside": ({"x": [1, {"y": b"secret"}]}, "one with bytes inside it"),
    "bytes": ({"x": b"secret"}, "not bytes"),
}


@pytest.mark.parametrize("what", UNSENT)
def test_what_json_has_no_form_for_is_named_wherever_it_stands(what: str) -> None:
    given, told = UNSENT[what]
    with pytest.raises(oh.ModelError, match=rf"OH304.*{told}") as caught:
        oh.remote.openai_chat("m", extra=given)
    assert "secret" not in str(caught.value)


def test_a_raw_prompt_has_no_place_for_extra() -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*extra"):
        oh.remote.openai_chat("m", raw=True, extra={"seed": 7})


PARAMETERS: dict[str, Any] = {
    "sequence_id": 7,
    "sequence_start": True,
    "sequence_end": False,
    "priority": 3,
    "timeout": 250_000,
    "lora": 'a "é"',
    "share": 0.1,
    "negative": -1,
}
"""As tritonclient gives them: the first five as arguments, the others as parameters of its own."""


def theirs(dialect: Dialect, **changes: Any) -> dict[str, Any]:
    """The parameters that tritonclient sends."""
    own = {name: value for name, value in PARAMETERS.items() if name not in ("lora", "share", "negative")}
    arguments: dict[str, Any] = {
        **own,
        "parameters": {name: PARAMETERS[name] for name in ("lora", "share", "negative")},
    }
    module = triton_grpc if dialect.scheme == "grpc" else triton_http
    tensor = module.InferInput("x", [2, 3], "FP32")
    tensor.set_data_from_numpy(dialect.feeds["x"])
    with listening_to(dialect.good, dialect.scheme) as server:
        outputs = [module.InferRequestedOutput("y")]
        with module.InferenceServerClient(server.url.partition("://")[2]) as client:
            client.infer("adder", [tensor], outputs=outputs, **{**arguments, **changes})
        [request] = server.requests
    return parameters(dialect, request)


def parameters(dialect: Dialect, request: Heard) -> dict[str, Any]:
    """The parameters of a request: JSON's values, or of gRPC which field holds each, and what."""
    if dialect.scheme == "http":
        length = int(request.headers["inference-header-content-length"])
        found: dict[str, Any] = json.loads(request.body[:length]).get("parameters", {})
        return found
    message = service_pb2.ModelInferRequest.FromString(request.body)
    kinds = {name: value.WhichOneof("parameter_choice") for name, value in message.parameters.items()}
    return {name: (kind, getattr(message.parameters[name], kind)) for name, kind in kinds.items()}


@named(TRITON)
def test_parameters_are_those_of_tritonclient(dialect: Dialect) -> None:
    assert parameters(dialect, heard(dialect, parameters=PARAMETERS)) == theirs(dialect)
    texts = {**PARAMETERS, "sequence_id": "seven"}
    assert parameters(dialect, heard(dialect, parameters=texts)) == theirs(dialect, sequence_id="seven")
    assert parameters(dialect, heard(dialect)) == {}


@named(TRITON)
def test_parameters_that_are_inputs_are_those_of_tritonclient_too(dialect: Dialect) -> None:
    defaults = {"sequence_id": 0, "sequence_start": False, "sequence_end": True, "priority": 0, "timeout": 0,
                "share": 0.0, "negative": 0}  # fmt: skip
    inputs = {name: oh.Input(default=value) for name, value in defaults.items()}
    kinds: dict[type, Any] = {bool: np.bool_, int: np.int64, float: np.float32, str: object}
    feeds: dict[str, Any] = {name: np.array([value], kinds[type(value)]) for name, value in PARAMETERS.items()}
    request = heard(dialect, feeds, parameters={**inputs, "lora": oh.Input()})
    assert parameters(dialect, request) == theirs(dialect)


def test_the_largest_correlation_id_is_unsigned() -> None:
    http, grpc = TRITON
    assert parameters(http, heard(http, parameters={"sequence_id": 2**64 - 1})) == {"sequence_id": 2**64 - 1}
    found = parameters(grpc, heard(grpc, parameters={"sequence_id": 2**64 - 1}))
    assert found == {"sequence_id": ("uint64_param", 2**64 - 1)}


def test_old_operators_have_no_parameters() -> None:
    model = TRITON[0].build("http://127.0.0.1:9", auth=None, parameters={"priority": 1})
    with pytest.raises(oh.ModelError, match="OH403"):
        oh.legacy.export(model)

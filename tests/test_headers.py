"""Headers that a node adds to its requests, in every protocol; and how a token is carried."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, helper

import onnxhybrid as oh
from onnxhybrid import library
from onnxhybrid.model.remote_spec import attributes_of
from tests.dialects import DIALECTS, Dialect
from tests.servers.faults import Good
from tests.servers.heard import Heard, listening_to

KEY = "s3cret-subscription-0123456789"
ALL = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def call(dialect: Dialect, model: oh.Model, more: dict[str, Any] | None = None, **session: Any) -> list[Any]:
    return oh.Session(model, **session).run(None, {**dialect.feeds, **(more or {})})


def edited(model: oh.Model, **others: object) -> oh.Model:
    """The model of a stranger, whose remote node has other attributes."""
    proto = ModelProto()
    proto.CopyFrom(model.to_proto())
    [node] = proto.graph.node
    kept = {**attributes_of(node), **others}
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in kept.items())
    return oh.Model.from_proto(proto)


def sent(dialect: Dialect, more: dict[str, Any] | None = None, **options: Any) -> Heard:
    """The one request of a call."""
    with listening_to(dialect.good, dialect.scheme) as server:
        model = dialect.build(server.url, **{"auth": None, **options})
        result = call(dialect, model, more, credentials={"apim": KEY, "token": "t" * 20})
        np.testing.assert_array_equal(result[0], dialect.value)
        [request] = server.requests
    return request


@ALL
def test_a_constant_a_credential_and_an_input_are_headers_of_the_request(dialect: Dialect) -> None:
    headers = {
        "Host": "digits.example.com",
        "Ocp-Apim-Subscription-Key": oh.Credential("apim"),
        "X-Tenant": oh.Input("tenant"),
        "x-plain": "a b\tc",
        "User-Agent": "mine/1",
    }
    request = sent(dialect, {"tenant": np.array(["t 1"])}, headers=headers)
    assert request.host == "digits.example.com"
    expected = {"ocp-apim-subscription-key": KEY, "x-tenant": "t 1", "x-plain": "a b\tc"}
    assert expected.items() <= request.headers.items()
    assert request.headers["user-agent"].startswith("mine/1")


@ALL
def test_without_headers_the_transport_says_host_and_agent_itself(dialect: Dialect) -> None:
    request = sent(dialect)
    assert request.host.startswith("127.0.0.1:")
    assert request.headers["user-agent"].startswith("onnxhybrid/")


@ALL
def test_an_input_that_is_an_empty_text_is_not_sent_and_a_default_is(dialect: Dialect) -> None:
    headers = {"X-Tenant": oh.Input(), "X-Zone": oh.Input("zone", default="eu")}
    request = sent(dialect, {"X-Tenant": np.array([""])}, headers=headers)
    assert "x-tenant" not in request.headers
    assert request.headers["x-zone"] == "eu"


@ALL
@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\n", "a\0", "é", " a", "1" * 16385])
def test_a_value_that_no_header_carries_is_refused_before_anything_is_sent(dialect: Dialect, value: str) -> None:
    with listening_to(dialect.good, dialect.scheme) as server:
        model = dialect.build(server.url, auth=None, headers={"X-Tenant": oh.Input("tenant")})
        with pytest.raises(oh.RemoteError, match="x-tenant") as caught:
            call(dialect, model, {"tenant": np.array([value], object)})
        assert caught.value.code == "OH509"
        assert server.requests == []


REFUSED = (
    "Authorization", "authorization", "Content-Type", "content-length", "Content-Encoding", "Transfer-Encoding",
    "Connection", "TE", "Upgrade", "Keep-Alive", "Trailer", "Expect", "Proxy-Authorization", "Proxy-Connection",
    "grpc-timeout", "Accept-Encoding", "HTTP2-Settings", "Inference-Header-Content-Length", ":authority", ":path",
    "a b", "a:b", "a\r\nb", "é", "",
)  # fmt: skip


@ALL
def test_a_header_of_the_transport_is_refused_when_building_and_when_a_session_opens(dialect: Dialect) -> None:
    url = f"{dialect.scheme}://127.0.0.1:9"
    good = dialect.build(url, auth=None)
    keys = ("api-key", "API-Key") if dialect.name.startswith("azure_openai") else ()
    for name in (*REFUSED, *keys):
        for value in ("x", oh.Input("given"), oh.Credential("c")):
            with pytest.raises(oh.ModelError) as built:
                dialect.build(url, auth=None, headers={name: value})
            assert built.value.code == "OH322", name
        assert_refused(edited(good, headers=json.dumps({name: "x"})), "OH322")


@ALL
def test_doubled_names_and_malformed_values_are_refused_when_building_and_opening(dialect: Dialect) -> None:
    url = f"{dialect.scheme}://127.0.0.1:9"
    good = dialect.build(url, auth=None)
    for headers in (
        {"X-A": "1", "x-a": "2"},
        {"x-a": "a\r\nb"},
        {"x-a": "é"},
        {"x-a": " a"},
        {"Host": "a@b"},
        {"host": "h/x"},
        {f"x-{number}": "1" for number in range(65)},
        {"x-a": "1" * 16385},
    ):
        with pytest.raises(oh.ModelError) as built:
            dialect.build(url, auth=None, headers=headers)
        assert built.value.code == "OH322", headers
        assert_refused(edited(good, headers=json.dumps(headers)), "OH322")
    with pytest.raises(oh.ModelError, match="OH322"):
        dialect.build(url, auth=None, headers={"Host": oh.Credential("c")})
    assert_refused(edited(good, headers='{"Host": {"credential": "c"}}'), "OH322")


def assert_refused(model: oh.Model, code: str) -> None:
    """A file of a stranger is refused by what checks a model and, unchecked, by the library when a session opens."""
    assert code in {finding.code for finding in oh.validate(model).findings}
    plain = onnxruntime.SessionOptions()
    oh.register(plain)
    with pytest.raises(Exception, match=rf"\[{code}\]"):
        onnxruntime.InferenceSession(model.to_proto().SerializeToString(), plain)
    with pytest.raises(oh.Error) as opened:
        oh.Session(model)
    assert opened.value.code == code


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a": 1}', '{"a": {"x": "y"}}', '{"a": {"credential": 1}}', '{"a": null}']
)
def test_an_attribute_that_holds_no_headers_is_malformed(text: str) -> None:
    good = DIALECTS[0].build("http://127.0.0.1:9", auth=None)
    assert_refused(edited(good, headers=text), "OH301")


@pytest.mark.parametrize("given", [5, ["a"], {"a": 5}, {5: "a"}, {"a": b"x"}, {"a": None}, "Host: x"])
def test_what_is_no_mapping_to_texts_credentials_and_inputs_is_refused(given: Any) -> None:
    with pytest.raises(oh.ModelError, match="OH304"):
        DIALECTS[0].build("http://127.0.0.1:9", headers=given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Note", "Bearer abcdefghijklmnopqrstuvwxyz"),
        ("X-Note", "sk-" + "a1" * 20),
        ("Ocp-Apim-Subscription-Key", "0123456789abcdef0123456789abcdef"),
        ("x-functions-key", "AbC0_" * 8),
        ("Private-Token", "glpat-0123456789abcdefghij"),
    ],
)
def test_a_constant_that_looks_like_a_token_is_refused_and_found_in_a_file(name: str, value: str) -> None:
    good = DIALECTS[0].build("http://127.0.0.1:9", auth=None)
    for given in (value, oh.Input("given", default=value)):
        with pytest.raises(oh.Error, match="OH306") as caught:
            DIALECTS[0].build("http://127.0.0.1:9", headers={name: given})
        assert value not in str(caught.value)
    findings = oh.validate(edited(good, headers=json.dumps({name: value}))).findings
    assert "OH306" in {finding.code for finding in findings}
    assert value not in str(findings)


@pytest.mark.parametrize(
    "name", ["X-Tenant", "Idempotency-Key", "seldon-model", "mm-vmodel-id", "azureml-model-deployment"]
)
def test_a_constant_that_is_no_secret_is_none(name: str) -> None:
    model = DIALECTS[0].build("http://127.0.0.1:9", auth=None, headers={name: "digits-v2.default"})
    assert "OH306" not in {finding.code for finding in oh.validate(model).findings}


@ALL
def test_a_credential_in_a_header_is_bound_to_hosts_and_seen_nowhere(dialect: Dialect, tmp_path: Path) -> None:
    echo = Good(b"the key is " + KEY.encode() + b", or " + base64.b64encode(KEY.encode()), "text/html")
    if dialect.scheme == "grpc":
        echo = Good(b"\xff" + KEY.encode(), "application/grpc")
    with listening_to(echo, dialect.scheme) as server:
        model = dialect.build(server.url, auth=None, timeout=2.0, headers={"X-Key": oh.Credential("apim")})
        record = tmp_path / "record.jsonl"
        with pytest.raises(oh.RemoteError) as caught:
            call(dialect, model, credentials={"apim": KEY}, record=record)
        assert server.requests[0].headers["x-key"] == KEY
        with pytest.raises(oh.CredentialError, match="OH511"):
            call(dialect, model, credentials={"apim": oh.Secret(KEY, hosts=["gpu.example"])})
        with pytest.raises(oh.CredentialError, match="OH510"):
            call(dialect, model)
        heard = len(server.requests)
    assert heard == 1
    for text in (str(caught.value), repr(model), record.read_text(), json.dumps(model.metadata)):
        assert KEY not in text
        assert base64.b64encode(KEY.encode()).decode()[4:-4] not in text


@ALL
def test_a_credential_in_a_header_never_travels_in_clear(dialect: Dialect) -> None:
    url = f"{dialect.scheme}://gpu.example:8000"
    model = dialect.build(url, auth=None, headers={"X-Key": oh.Credential("apim")})
    with pytest.raises(oh.CredentialError, match="OH511"):
        call(dialect, model, credentials={"apim": KEY})
    codes = {finding.code for finding in oh.validate(model).findings}
    assert "OH305" in codes
    assert "OH307" not in codes


@ALL
def test_a_mistyped_credential_of_a_header_is_told_when_the_session_opens(dialect: Dialect) -> None:
    model = dialect.build(f"{dialect.scheme}://127.0.0.1:9", auth=None, headers={"X-Key": oh.Credential("apim")})
    with pytest.raises(oh.CredentialError, match="did you mean 'apim'"):
        oh.Session(model, credentials={"apin": KEY})
    oh.Session(model, credentials={"apim": KEY})


def test_what_a_node_sends_is_told_by_remotes_and_by_the_metadata_of_a_composition() -> None:
    headers = {"Host": "h.example", "X-Key": oh.Credential("apim"), "X-Tenant": oh.Input("tenant")}
    auth = oh.Credential("token", scheme="api-key")
    plain = DIALECTS[0].build("http://127.0.0.1:9", auth=None)
    model = oh.parallel(a=DIALECTS[0].build("http://127.0.0.1:9", auth=auth, headers=headers), b=plain)
    remote, other = model.remotes
    assert (other.headers, other.credentials, other.auth_scheme) == ((), (), "")
    assert remote.headers == (("Host", "text:h.example"), ("X-Key", "credential:apim"), ("X-Tenant", "input"))
    assert remote.credentials == ("token", "apim")
    assert remote.auth_scheme == "api-key"
    told, rest = json.loads(model.metadata["onnxhybrid.remotes"])
    assert told["headers"] == dict(remote.headers)
    assert told["auth_scheme"] == "api-key"
    assert not {"OH314", "OH315"} & {finding.code for finding in oh.validate(model).findings}
    lying = model.to_proto()
    [entry] = [entry for entry in lying.metadata_props if entry.key == "onnxhybrid.remotes"]
    entry.value = json.dumps([{**told, "headers": {}}, rest])
    assert "OH315" in {finding.code for finding in oh.validate(oh.Model.from_proto(lying)).findings}


METADATA = {
    "name": "adder",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
}


def test_the_question_for_metadata_carries_the_headers_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_APIM", KEY)
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_APIM_HOSTS", "127.0.0.1")
    headers = {"Host": "h.example", "X-Key": oh.Credential("apim"), "X-Tenant": oh.Input("tenant")}
    with listening_to(Good(json.dumps(METADATA).encode())) as server:
        auth = oh.Credential("apim", scheme="api-key")
        model = oh.remote.triton(server.url, "adder", auth=auth, headers=headers)
        report = oh.validate(model, online=True)
        asked = server.requests
    assert [spec.name for spec in model.inputs] == ["tenant", "x"]
    # Each time it is asked for the optional inputs, too.
    assert [request.path for request in asked] == ["/v2/models/adder", "/v2/models/adder/config"] * 2
    for request in asked:
        assert (request.host, request.headers["x-key"], request.headers["api-key"]) == ("h.example", KEY, KEY)
        assert "x-tenant" not in request.headers
        assert "authorization" not in request.headers
    assert not {"OH312", "OH313"} & {finding.code for finding in report.findings}


@ALL
def test_the_scheme_of_a_credential_says_how_the_token_is_carried(dialect: Dialect) -> None:
    token = "t" * 20
    for scheme in ("bearer", "api-key", None):
        request = sent(dialect, auth=oh.Credential("token", scheme=scheme))
        own = "api-key" if dialect.name.startswith("azure_openai") else "bearer"
        carried = {name: value for name, value in request.headers.items() if name in ("authorization", "api-key")}
        bearer = (scheme or own) == "bearer"
        assert carried == ({"authorization": f"Bearer {token}"} if bearer else {"api-key": token})


def test_an_unknown_scheme_is_refused_when_building_and_opening() -> None:
    with pytest.raises(oh.ModelError, match="OH304"):
        oh.Credential("token", scheme="basic")  # type: ignore[arg-type]
    assert_refused(edited(DIALECTS[0].build("http://127.0.0.1:9", auth=None), auth_scheme="basic"), "OH301")
    auth = oh.Credential("token", scheme="api-key")
    with pytest.raises(oh.ModelError, match="OH322"):
        DIALECTS[0].build("http://127.0.0.1:9", auth=auth, headers={"api-key": "x"})


def test_binary_metadata_are_the_bytes_of_the_text_over_grpc() -> None:
    [dialect] = [dialect for dialect in DIALECTS if dialect.scheme == "grpc"]
    headers = {"trace-bin": "hé", "given-bin": oh.Input("given")}
    request = sent(dialect, {"given": np.array(["\x00\n"], object)}, headers=headers)
    assert request.headers["trace-bin"] == "hé".encode()
    assert request.headers["given-bin"] == b"\x00\n"


def test_a_record_tells_apart_what_was_asked_with_other_headers(tmp_path: Path) -> None:
    dialect, record = DIALECTS[0], tmp_path / "record.jsonl"
    headers = {"X-Tenant": oh.Input("tenant"), "X-Zone": "eu", "X-Key": oh.Credential("apim")}
    with listening_to(dialect.good) as server:
        model = dialect.build(server.url, auth=None, headers=headers)
        tenant = {name: {"tenant": np.array([name])} for name in "ab"}
        call(dialect, model, tenant["a"], credentials={"apim": KEY}, record=record)
        again = call(dialect, model, tenant["a"], credentials={"apim": "another-key-0123456789"}, replay=record)
        np.testing.assert_array_equal(again[0], dialect.value)
        others = dialect.build(server.url, auth=None, headers={**headers, "X-Zone": "us"})
        for asked, name in ((model, "b"), (others, "a")):
            with pytest.raises(oh.Error, match="OH532"):
                call(dialect, asked, tenant[name], credentials={"apim": KEY}, replay=record)
        assert len(server.requests) == 1


def test_a_file_with_headers_is_the_same_after_it_was_saved() -> None:
    dialect = DIALECTS[0]
    model = dialect.build("http://127.0.0.1:9", auth=None, headers={"Host": "h", "X-Key": oh.Credential("apim")})
    file = io.BytesIO(model.to_proto().SerializeToString())
    loaded = oh.Model.from_proto(ModelProto.FromString(file.getvalue()))
    assert loaded.remotes == model.remotes


def test_old_operators_send_no_headers() -> None:
    model = DIALECTS[0].build("http://127.0.0.1:9", auth=None, headers={"Host": "h"})
    with pytest.raises(oh.ModelError, match="OH403"):
        oh.legacy.export(model)


def test_the_table_of_refused_headers_is_that_of_the_library() -> None:
    assert {"authorization", "content-*", "grpc-*", "transfer-encoding"} <= set(library.refused_headers())

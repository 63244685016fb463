"""Remote nodes against servers that misbehave: a coded error before the deadline, and never a wrong tensor."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid import library
from onnxhybrid.model.dtypes import name_of
from onnxhybrid.model.remote_spec import attributes_of
from tests.old_models import AUTH, BYTES, STRING, old_model
from tests.remotes import TOKEN, X, adder, in_turn, reply
from tests.servers.raw import Behaviour, answer, raw_server, send_and_close, silence
from tests.strategies import dense, of_graph, run


def test_an_answer_in_json_is_the_output() -> None:
    with raw_server(answer(reply())) as server:
        (y,) = oh.Session(adder(server.url)).run(None, {"x": X})
    np.testing.assert_array_equal(y, np.array([[1, 2], [3, 4]], np.float32))


OUTPUT = b'{"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [0, 0, 0, 0]}'


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FAULTS: dict[str, tuple[Behaviour, str]] = {
    "401 with a message": (answer(b'{"error": "bad token"}', status="401 Unauthorized"), "OH503"),
    "a redirect": (answer(b"", status="302 Found", more="Location: http://127.0.0.1:1/\r\n"), "OH503"),
    "500 without a body": (answer(b"", status="500 Internal Server Error"), "OH503"),
    "204": (send_and_close(b"HTTP/1.1 204 No Content\r\n\r\n"), "OH503"),
    "an HTML page": (answer(b"<html>log in</html>", kind="text/html"), "OH504"),
    "JSON called HTML": (answer(reply(), kind="text/html"), "OH504"),
    "no JSON": (answer(b"}{"), "OH504"),
    "an empty body": (answer(b""), "OH504"),
    "another output": (answer(reply(name="z")), "OH504"),
    "no outputs": (answer(b'{"outputs": []}'), "OH504"),
    "an output twice": (answer(reply().replace(b'"outputs": [', b'"outputs": [' + OUTPUT + b", ")), "OH504"),
    "another type": (answer(reply(datatype="INT64")), "OH505"),
    "an unknown type": (answer(reply(datatype="FP31")), "OH505"),
    "another rank": (answer(reply(shape=[4])), "OH506"),
    "another fixed size": (answer(reply(shape=[4, 1])), "OH506"),
    "other rows than were asked": (answer(reply(shape=[3, 2], data=[0.0] * 6)), "OH506"),
    "fewer values than the shape": (answer(reply(data=[1.0])), "OH506"),
    "a negative size": (answer(reply(shape=[-1, 2])), "OH506"),
    "a huge size": (answer(reply(shape=[2**62, 2])), "OH506"),
    "text for numbers": (answer(reply(data=["a", "b", "c", "d"])), "OH504"),
    "a body cut short": (send_and_close(HEAD + b"Content-Length: 500\r\n\r\n" + reply()[:40]), "OH508"),
    "a chunk cut short": (send_and_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\n400\r\n" + reply()[:40]), "OH508"),
    "no HTTP": (send_and_close(b"SSH-2.0-OpenSSH_9.2\r\n"), "OH504"),
    "silence": (silence, "OH502"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_is_a_coded_error_before_the_deadline(fault: str) -> None:
    behave, code = FAULTS[fault]
    with raw_server(behave) as server:
        session = oh.Session(adder(server.url, timeout=1.5))
        began = time.monotonic()
        with pytest.raises(oh.RemoteError) as caught:
            session.run(None, {"x": X})
        assert time.monotonic() - began < 3
    assert caught.value.code == code
    assert caught.value.node == "adder"
    assert caught.value.endpoint == server.url
    assert caught.value.attempts == 1


def test_the_servers_own_message_is_in_the_error_in_one_line() -> None:
    refusing = answer(b'{"error": "bad\\r\\ntoken"}', status="401 Unauthorized")
    with raw_server(refusing) as server, pytest.raises(oh.RemoteStatusError, match=r"bad.*token") as caught:
        oh.Session(adder(server.url)).run(None, {"x": X})
    assert caught.value.status == 401
    assert "\n" not in str(caught.value)


def test_a_connection_that_closes_without_an_answer_is_an_error() -> None:
    with raw_server(send_and_close(b"")) as server, pytest.raises(oh.RemoteError, match="OH508"):
        oh.Session(adder(server.url)).run(None, {"x": X})


def test_a_dead_server_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(oh.RemoteRefused, match="OH501") as caught:
        oh.Session(adder(url, retries=1)).run(None, {"x": X})
    assert caught.value.attempts == 2
    assert caught.value.status == 0


def test_what_is_worth_repeating_is_repeated() -> None:
    answers = iter([answer(b"", status="503 Service Unavailable"), answer(reply())])
    with raw_server(in_turn(answers)) as server:
        session = oh.Session(adder(server.url, retries=2))
        session.run(None, {"x": X})
        stats = session.stats()["adder"]
    assert (stats.calls, stats.retries, stats.errors) == (1, 1, {})
    assert len(server.requests) == 2


def test_an_answer_larger_than_the_policy_allows_is_refused() -> None:
    with raw_server(answer(b" " * 5_000 + reply())) as server, pytest.raises(oh.ProtocolError, match="OH507"):
        oh.Session(adder(server.url), policy=oh.Policy(max_response_bytes=1_000)).run(None, {"x": X})


@pytest.mark.parametrize(
    "policy", [oh.Policy(deny=["127.0.0.1"]), oh.Policy(allow=["example.com"]), oh.Policy(deny=["127.0.0.0/8"])]
)
def test_what_the_policy_refuses_is_not_sent(policy: oh.Policy) -> None:
    with raw_server(answer(reply())) as server, pytest.raises(oh.PolicyDenied, match="OH520"):
        oh.Session(adder(server.url), policy=policy).run(None, {"x": X})
    assert not server.requests


def _call(model: oh.Model, credentials: dict[str, str | oh.Secret]) -> None:
    oh.Session(model, credentials=credentials).run(None, {"x": X})


def test_a_token_as_an_input_travels_in_the_header() -> None:
    with raw_server(answer(reply())) as server:
        model = adder(server.url, auth=oh.Input("auth_token"))
        assert model.inputs[0] == oh.TensorSpec("auth_token", "str", (1,))
        oh.Session(model).run(None, {"x": X, "auth_token": np.array([TOKEN])})
    assert f"authorization: Bearer {TOKEN}".lower().encode() in server.requests[0].lower()


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "tökén"])
def test_a_token_cannot_add_headers(token: str) -> None:
    with raw_server(answer(reply())) as server:
        for secret in (token, oh.Secret(lambda: token)):
            with pytest.raises(oh.CredentialError, match="OH512") as caught:
                _call(adder(server.url, auth=oh.Credential("t")), {"t": secret})
            assert token not in str(caught.value)
        if "\0" not in token:  # ONNX Runtime ends a string that is fed at its first NUL
            with pytest.raises(oh.CredentialError, match="OH512"):
                oh.Session(adder(server.url, auth=oh.Input("t"))).run(None, {"x": X, "t": np.array([token])})
    assert not server.requests


def test_a_credential_is_resolved_at_each_call() -> None:
    tokens = iter(["first-token", "second-token"])
    with raw_server(answer(reply())) as server:
        model = adder(server.url, auth=oh.Credential("adder"))
        session = oh.Session(model, credentials={"adder": oh.Secret(lambda: next(tokens), hosts=["127.0.0.1"])})
        for _ in range(2):
            session.run(None, {"x": X})
    assert [b"first-token" in request for request in server.requests] == [True, False]
    assert b"second-token" in server.requests[1]


def test_a_credential_from_a_file_is_read_at_each_call(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with raw_server(answer(reply())) as server:
        secret = oh.Secret(path, hosts=["127.0.0.1"])
        session = oh.Session(adder(server.url, auth=oh.Credential("adder")), credentials={"adder": secret})
        for token in ("one", "two"):
            path.write_text(f"{token}\n", encoding="utf-8")
            session.run(None, {"x": X})
    assert [request.count(b"Bearer one") for request in server.requests] == [1, 0]


def test_a_credential_that_fails_or_is_missing_is_a_coded_error() -> None:
    def vault() -> str:
        raise RuntimeError(TOKEN)

    with raw_server(answer(reply())) as server:
        model = adder(server.url, auth=oh.Credential("adder"))
        for credentials, code in (({"adder": oh.Secret(vault)}, "OH513"), ({}, "OH510")):
            with pytest.raises(oh.CredentialError) as caught:
                oh.Session(model, credentials=credentials).run(None, {"x": X})
            assert caught.value.code == code
            assert TOKEN not in str(caught.value)
    assert not server.requests


def test_a_secret_is_sent_to_its_hosts_only() -> None:
    secret = oh.Secret(TOKEN, hosts=["example.com"])
    with raw_server(answer(reply())) as server, pytest.raises(oh.CredentialError, match="OH511") as caught:
        _call(adder(server.url, auth=oh.Credential("adder")), {"adder": secret})
    assert not server.requests
    assert TOKEN not in str(caught.value)
    assert "ONNXHYBRID_CREDENTIAL_ADDER_HOSTS" in str(caught.value)


@pytest.mark.parametrize("entry", ["*", "10.0.0.*", "https://*.example", "*.*.example"])
def test_a_star_that_would_match_nothing_is_refused(entry: str) -> None:
    model = adder("http://127.0.0.1:1", auth=oh.Credential("adder"))
    for policy in (oh.Policy(deny=[entry]), oh.Policy(allow=[entry])):
        with pytest.raises(oh.Error, match="OH530"):
            oh.Session(model, policy=policy)
    with pytest.raises(oh.Error, match="OH530"):
        oh.Session(model, credentials={"adder": oh.Secret(TOKEN, hosts=[entry])})


def test_a_credential_from_the_environment_needs_its_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(answer(reply())) as server:
        session = oh.Session(adder(server.url, auth=oh.Credential("my-adder")))
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_MY_ADDER", TOKEN)
        with pytest.raises(oh.CredentialError):
            session.run(None, {"x": X})
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_MY_ADDER_HOSTS", "example.com,127.0.0.1")
        session.run(None, {"x": X})
    assert [TOKEN.encode() in request for request in server.requests] == [True]


def test_two_sessions_do_not_see_each_others_credentials_even_with_the_same_options() -> None:
    options = onnxruntime.SessionOptions()
    with raw_server(answer(reply())) as server:
        model = adder(server.url, auth=oh.Credential("adder"))
        one = oh.Session(model, credentials={"adder": "token-of-one"}, sess_options=options)
        two = oh.Session(model, credentials={"adder": "token-of-two"}, sess_options=options)
        none = oh.Session(model, sess_options=options)
        one.run(None, {"x": X})
        two.run(None, {"x": X})
        with pytest.raises(oh.CredentialError, match="OH510"):
            none.run(None, {"x": X})
    assert [b"token-of-one" in request for request in server.requests] == [True, False]
    assert one.stats()["adder"].calls == two.stats()["adder"].calls == 1


def test_a_token_that_a_server_repeats_is_blotted_out() -> None:
    with raw_server(answer(f'{{"error": "unknown token {TOKEN}"}}'.encode(), status="401 Unauthorized")) as server:
        model = adder(server.url, auth=oh.Credential("adder"))
        with pytest.raises(oh.RemoteStatusError, match="unknown token") as caught:
            oh.Session(model, credentials={"adder": TOKEN}).run(None, {"x": X})
    assert TOKEN not in str(caught.value)


def test_no_secret_is_printed_pickled_or_saved(tmp_path: Path) -> None:
    import pickle

    secret = oh.Secret(TOKEN, hosts=["h"])
    assert TOKEN not in repr(secret) + str(secret)
    with pytest.raises(TypeError, match="Secret"):
        pickle.dumps(secret)
    with pytest.raises(oh.ModelError, match="OH303"):
        oh.remote.triton("http://127.0.0.1:1", "m", inputs=[], outputs=[], auth=TOKEN)
    with pytest.raises(oh.ModelError, match="OH303"):
        oh.remote.triton(f"http://user:{TOKEN}@127.0.0.1:1", "m", inputs=[], outputs=[])
    with pytest.raises(oh.ModelError, match="OH303"):
        adder("http://127.0.0.1:1", auth=oh.Input("t", default=TOKEN))
    with pytest.raises(oh.ModelError, match="OH303"):
        adder("http://127.0.0.1:1", auth=oh.Input("t")).bind(t=[TOKEN])
    adder("http://127.0.0.1:1", auth=oh.Credential("c")).save(tmp_path / "m.onnx")
    assert TOKEN.encode() not in (tmp_path / "m.onnx").read_bytes()


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("OH304", {"timeout": 0}), ("OH304", {"timeout": float("nan")}), ("OH304", {"timeout": "5"}),
        ("OH304", {"connect_timeout": -1}), ("OH304", {"attempt_timeout": 0}), ("OH304", {"attempt_timeout": "1"}),
        ("OH304", {"retries": -1}), ("OH304", {"retries": 1.5}),
        ("OH304", {"cache": True}), ("OH304", {"on_error": "ignore"}), ("OH304", {"auth": 5}),
        ("OH304", {"name": ""}), ("OH304", {"timeuot": 5}),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused_at_the_line_that_gave_it(code: str, options: dict[str, object]) -> None:
    with pytest.raises(oh.ModelError) as caught:
        adder("http://127.0.0.1:1", **options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "url", ["ftp://host", "host:8000", "http://", "http://h h", "http://host/#q", "", 5, "http://[::1"]
)
def test_a_url_that_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(oh.ModelError, match="OH301"):
        adder(url)


def test_a_description_of_one_side_only_or_with_a_doubled_name_is_refused() -> None:
    spec = oh.TensorSpec("x", "float32", (1,))
    with pytest.raises(oh.ModelError, match="OH302"):
        oh.remote.triton("http://127.0.0.1:1", "m", inputs=[spec])
    with pytest.raises(oh.ModelError, match="OH301"):
        oh.remote.triton("http://127.0.0.1:1", "m", inputs=[spec], outputs=[spec])


def test_a_token_cannot_reach_the_artifact_as_a_constant(tmp_path: Path) -> None:
    remote = adder("http://127.0.0.1:1", auth=oh.Input("token"))
    values = [helper.make_tensor_value_info(name, TensorProto.STRING, [1]) for name in ("key", "token")]
    given = of_graph(helper.make_graph([helper.make_node("Identity", ["key"], ["token"])], "k", values[:1], values[1:]))
    with pytest.raises(oh.ValidationError, match="OH303"):
        oh.chain(given, remote).bind(key=[TOKEN]).save(tmp_path / "m.onnx")
    proto = remote.to_proto()
    proto.graph.initializer.append(numpy_helper.from_array(np.array([TOKEN], object), "token"))
    with pytest.raises(oh.ValidationError, match="OH303"):
        oh.Model.from_proto(proto).save(tmp_path / "m.onnx")
    for url in (f"http://h/#key={TOKEN}", f"u:{TOKEN}@h:8000", f"http:/u:{TOKEN}@h", f"http://h/{TOKEN} "):
        with pytest.raises(oh.ModelError, match=r"OH30[13]") as caught:
            adder(url)
        assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("given", [["x"], "x", oh.TensorSpec("x", "float32", (1,)), 5])
def test_descriptions_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(oh.ModelError, match="OH110"):
        oh.remote.triton("http://127.0.0.1:1", "m", inputs=given, outputs=given)
    with pytest.raises(oh.ModelError, match="OH301"):
        oh.remote.triton("http://127.0.0.1:1", "m", inputs=[], outputs=[])


def test_a_credentials_name_has_plain_characters() -> None:
    with pytest.raises(oh.ModelError, match="OH304"):
        oh.Credential("a b")


def test_metadata_that_cannot_be_had_is_a_remote_error_at_the_builder() -> None:
    refusing = answer(b'{"error": "unknown model"}', status="400 Bad Request")
    with raw_server(refusing) as server, pytest.raises(oh.RemoteStatusError, match="unknown model"):
        oh.remote.triton(server.url, "nosuch")


def test_a_server_that_cannot_be_asked_is_named_and_what_to_give_instead() -> None:
    with raw_server(answer(reply())) as server:
        url = server.url
        with pytest.raises(oh.CredentialError, match=f"OH510.*{url}.*ONNXHYBRID_CREDENTIAL_GPU_HOSTS.*with inputs="):
            oh.remote.triton(url, "adder", auth=oh.Credential("gpu"))
    with pytest.raises(oh.RemoteRefused, match=f"OH501.*{url} was asked .*'adder' .*with inputs= and outputs="):
        oh.remote.triton(url, "adder", retries=0)
    with (
        raw_server(send_and_close(b"SSH-2.0-OpenSSH_9.2\r\n")) as other,
        pytest.raises(oh.ProtocolError, match="grpc://"),
    ):
        oh.remote.triton(other.url, "adder")


def test_flags_turn_a_failure_into_data() -> None:
    with raw_server(answer(b'{"error": "busy"}', status="429 Too Many Requests")) as server:
        model = adder(server.url, on_error="flag")
        y, ok, status, error = oh.Session(model).run(None, {"x": X})
        assert [value.name for value in model.outputs] == ["y", "ok", "status", "error"]
    assert (y.shape, bool(ok), int(status)) == ((0, 2), False, 429)
    assert "OH503" in str(error)


def test_flags_of_a_success_say_so() -> None:
    with raw_server(answer(reply())) as server:
        y, ok, status, error = oh.Session(adder(server.url, on_error="flag")).run(None, {"x": X})
    assert (y.shape, bool(ok), int(status), str(error)) == ((2, 2), True, 200, "")


def test_renaming_and_composing_never_change_what_is_on_the_wire() -> None:
    with raw_server(answer(reply())) as server:
        remote = adder(server.url)
        local = dense("local", "image", "features", (3, 3))
        nested = oh.switch("c", oh.chain(local, remote.rename({"x": "features"})), remote.rename({"x": "other"}))
        feeds = {"image": X, "other": X, "c": np.array(True)}
        oh.Session(nested.prefix("all/")).run(None, {f"all/{name}": value for name, value in feeds.items()})
    header = server.requests[0].split(b"\r\n\r\n", 1)[1]
    assert b'"x"' in header
    assert b'"y"' in header
    assert b"features" not in header
    assert [remote.inputs for remote in nested.remotes] == [("x",), ("x",)]
    assert len({remote.node for remote in nested.remotes}) == 2


def test_a_call_goes_out_at_every_run_even_where_all_inputs_are_constant_and_two_are_equal() -> None:
    with raw_server(answer(reply())) as server:
        both = oh.parallel(a=adder(server.url), b=adder(server.url)).bind(x=X)
        session = oh.Session(both)
        for _ in range(3):
            session.run(None, {})
    assert len(server.requests) == 6


def test_only_the_branch_that_runs_calls_out() -> None:
    with raw_server(answer(reply())) as server:
        local = dense("local", "x", "y", (3, 2))
        session = oh.Session(oh.switch("cloud", then=adder(server.url), else_=local))
        (y,) = session.run(None, {"x": X, "cloud": np.array(False)})
        np.testing.assert_array_equal(y, run(local, {"x": X})["y"])
        assert not server.requests
        session.run(None, {"x": X, "cloud": np.array(True)})
    assert len(server.requests) == 1


def test_a_cascade_asks_the_remote_only_where_the_judge_refuses() -> None:
    with raw_server(answer(reply())) as server:
        local = dense("local", "x", "y", (3, 2), softmax=True)
        judge = oh.judge.max_probability("y") >= oh.Input("threshold", default=0.0)
        session = oh.Session(oh.cascade(local, adder(server.url), accept=judge))
        session.run(None, {"x": X})
        assert not server.requests
        (y,) = session.run(None, {"x": X, "threshold": np.array([1.1], np.float32)})
    assert len(server.requests) == 1
    np.testing.assert_array_equal(y, np.array([[1, 2], [3, 4]], np.float32))


@pytest.mark.parametrize(
    "providers",
    [["CPUExecutionProvider"], ["AzureExecutionProvider", "CPUExecutionProvider"],
     ["CPUExecutionProvider", "AzureExecutionProvider"], None],
)  # fmt: skip
def test_the_saved_file_runs_in_a_plain_inference_session(tmp_path: Path, providers: list[str] | None) -> None:
    path = tmp_path / "m.onnx"
    with raw_server(answer(reply())) as server:
        adder(server.url, auth=oh.Credential("adder")).save(path)
        onnx.checker.check_model(str(path))
        options = onnxruntime.SessionOptions()
        oh.register(options, credentials={"adder": TOKEN})
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        (y,) = session.run(None, {"x": X})
    assert y.shape == (2, 2)
    assert TOKEN.encode() in server.requests[0]


def test_the_library_alone_is_enough_to_run_the_file(tmp_path: Path) -> None:
    with raw_server(answer(reply())) as server:
        adder(server.url).save(tmp_path / "m.onnx")
        options = onnxruntime.SessionOptions()
        options.register_custom_ops_library(oh.library_path())
        (y,) = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), options).run(None, {"x": X})
    assert y.shape == (2, 2)


def test_a_malformed_remote_node_is_an_error_when_the_session_is_made() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    for attributes in (
        {"protocol": "carrier.pigeon", "endpoint": "http://127.0.0.1:1"},
        {"protocol": "triton.http"},
        {"protocol": "triton.http", "endpoint": "http://u:p@127.0.0.1:1"},
    ):
        node = helper.make_node("Invoke", ["x"], ["y"], name="r", domain="ai.onnxhybrid", model="m", auth="none",
                                input_names='["x"]', output_names='["y"]', timeout_ms=1, **attributes)  # fmt: skip
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
        model = of_graph(helper.make_graph([node], "g", values[:1], values[1:]), opset_imports=imports)
        with pytest.raises(oh.ModelError, match="OH301"):
            oh.Session(model)
        if attributes["protocol"] == "triton.http":
            assert not oh.validate(model)


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("http://h:8000", "triton.http"),
        ("https://h", "triton.http"),
        ("grpc://h:8001", "triton.grpc"),
        ("GRPCS://h", "triton.grpc"),
    ],
)
def test_the_scheme_of_the_url_says_which_protocol_is_spoken(url: str, protocol: str) -> None:
    spec = [oh.TensorSpec("x", "float32", (1,))]
    [remote] = oh.remote.triton(url, "m", inputs=spec, outputs=[oh.TensorSpec("y", "float32", (1,))]).remotes
    assert (remote.protocol, remote.endpoint) == (protocol, url)


@pytest.mark.parametrize("name", ["attempt_timeout_ms", "protocol", "input_names", "auth"])
def test_an_attribute_that_refers_to_one_of_a_function_is_no_value(name: str) -> None:
    specs = [oh.TensorSpec("x", "float32", (1,))], [oh.TensorSpec("y", "float32", (1,))]
    proto = oh.remote.triton("http://127.0.0.1:9", "m", inputs=specs[0], outputs=specs[1]).to_proto()
    (attribute,) = (entry for entry in proto.graph.node[0].attribute if entry.name == name)
    attribute.ref_attr_name = "given"
    model = oh.Model.from_proto(proto)
    assert {finding.code for finding in oh.validate(model).errors} == {"OH301"}
    for way in (oh.legacy.export, oh.overlap, lambda model: model.remotes):
        with pytest.raises(oh.Error, match=rf"OH301.*'{name}' refers to an attribute of a function"):
            way(model)


def test_the_protocol_table_agrees_with_the_builders() -> None:
    table = library.protocols()
    names = {name_of(number) for number in TensorProto.DataType.values()}
    for row in table.values():
        assert set(row["dtypes"]) <= names
        assert set(row["options"].values()) <= {"str", "float32", "int64"}
    specs = [oh.TensorSpec("x", "float32", (1,))], [oh.TensorSpec("y", "float32", (1,))]
    url, option, extra = "https://h", oh.Input(), {"further": 1}
    fields = [(name, STRING, [1]) for name in ("filename", "model_name")]
    limits: list[dict[str, Any]] = [{"max_tokens": option}, {"max_completion_tokens": option}]  # a call has one of them
    text, omissible = oh.TensorSpec("t", "str", (1,)), oh.TensorSpec("x", "float32", (1,), optional=True)
    tensors: dict[str, Any] = {"inputs": [text, omissible], "outputs": specs[1], "bytes": ["t"], "parameters": extra}
    models = [
        oh.remote.triton(url, "m", binary=False, **tensors),
        oh.remote.triton("grpcs://h", "m", **tensors),
        oh.remote.openai_audio(option, url=url, audio_format=option, response_format=option, language=option,
                               prompt=option, temperature=option, extra=extra),
        *(oh.remote.openai_chat(option, url=url, system=option, temperature=option, extra=extra, **limit)
          for limit in limits),
        oh.remote.openai_responses(option, url=url, instructions=option, max_output_tokens=option, extra=extra),
        oh.remote.openai_embeddings(option, url=url, dimensions=option, encoding_format=option, extra=extra),
        oh.remote.azure_openai_audio(url, option, api_version="1", audio_format=option, response_format=option,
                                     language=option, prompt=option, temperature=option, extra=extra),
        *(oh.remote.azure_openai_chat(url, option, api_version="1", system=option, temperature=option, extra=extra,
                                      **limit)
          for limit in limits),
        oh.remote.azure_openai_embeddings(url, option, api_version="1", dimensions=option, encoding_format=option,
                                          extra=extra),
        oh.remote.azureml(url, inputs=specs[0], outputs=specs[1], deployment=option),
        *(oh.legacy.upgrade(oh.Model.from_proto(model)) for model in (
            old_model("OpenAIAudioToText", [AUTH, *fields, ("file", BYTES, [-1])],
                      [("t", STRING, [1])], model_uri=f"{url}/?q", model_name="m", audio_format="wav"),
            old_model("AzureTextToText", [AUTH, ("x", STRING, [1])], [("t", STRING, [1])], model_uri=f"{url}/?q"),
        )),
    ]  # fmt: skip
    nodes = [(model.remotes[0].protocol, attributes_of(model.to_proto().graph.node[0])) for model in models]
    assert {protocol for protocol, _ in nodes} == set(table)
    given: dict[str, set[str]] = {protocol: set() for protocol in table}
    shared = {"protocol", "endpoint", "model", "version", "input_names", "output_names", "input_shapes", "auth",
              "output_shapes", "option_names", "timeout_ms", "connect_timeout_ms", "attempt_timeout_ms", "retries",
              "on_error", "batch", "batch_bytes"}  # fmt: skip
    for protocol, attributes in nodes:
        assert set(attributes) - shared == set(table[protocol]["attributes"]) - shared
        given[protocol] |= set(json.loads(attributes.get("option_names", b"[]")))
        assert all(attributes[name] for name in table[protocol]["required"])
    assert given == {protocol: set(row["options"]) for protocol, row in table.items()}


def test_a_library_that_is_not_there_is_a_coded_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXHYBRID_LIBRARY", "/no/such/library.so")
    with pytest.raises(oh.Error, match="OH550"):
        oh.library_path()


def test_a_string_constant_that_looks_like_a_token_is_found(tmp_path: Path) -> None:
    header = numpy_helper.from_array(np.array(["Bearer abcdefghijklmnopqrstuvwxyz"], object), "x")
    values = [helper.make_tensor_value_info("y", TensorProto.STRING, [1])]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [], values, [header])
    with pytest.raises(oh.ValidationError, match="OH306"):
        of_graph(graph).save(tmp_path / "m.onnx")

"""Endpoints by name: one file goes wherever the session, the environment or its own default says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, helper

import onnxhybrid as oh
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import RawServer, answer, raw_server
from tests.strategies import dense

GPU = "ONNXHYBRID_ENDPOINT_GPU"
Y = np.array([[1, 2], [3, 4]], np.float32)
LOCAL = dense("a", "x", "z", (3, 3))


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server(answer(reply())) as server:
        yield server


@pytest.fixture
def other() -> Iterator[RawServer]:
    with raw_server(answer(reply())) as other:
        yield other


def named(name: str = "gpu", default: str | None = None, **options: Any) -> oh.Model:
    return adder(oh.Endpoint(name, default), **options)


def ask(model: oh.Model | Path, **session: Any) -> None:
    [y] = oh.Session(model, **session).run(["y"], {"x": X})
    assert (y == Y).all()


def test_a_call_goes_where_the_session_says_then_where_the_environment_does_then_to_its_default(
    server: RawServer, other: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with raw_server(answer(reply())) as third:
        named(default=third.url).save(tmp_path / "m.onnx")
        ask(tmp_path / "m.onnx")
        monkeypatch.setenv(GPU, other.url)
        ask(tmp_path / "m.onnx")
        ask(tmp_path / "m.onnx", endpoints={"gpu": server.url})
        assert [len(each.requests) for each in (server, other, third)] == [1, 1, 1]


def test_plain_sessions_of_onnxruntime_take_it_from_the_environment_or_from_what_was_registered(
    server: RawServer, other: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = named("my-gpu.1").to_proto().SerializeToString()
    options = onnxruntime.SessionOptions()
    oh.register(options, endpoints={"my-gpu.1": server.url, "another": "http://h"})
    onnxruntime.InferenceSession(graph, options).run(None, {"x": X})
    monkeypatch.setenv("ONNXHYBRID_ENDPOINT_MY_GPU_1", other.url)
    bare = onnxruntime.SessionOptions()
    bare.register_custom_ops_library(oh.library_path())
    onnxruntime.InferenceSession(graph, bare).run(None, {"x": X})
    assert (len(server.requests), len(other.requests)) == (1, 1)


def test_a_session_stays_with_what_it_found_when_it_opened(
    server: RawServer, other: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPU, server.url)
    session = oh.Session(named())
    monkeypatch.setenv(GPU, other.url)
    session.run(None, {"x": X})
    assert (len(server.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize("compose", [lambda m: m, lambda m: oh.overlap(oh.parallel(remote=m, local=LOCAL))])
def test_a_name_that_leads_nowhere_is_an_error_when_the_session_opens(compose: Any) -> None:
    with pytest.raises(oh.RemoteError, match=rf"OH574.*endpoints=.*{GPU}.*default=") as caught:
        oh.Session(compose(named()))
    assert caught.value.node.endswith("adder")


def test_a_name_that_no_node_has_is_told_with_a_near_one(server: RawServer) -> None:
    for model in (named(), named(default=server.url)):
        with pytest.raises(oh.RemoteError, match=r"OH575.*'gpuu'.*did you mean 'gpu'\?"):
            oh.Session(model, endpoints={"gpu": server.url, "gpuu": server.url})
    with pytest.raises(oh.RemoteError, match=r"OH575.*'gpu'.*they name none.*retarget"):
        oh.Session(adder(server.url), endpoints={"gpu": server.url})


@pytest.mark.parametrize(
    "endpoints",
    [
        ["gpu"], "gpu", {"g u": "http://h"}, {"gpu": 1}, {"gpu": []}, {"gpu": ""}, {"gpu": ["http://h", 2]},
        {"gpu": "grpc://h"}, {"gpu": "h:8000"}, {"gpu": ["http://h", "ftp://h"]}, {"gpu": "http://h/v2/models/m"},
    ],
)  # fmt: skip
def test_what_no_call_can_go_to_is_refused_when_the_session_opens(endpoints: Any) -> None:
    with pytest.raises(oh.RemoteError, match="OH576"):
        oh.Session(named(), endpoints=endpoints)


@pytest.mark.parametrize(
    "text", ["http://a,http://b", "http://a:80, http://b:80/", "http://a/v1,grpc://b", "http://a,b"]
)
def test_several_urls_in_one_text_are_told_to_be_a_list(text: str) -> None:
    with pytest.raises(oh.RemoteError, match=r"OH576.*several URLs.*a list of them"):
        oh.Session(named(), endpoints={"gpu": text})
    for url in (text, oh.Endpoint("gpu", default=text)):
        with pytest.raises(oh.ModelError, match=r"OH301.*several URLs.*a list of them"):
            adder(url)


def test_a_comma_in_a_path_or_a_query_is_part_of_one_url() -> None:
    for url in ("http://h/a,b", "http://h/a?next=x,http://b"):
        assert adder(url).remotes[0].endpoint == url


def test_what_is_no_list_of_urls_is_told_by_kind_without_the_password_of_a_url() -> None:
    with pytest.raises(oh.RemoteError, match=r"OH576.*a list that holds int") as caught:
        oh.Session(named(), endpoints={"gpu": ["http://user:s3cret@h", 5]})  # type: ignore[list-item]
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["grpc://h", "h:8000", "http://user:s3cret@h", "http://h,ftp://h"])
def test_what_no_call_can_go_to_is_refused_in_the_environment_too(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GPU, text)
    with pytest.raises(oh.RemoteError, match=rf"OH576.*{GPU}") as caught:
        oh.Session(named(default="http://127.0.0.1:9"))
    assert "s3cret" not in str(caught.value)


def test_a_plain_token_goes_to_what_the_session_resolved_and_nowhere_else(server: RawServer, other: RawServer) -> None:
    model = named(default=other.url, auth=oh.Credential("c"))
    ask(model, endpoints={"gpu": server.url}, credentials={"c": TOKEN})
    assert TOKEN in server.requests[0].decode("latin-1")
    assert other.requests == []


def test_a_secret_with_hosts_goes_to_these_alone(server: RawServer, other: RawServer) -> None:
    def secret(*hosts: RawServer) -> oh.Secret:
        return oh.Secret(TOKEN, hosts=[host.url for host in hosts])

    model = named(auth=oh.Credential("c"))
    ask(model, endpoints={"gpu": server.url}, credentials={"c": secret(server)})
    for urls in (other.url, [server.url, other.url]):
        with pytest.raises(oh.CredentialError, match="OH511"):
            ask(model, endpoints={"gpu": urls}, credentials={"c": secret(server)})
    assert (len(server.requests), other.requests) == (1, [])


def test_the_policy_judges_the_address_that_was_resolved(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    model = named(default="https://allowed.example")
    for policy in (oh.Policy(allow=["allowed.example"]), oh.Policy.strict(["allowed.example"])):
        with pytest.raises(oh.PolicyDenied, match="OH520"):
            ask(model, endpoints={"gpu": server.url}, policy=policy)
        monkeypatch.setenv(GPU, server.url)
        with pytest.raises(oh.PolicyDenied, match="OH520"):
            ask(model, policy=policy)
    for policy in (oh.Policy(allow=[server.url]), oh.Policy.strict([server.url])):
        ask(model, endpoints={"gpu": server.url}, policy=policy)
    assert len(server.requests) == 2


def test_the_server_is_asked_at_the_environment_s_url_or_at_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    with oh.endpoint.serve({"m": dense("a", "x", "y", (3, 3))}) as server:
        asked = oh.remote.triton(oh.Endpoint("gpu", server.url), "m")
        monkeypatch.setenv(GPU, server.url)
        again = oh.remote.triton(oh.Endpoint("gpu"), "m")
        assert asked.inputs == again.inputs == oh.remote.triton(server.url, "m").inputs
        assert (asked.remotes[0].endpoint, again.remotes[0].endpoint) == (server.url, "")
        assert not oh.validate(again, online=True).findings
        monkeypatch.setenv(GPU, "grpc://127.0.0.1:1")
        with pytest.raises(oh.ModelError, match=r"OH327.*grpc.*triton.http"):
            oh.remote.triton(oh.Endpoint("gpu", server.url), "m")
    monkeypatch.delenv(GPU)
    with pytest.raises(oh.ModelError, match=rf"OH327.*{GPU}"):
        oh.remote.triton(oh.Endpoint("gpu"), "m")


def test_the_default_s_scheme_decides_the_protocol_and_without_one_the_environment_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def protocol(default: str | None) -> str:
        return named(default=default).remotes[0].protocol

    assert [protocol(url) for url in (None, "grpc://h", "https://h")] == ["triton.http", "triton.grpc", "triton.http"]
    monkeypatch.setenv(GPU, "grpcs://h")
    assert [protocol(url) for url in (None, "http://h")] == ["triton.grpc", "triton.http"]


SPECS = [oh.TensorSpec("x", "float32", ("n", 3))]
BUILDERS: dict[str, Callable[[oh.Endpoint], oh.Model]] = {
    "triton": lambda at: oh.remote.triton(at, "m", inputs=SPECS, outputs=[oh.TensorSpec("y", "float32", None)]),
    "azureml": lambda at: oh.remote.azureml(at, inputs=SPECS, outputs=[oh.TensorSpec("y", "float32", None)]),
    "openai_audio": lambda at: oh.remote.openai_audio(url=at),
    "openai_chat": lambda at: oh.remote.openai_chat("m", url=at),
    "openai_responses": lambda at: oh.remote.openai_responses("m", url=at),
    "openai_embeddings": lambda at: oh.remote.openai_embeddings("m", url=at),
    "azure_openai_audio": lambda at: oh.remote.azure_openai_audio(at, "d", api_version="2024-10-21"),
    "azure_openai_chat": lambda at: oh.remote.azure_openai_chat(at, "d", api_version="v1"),
    "azure_openai_embeddings": lambda at: oh.remote.azure_openai_embeddings(at, "d", api_version="2024-10-21"),
}


def test_every_builder_takes_a_name() -> None:
    assert set(BUILDERS) == {name for name in oh.remote.__all__ if not isinstance(getattr(oh.remote, name), type)}
    for build in BUILDERS.values():
        model = build(oh.Endpoint("gpu"))
        [remote] = model.remotes
        assert (remote.endpoint_name, remote.endpoint, remote.shown) == ("gpu", "", "gpu")
        assert not oh.validate(model).errors
        with pytest.raises(oh.RemoteError, match="OH574"):
            oh.Session(model)
        oh.Session(model, endpoints={"gpu": "https://127.0.0.1:1"})


@pytest.mark.parametrize(
    "arguments",
    [("",), ("a b",), ("Token",), ("http://h",), ("a" * 65,), (1,), ("a", ""), ("a", 1), ("a", None, "last")],
)
def test_a_malformed_endpoint_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(oh.ModelError, match="OH326"):
        oh.Endpoint(*arguments)


def test_a_default_is_checked_as_a_url_is() -> None:
    for url, code in (("ftp://h", "OH301"), ("http://u:p@h", "OH303"), ("http://h/v2", "OH325")):
        with pytest.raises(oh.ModelError, match=code):
            named(default=url)


@pytest.mark.parametrize("attributes", [{"endpoint_name": "a b"}, {"endpoint_order": "last"}, {"endpoint_name": ""}])
def test_a_file_with_a_malformed_name_is_refused(attributes: dict[str, str]) -> None:
    proto = ModelProto()
    proto.CopyFrom(named().to_proto())
    [node] = proto.graph.node
    kept = [attribute for attribute in node.attribute if attribute.name not in attributes]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(*row) for row in attributes.items())])
    model = oh.Model.from_proto(proto)
    assert {finding.code for finding in oh.validate(model).errors} == {"OH301"}
    with pytest.raises(oh.ModelError, match="OH301"):
        oh.Session(model)


def test_what_a_file_says_of_itself_tells_name_and_default() -> None:
    both = oh.parallel(remote=named(default="http://127.0.0.1:9"), other=named("eu"), local=LOCAL)
    assert [remote.shown for remote in both.remotes] == ["gpu (http://127.0.0.1:9)", "eu"]
    calls = json.loads(both.metadata["onnxhybrid.remotes"])
    assert [(call["endpoint_name"], call["endpoint"]) for call in calls] == [("gpu", "http://127.0.0.1:9"), ("eu", "")]
    parts = json.loads(both.metadata["onnxhybrid.parts"])["parts"]
    assert [part.get("endpoint_names") for part in parts] == [["gpu"], ["eu"], None]
    assert [part.get("endpoints") for part in parts] == [["http://127.0.0.1:9"], None, None]
    assert not oh.validate(both).findings


def test_metadata_that_names_other_endpoints_than_the_nodes_is_found() -> None:
    both = oh.parallel(remote=named(default="http://127.0.0.1:9"), local=LOCAL)
    for key in ("onnxhybrid.remotes", "onnxhybrid.parts"):
        proto = ModelProto()
        proto.CopyFrom(both.to_proto())
        [entry] = [entry for entry in proto.metadata_props if entry.key == key]
        entry.value = entry.value.replace('"gpu"', '"eu"')
        assert [finding.code for finding in oh.validate(oh.Model.from_proto(proto)).findings] == ["OH315"]


def test_retarget_moves_the_default_of_a_name() -> None:
    both = oh.parallel(remote=named(default="http://127.0.0.1:9"), other=named("eu"), local=LOCAL)
    moved = both.retarget({"http://127.0.0.1:9": "https://gpu.example"})
    assert [remote.shown for remote in moved.remotes] == ["gpu (https://gpu.example)", "eu"]
    assert not oh.validate(moved).findings
    with pytest.raises(oh.ModelError, match=r"OH116.*nowhere"):
        named("eu").retarget({"http://127.0.0.1:9": "https://gpu.example"})


def test_retarget_says_where_names_and_several_urls_are_given(server: RawServer) -> None:
    for given in (oh.Endpoint("gpu"), [server.url, "http://b"]):
        with pytest.raises(oh.ModelError, match=r"OH116.*oh\.Endpoint"):
            adder(server.url).retarget({server.url: given})  # type: ignore[dict-item]
    with pytest.raises(oh.RemoteError, match=r"OH576.*Model\.retarget moves calls"):
        oh.Session(adder(server.url), endpoints={server.url: "http://b"})


def test_a_record_of_a_name_holds_wherever_that_leads(server: RawServer, tmp_path: Path) -> None:
    ask(named(), endpoints={"gpu": server.url}, record=tmp_path / "tape")
    ask(named(), endpoints={"gpu": "https://elsewhere.example"}, replay=tmp_path / "tape")
    with pytest.raises(oh.Error, match="OH532"):
        ask(named("eu"), endpoints={"eu": server.url}, replay=tmp_path / "tape")


def test_the_old_operators_have_no_names() -> None:
    model = oh.remote.openai_chat("m", url=oh.Endpoint("gpu", "https://h/v1"), auth=oh.Input("auth_token"))
    with pytest.raises(oh.ModelError, match=r"OH403.*'gpu'"):
        oh.legacy.export(model)

"""A secret occurs nowhere but in the request's header."""

from __future__ import annotations

import json
import logging
import socket
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

import onnxhybrid as oh
from tests.remotes import X, adder
from tests.servers.raw import answer, raw_server
from tests.strategies import dense

_VISIBLE = string.ascii_letters + string.digits + string.punctuation
TOKENS = st.text(_VISIBLE, min_size=4, max_size=40).map("tok-".__add__)


def _echo(form: str) -> Any:
    """A server that repeats the token that it got."""

    def behave(connection: socket.socket, request: bytes) -> None:
        token = request.split(b"Bearer ", 1)[1].split(b"\r\n")[0].decode()
        forms = {
            "json": (json.dumps({"error": f"bad token {token}"}), "401 Unauthorized", ""),
            "detail": (json.dumps({"detail": f"bad token {token}"}), "403 Forbidden", ""),
            "text": (f"bad token {token}!", "503 Service Unavailable", ""),
            "header": ("", "401 Unauthorized", f"WWW-Authenticate: {token}\r\nContent-Encoding: {token}\r\n"),
            "type": ("{}", "200 OK", f"Content-Encoding: {token}\r\n"),
            "output": (json.dumps({"outputs": [{"name": token}]}), "200 OK", ""),
            "datatype": (json.dumps({"outputs": [{"name": "y", "datatype": token, "shape": [2, 2]}]}), "200 OK", ""),
            "status": ("", f"401 {token}", ""),
        }
        body, status, more = forms[form]
        answer(body.encode(), status=status, more=more)(connection, request)

    return behave


@pytest.mark.parametrize("form", ["json", "detail", "text", "header", "type", "output", "datatype", "status"])
@pytest.mark.parametrize("auth", ["credential", "input"])
@given(token=TOKENS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_token_is_in_no_error_statistic_log_line_or_record(
    form: str, auth: str, token: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers"
    caplog.clear()
    with raw_server(_echo(form)) as server, caplog.at_level(logging.DEBUG):
        given_as = oh.Credential("c") if auth == "credential" else oh.Input("token")
        model = adder(server.url, auth=given_as, retries=1, on_error="raise")
        policy = oh.Policy(budget={"calls": 100}, breaker={})
        session = oh.Session(model, credentials={"c": token}, policy=policy, record=path)
        feeds = {"x": X} if auth == "credential" else {"x": X, "token": np.array([token])}
        with pytest.raises(oh.RemoteError) as caught:
            session.run(None, feeds)
    assert token.encode() in server.requests[0]
    shown = [str(caught.value), repr(caught.value), repr(vars(caught.value)), repr(session.stats()), repr(session)]
    shown += [repr(policy), caplog.text, *(repr(vars(record)) for record in caplog.records)]
    shown += [path.read_text(encoding="utf-8")]
    assert caplog.records
    for text in shown:
        assert token not in text
        assert json.dumps(token)[1:-1] not in text


SECRET = "Bearer " + "abcdefghijklmnopqrstuvwxyz"


def _hidden() -> dict[str, Any]:
    """Places in a model, each with a function that puts the secret there."""

    def node(model: Any) -> Any:
        return model.graph.node[0]

    def constant(model: Any) -> None:
        node(model).attribute.add(name="note", type=4).t.CopyFrom(numpy_helper.from_array(np.array([SECRET], object)))

    def function(model: Any) -> None:
        model.functions.add(name="f", domain="d", doc_string=SECRET)

    return {
        "producer_name": lambda model: setattr(model, "producer_name", SECRET),
        "producer_version": lambda model: setattr(model, "producer_version", SECRET),
        "graph": lambda model: setattr(model.graph, "name", SECRET),
        "doc_string": lambda model: setattr(model, "doc_string", SECRET),
        "node doc_string": lambda model: setattr(node(model), "doc_string", SECRET),
        "node name": lambda model: setattr(node(model), "name", SECRET),
        "tensor doc_string": lambda model: setattr(model.graph.initializer[0], "doc_string", SECRET),
        "input doc_string": lambda model: setattr(model.graph.input[0], "doc_string", SECRET),
        "metadata": lambda model: model.metadata_props.add(key="note", value=SECRET),
        "metadata key": lambda model: model.metadata_props.add(key=SECRET, value="note"),
        "node metadata": lambda model: node(model).metadata_props.add(key="note", value=SECRET),
        "size": lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[0], "dim_param", SECRET),
        "attribute": lambda model: node(model).attribute.add(name="note", type=3, s=SECRET.encode()),
        "tensor in an attribute": constant,
        "function": function,
    }


@pytest.mark.parametrize("place", _hidden())
def test_a_text_that_looks_like_a_token_is_found_wherever_it_stands_and_is_not_repeated(place: str) -> None:
    proto = dense("m", "x", "y", (3, 3)).to_proto()
    _hidden()[place](proto)
    report = oh.validate(oh.Model.from_proto(proto))
    found = [finding for finding in report.errors if finding.code == "OH306"]
    assert found
    assert SECRET not in str(found)


def test_a_token_that_was_given_in_a_wrong_place_is_not_repeated() -> None:
    assert SECRET not in repr(oh.Input("token", default=SECRET))
    for credentials in ({SECRET: "token"}, {"tokenABCDEFGH": 5}):
        with pytest.raises(oh.Error, match="OH530") as caught:
            oh.Session(dense("m", "x", "y", (3, 3)), credentials=credentials)  # type: ignore[arg-type]
        assert not any(name in str(caught.value) for name in credentials)


@pytest.mark.parametrize("source", ["value", "callable", "file", "environment"])
def test_a_call_that_names_a_credential_never_goes_out_without_it(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(" \n", encoding="utf-8")  # as while it is written anew
    with raw_server(answer(b"")) as server:
        host = server.url.removeprefix("http://")
        secrets: dict[str, str | oh.Secret] = {
            "value": "",
            "callable": oh.Secret(str),
            "file": oh.Secret(tmp_path / "token", hosts=[host]),
        }
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_C", "")
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_C_HOSTS", host)
        given_as = {"c": secrets[source]} if source in secrets else None
        session = oh.Session(adder(server.url, auth=oh.Credential("c")), credentials=given_as)
        with pytest.raises(oh.CredentialError, match=r"OH512.*empty"):
            session.run(None, {"x": X})
    assert not server.requests

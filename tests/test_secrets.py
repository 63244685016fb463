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

import onnxhybrid as oh
from tests.remotes import X, adder
from tests.servers.raw import answer, raw_server

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

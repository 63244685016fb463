"""A token that a server sends back is in no text, however it is spelled and whichever way it comes."""

from __future__ import annotations

import base64
import html
import json
import socket
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from tests.remotes import X, adder
from tests.servers.raw import answer, listening, raw_server
from tests.strategies import dense

TOKEN = 's3cret/token+"0123456789<&='


def _shifted(before: str) -> Callable[[str], str]:
    return lambda token: base64.b64encode(f"{before}{token}, and more".encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "percent": lambda token: quote(token, safe=""),
    "percent, every byte": lambda token: "".join(f"%{ord(c):02x}" for c in token),
    "percent, twice": lambda token: quote(quote(token, safe=""), safe=""),
    "entities": html.escape,
    "entities by number": lambda token: "".join(f"&#{ord(c)};" for c in token),
    "entities in hex": lambda token: "".join(f"&#X{ord(c):X};" for c in token),
    "JSON": lambda token: json.dumps(token)[1:-1],
    "JSON in JSON": lambda token: json.dumps(json.dumps(token))[1:-1],
    "JSON, every character": lambda token: "".join(f"\\u{ord(c):04X}" for c in token),
    "a literal of Python": lambda token: "".join(f"\\x{ord(c):02x}" for c in token),
    "base64": _shifted(""),
    "base64, one byte later": _shifted("a"),
    "base64, two bytes later": _shifted("user:"),
    "base64 of URLs": lambda token: base64.urlsafe_b64encode(token.encode()).decode(),
    "base64 in a URL": lambda token: quote(_shifted("ab")(token), safe=""),
    "hex": lambda token: token.encode().hex(),
}


def _core(spelled: str) -> str:
    """The middle of a spelling, of which the ends may belong to what stands beside the token."""
    return spelled[4 : len(spelled) // 2]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", ["401 Unauthorized", "503 Service Unavailable"])
def test_no_spelling_of_a_token_is_in_a_message_a_log_line_or_a_record(
    spelling: str, status: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spelled = SPELLINGS[spelling](TOKEN)
    with raw_server(answer(f"bad key {spelled} !".encode(), status=status)) as server:
        model = adder(server.url, auth=oh.Credential("c"), retries=1)
        session = oh.Session(model, credentials={"c": TOKEN}, record=tmp_path / "answers")
        with pytest.raises(oh.RemoteStatusError, match=r"bad key \S*\*\*\*") as caught:
            session.run(None, {"x": X})
    shown = [str(caught.value), repr(vars(caught.value)), caplog.text, (tmp_path / "answers").read_text("utf-8")]
    assert not any(_core(spelled) in text for text in shown)


@given(
    token=st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=6, max_size=30),
    spelling=st.sampled_from(sorted(SPELLINGS)),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_token_is_found_in_any_spelling(token: str, spelling: str) -> None:
    with raw_server(answer(f"<<{SPELLINGS[spelling](token)}>>".encode(), status="400 Bad Request")) as server:
        session = oh.Session(adder(server.url, auth=oh.Credential("c")), credentials={"c": token})
        with pytest.raises(oh.RemoteStatusError, match=r"\*\*\*"):
            session.run(None, {"x": X})


def test_a_token_of_one_letter_leaves_a_message_readable() -> None:
    with raw_server(answer(b"Bearer a: a bad attempt at a date", status="401 Unauthorized")) as server:
        session = oh.Session(adder(server.url, auth=oh.Credential("c")), credentials={"c": "a"})
        with pytest.raises(
            oh.RemoteStatusError, match=r"Unauthorized: Bearer \*\*\*: \*\*\* bad attempt at \*\*\* date"
        ):
            session.run(None, {"x": X})


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, 0]) + bytes(4) + payload


def _goes_away(connection: socket.socket) -> None:
    """HTTP/2 that ends with the token as debug data."""
    data = b""
    while TOKEN.encode() not in data and (piece := connection.recv(65536)):
        if not data:
            connection.sendall(_frame(4, b""))
        data += piece
        if len(data) > 100:
            break
    connection.sendall(_frame(7, struct.pack(">II", 0, 2) + f"bad key: Bearer {TOKEN}".encode()))
    connection.shutdown(socket.SHUT_WR)


def test_a_token_in_the_debug_data_of_a_repeated_attempt_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with listening(_goes_away) as address:
        model = adder(f"grpc://{address}", auth=oh.Credential("c"), retries=2)
        with pytest.raises(oh.RemoteError) as caught:
            oh.Session(model, credentials={"c": TOKEN}).run(None, {"x": X})
    assert len(caplog.records) == caught.value.attempts == 3
    assert "Bearer ***" in caplog.text
    assert "s3cret" not in caplog.text + str(caught.value)


def test_what_befalls_one_call_tells_nothing_of_anothers_token() -> None:
    """Calls share connections, and a server may mix them up."""
    with raw_server(answer(TOKEN.encode(), status="400 Bad Request")) as server:
        with_token = adder(server.url, auth=oh.Credential("c"), name="with")
        both = oh.parallel(a=with_token, b=adder(server.url, name="without", on_error="flag"))
        session = oh.Session(both, credentials={"c": TOKEN})
        for _ in range(2):
            with pytest.raises(oh.RemoteStatusError) as caught:
                session.run(None, {"x": X})
    assert "s3cret" not in str(caught.value)


def test_a_token_that_is_given_as_an_input_is_masked_after_it_changed() -> None:
    with raw_server(answer(f"yesterday {TOKEN}".encode(), status="400 Bad Request")) as server:
        session = oh.Session(adder(server.url, auth=oh.Input("token")))
        for token in (TOKEN, "another-token"):
            with pytest.raises(oh.RemoteStatusError, match=r"yesterday \*\*\*"):
                session.run(None, {"x": X, "token": np.array([token])})


MODEL: oh.Model = dense("m", "x", "y", (3, 3))

MISTAKES: dict[str, Callable[[], Any]] = {
    "hosts": lambda: oh.Session(MODEL, credentials={"c": oh.Secret(_token(), hosts=["no host"])}),
    "a wide host": lambda: oh.Session(MODEL, credentials={"c": oh.Secret(_token(), hosts=["*.example"])}),
    "hosts of a secret": lambda: oh.Secret(_token(), hosts=[5]),  # type: ignore[list-item]
    "another credential": lambda: oh.Session(MODEL, credentials={"a": _token(), "b": 5}),  # type: ignore[dict-item]
    "a name": lambda: oh.Session(MODEL, credentials={"a": _token(), "a b": "x"}),
    "the token itself": lambda: oh.Session(MODEL, credentials={"a": _token() + "\n"}),
    "the policy": lambda: oh.Session(MODEL, credentials={"a": _token()}, policy=5),  # type: ignore[arg-type]
    "an entry of the policy": lambda: oh.Session(MODEL, credentials={"a": _token()}, policy=oh.Policy(deny=["a/b"])),
    "options": lambda: oh.register(5, credentials={"a": _token()}),
    "the model": lambda: oh.Session("missing.onnx", credentials={"a": _token()}),
}


def _token() -> str:
    return TOKEN


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_report_of_an_error_that_shows_variables_shows_no_token(mistake: str) -> None:
    with pytest.raises(oh.Error) as caught:
        MISTAKES[mistake]()
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "s3cret" not in "".join(report.format())

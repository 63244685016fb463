"""A session's settings as one text, the entry `onnxhybrid.session`, which any binding of ONNX Runtime can give it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid import library
from onnxhybrid.runtime import budget
from onnxhybrid.runtime.ceilings import Ceilings
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import RawServer, answer, raw_server

ENTRY = "onnxhybrid.session"
ANSWER = answer(reply())
BY_PYTHON = {"egress", "send_external_data"}
"""What is held against a file before it opens, which the library does not see."""


def options(given: object) -> onnxruntime.SessionOptions:
    """Options with these settings, as a binding that knows nothing of Python has them."""
    made = onnxruntime.SessionOptions()
    made.log_severity_level = 3
    made.add_session_config_entry(ENTRY, given if isinstance(given, str) else json.dumps(given))
    made.register_custom_ops_library(oh.library_path())
    return made


def opened(model: oh.Model, given: object) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.to_proto().SerializeToString(), options(given), providers=["CPUExecutionProvider"]
    )


def tokens(server: RawServer) -> list[str]:
    """The token of each request; empty where there is none."""
    heads = [request.split(b"\r\n\r\n")[0].decode() for request in server.requests]
    return [head.partition("Bearer ")[2].split("\r\n")[0] for head in heads]


def refused(given: object) -> str:
    with pytest.raises(Exception, match=r"\[OH\d{3}\]") as caught:
        options(given)
    return str(caught.value)


@pytest.mark.parametrize("way", ["text", "value", "hosts", "env", "file"])
def test_a_credential_is_a_text_or_says_where_it_is(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    ways: dict[str, Any] = {
        "text": TOKEN,
        "value": {"value": TOKEN},
        "hosts": {"value": TOKEN, "hosts": ["127.0.0.1"]},
        "env": {"env": "MY_TOKEN", "hosts": "127.0.0.1"},
        "file": {"file": str(tmp_path / "token"), "hosts": ["127.0.0.1"]},
    }
    with raw_server(ANSWER) as server:
        session = opened(adder(server.url, auth=oh.Credential("cloud")), {"credentials": {"cloud": ways[way]}})
        session.run(None, {"x": X})
    assert tokens(server) == [TOKEN]


def test_a_token_that_is_renewed_in_its_file_or_the_environment_is_sent_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    sources = [{"file": str(path), "hosts": ["127.0.0.1"]}, {"env": "MY_TOKEN", "hosts": ["127.0.0.1"]}]
    for source in sources:
        with raw_server(ANSWER) as server:
            session = opened(adder(server.url, auth=oh.Credential("c")), {"credentials": {"c": source}})
            for token in ("first", "second"):
                path.write_text(token)
                monkeypatch.setenv("MY_TOKEN", token)
                session.run(None, {"x": X})
        assert tokens(server) == ["first", "second"]


def test_a_credential_that_is_not_where_the_settings_say_is_a_coded_error_without_a_request(tmp_path: Path) -> None:
    for source in ({"env": "NO_SUCH_VARIABLE"}, {"file": str(tmp_path / "absent")}):
        with raw_server(ANSWER) as server:
            given = {"credentials": {"c": {**source, "hosts": ["127.0.0.1"]}}}
            session = opened(adder(server.url, auth=oh.Credential("c")), given)
            with pytest.raises(Exception, match=r"\[OH513\].*(NO_SUCH_VARIABLE|its file cannot be used)"):
                session.run(None, {"x": X})
        assert server.requests == []


def test_a_credential_goes_to_its_hosts_alone() -> None:
    with raw_server(ANSWER) as server:
        given = {"credentials": {"c": {"value": TOKEN, "hosts": ["api.example.com"]}}}
        session = opened(adder(server.url, auth=oh.Credential("c")), given)
        with pytest.raises(Exception, match=r"\[OH511\]") as caught:
            session.run(None, {"x": X})
    assert server.requests == []
    assert TOKEN not in str(caught.value)


def test_an_endpoint_by_name_is_one_url_or_several() -> None:
    with raw_server(ANSWER) as server:
        for urls in (server.url, [server.url], ["http://127.0.0.1:1", server.url]):
            session = opened(adder(oh.Endpoint("gpu"), retries=1), {"endpoints": {"gpu": urls}})
            assert session.run(None, {"x": X})[0].shape == (2, 2)
    assert len(server.requests) == 3


def test_a_budget_is_of_each_session_also_where_all_have_the_same_text() -> None:
    given = {"policy": {"budget": {"calls": 1}}}
    with raw_server(ANSWER) as server:
        sessions = [opened(adder(server.url), given) for _ in range(3)]
        for session in sessions:
            session.run(None, {"x": X})
        for session in sessions:
            with pytest.raises(Exception, match=r"\[OH521\]"):
                session.run(None, {"x": X})
        del session, sessions
        opened(adder(server.url), given).run(None, {"x": X})
    assert len(server.requests) == 4


def test_options_that_made_a_session_make_another_while_sessions_of_the_same_text_come_and_go() -> None:
    given = {"credentials": {"c": TOKEN}}
    with raw_server(ANSWER) as server:
        model = adder(server.url, auth=oh.Credential("c")).to_proto().SerializeToString()
        old = options(given)
        for _ in range(3):
            onnxruntime.InferenceSession(model, options(given)).run(None, {"x": X})
            onnxruntime.InferenceSession(model, old).run(None, {"x": X})
    assert tokens(server) == [TOKEN] * 6


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"deny": ["127.0.0.0/8"]}, "OH520"),
        ({"allow": ["api.example.com"]}, "OH520"),
        ({"strict": True, "allow": ["localhost"]}, "OH520"),
        ({"strict": {"max_request_bytes": 3}, "allow": ["127.0.0.1"]}, "OH524"),
        ({"max_response_bytes": 3}, "OH507"),
        ({"budget": {"cost": 1, "price": {"another": 1}}}, "OH522"),
        ({"budget": {"bytes": 1}}, "OH521"),
        ({"budget": {"ledger": "/no/such/folder/ledger"}}, "OH581"),
        ({"ca_file": "/no/such/file"}, "OH530"),
    ],
)
def test_a_policy_holds_as_in_python(policy: dict[str, Any], code: str) -> None:
    with raw_server(ANSWER) as server, pytest.raises(Exception, match=rf"\[{code}\]"):
        opened(adder(server.url), {"policy": policy}).run(None, {"x": X})


def test_a_strict_policy_takes_no_credential_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_C", TOKEN)
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_C_HOSTS", "127.0.0.1")
    with raw_server(ANSWER) as server:
        model = adder(server.url, auth=oh.Credential("c"))
        opened(model, {"policy": {}}).run(None, {"x": X})
        with pytest.raises(Exception, match=r"\[OH510\]"):
            opened(model, {"policy": {"strict": True, "allow": ["127.0.0.1"]}}).run(None, {"x": X})
    assert tokens(server) == [TOKEN]


def test_settings_that_are_longer_than_an_entry_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    many = {f"other{number}": TOKEN for number in range(500)}
    path.write_text("\ufeff" + json.dumps({"credentials": {**many, "c": TOKEN}}), encoding="utf-8")
    assert path.stat().st_size > 8192
    with raw_server(ANSWER) as server:
        opened(adder(server.url, auth=oh.Credential("c")), f"@{path}").run(None, {"x": X})
    assert tokens(server) == [TOKEN]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_that_nobody_writes_to_holds_up_neither_a_session_nor_a_call(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert re.search(r"\[OH594\] .*it is a pipe", refused(f"@{pipe}"))
    given = {"credentials": {"c": {"file": str(pipe), "hosts": ["127.0.0.1"]}}}
    session = opened(adder("http://127.0.0.1:1", auth=oh.Credential("c")), given)
    with pytest.raises(Exception, match=r"\[OH513\].*it is a pipe"):
        session.run(None, {"x": X})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", r"\[OH590\] .*line 1.*write an object"),
        ("{'policy': {}}", r"\[OH590\] .*line 1 column 2"),
        ('{"policy": {}, "policy": {}}', r"\[OH590\] .*twice"),
        ({"creds": {}}, r"\[OH591\] .*\"creds\".*\"credentials\""),
        ({"budget": {}}, r"\[OH591\] .*\"budget\"; write it in \"policy\""),
        ({"policy": {"maxConcurrency": 4}}, r"\[OH591\] policy .*did you mean \"max_concurrency\""),
        ({"policy": {"max_concurrency": "4"}}, r"\[OH592\] policy.max_concurrency is a whole number from 1"),
        ({"policy": {"allow": "h"}}, r"\[OH592\] policy.allow is a list"),
        ({"credentials": {"c": {"env": "X"}}}, r"\[OH592\] credentials.c .*\"hosts\""),
        ({"policy": {"strict": True}}, r"\[OH592\] .*policy.allow"),
        ({"policy": {"egress": "{}"}}, r"\[OH593\] policy.egress"),
        ({"record": "answers"}, r"\[OH593\] record"),
        ("@/no/such/file", r"\[OH594\] .*/no/such/file"),
        ({"policy": {"deny": ["h/x"]}}, r"\[OH530\] .*h/x"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_the_name_of_their_key(given: object, said: str) -> None:
    assert re.search(said, refused(given))


@pytest.mark.parametrize(
    "given",
    [
        f'{{"credentials": {{"c": "{TOKEN}"',
        {"credentials": {"c": [TOKEN]}},
        {"credentials": {"c": {"value": TOKEN, "host": ["h"]}}},
        {"credentials": {TOKEN + "/": "c"}},
        {"credentials": {"c": TOKEN + "\n"}},
        {"credentials": {"c": TOKEN}, "policy": {"x": 1}},
    ],
)
def test_no_refusal_shows_a_token(given: object) -> None:
    assert TOKEN not in refused(given)


def test_a_token_that_stands_elsewhere_is_in_no_log_of_onnx_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"credentials": {"c": TOKEN}}))
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    elsewhere = {"credentials": {"c": {"env": "MY_TOKEN", "hosts": ["127.0.0.1"]}}}
    for entry in (f"@{path}", json.dumps(elsewhere)):
        with raw_server(ANSWER) as server:
            made = onnxruntime.SessionOptions()
            made.log_severity_level = 0
            made.add_session_config_entry(ENTRY, entry)
            made.register_custom_ops_library(oh.library_path())
            model = adder(server.url, auth=oh.Credential("c")).to_proto().SerializeToString()
            onnxruntime.InferenceSession(model, made).run(None, {"x": X})
        assert tokens(server) == [TOKEN]
    said = capfd.readouterr()
    assert "Session Options" in said.err or "session" in said.err.lower()
    assert TOKEN not in said.err + said.out


def test_a_session_is_given_its_settings_once() -> None:
    both = onnxruntime.SessionOptions()
    both.add_session_config_entry(ENTRY, "{}")
    with pytest.raises(oh.Error, match=r"onnxhybrid\.session") as caught:
        oh.register(both)
    assert caught.value.code == "OH593"
    with raw_server(ANSWER) as server, pytest.raises(oh.Error) as caught:
        oh.Session(adder(server.url), sess_options=both)
    assert caught.value.code == "OH593"


# -- the same words in every language ----------------------------------------------------------------------------------


def test_a_policy_has_the_words_of_oh_policy() -> None:
    words = library.settings()["policy"]
    fields = {field.name for field in dataclasses.fields(oh.Policy)}
    assert set(words) == (fields - {"ceilings"}) | {"strict"}
    assert {word for word, form in words.items() if "elsewhere" in form} == BY_PYTHON
    flag, strict = words["strict"]["either"]
    assert set(strict) == {field.name for field in dataclasses.fields(Ceilings)}
    assert set(words["budget"]) == budget._NAMES
    assert set(words["budget"]["price"]["*"]["either"][1]) == budget._PARTS
    assert flag == "true or false"


def test_every_word_of_the_settings_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "running.md").read_text(encoding="utf-8")
    section = page.partition("## In other languages")[2].partition("\n## ")[0]

    def words(form: Any) -> set[str]:
        if isinstance(form, dict):
            return set(form).union(*map(words, form.values()))
        return set().union(*map(words, form)) if isinstance(form, list) else set()

    marks = {"*", "either", "elsewhere"}
    prices = budget._PARTS  # which the page tells where it speaks of prices
    assert {word for word in words(library.settings()) - marks - prices if word not in section} == set()


def test_what_a_strict_policy_leaves_out_is_what_it_is_in_python() -> None:
    with raw_server(ANSWER) as server:
        for policy in ({"strict": True, "allow": ["127.0.0.1"]}, {"strict": {}, "allow": ["127.0.0.1"]}):
            model = adder(server.url, timeout=3600.0)
            assert opened(model, {"policy": policy}).run(None, {"x": X})[0].shape == (2, 2)
    assert oh.Policy.strict([]).config()["strict"] == {
        "max_timeout": 60.0,
        "max_retries": 2,
        "max_request_bytes": 64 << 20,
    }


COUNTED = ["max_response_bytes", "max_concurrency", "breaker", "budget"]
COUNTS = st.integers(1, 1 << 20)
MONEY = st.floats(0, 1e9)
PRICES = st.dictionaries(
    st.text(max_size=4), MONEY | st.dictionaries(st.sampled_from(sorted(budget._PARTS)), MONEY, min_size=1), max_size=2
)
BUDGETS = st.fixed_dictionaries({}, optional={"calls": COUNTS, "bytes": COUNTS, "cost": MONEY, "price": PRICES})
HOSTS = st.lists(st.sampled_from(["h", "h:1", "https://h:8443", "*.example.com", "10.0.0.0/8"]), max_size=3)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "allow": HOSTS,
        "deny": HOSTS,
        "max_response_bytes": COUNTS,
        "max_concurrency": st.none() | COUNTS,
        "budget": st.none() | BUDGETS,
        "breaker": st.none() | st.fixed_dictionaries({}, optional={"failures": COUNTS, "pause": st.floats(0, 86_400)}),
    },
)


@given(policy=POLICIES)
@settings(max_examples=60, deadline=None)
def test_every_policy_that_python_takes_is_taken_as_text_too_as_it_was_written(policy: dict[str, Any]) -> None:
    oh.register(onnxruntime.SessionOptions(), policy=oh.Policy(**policy))
    options({"policy": policy})


@given(policy=POLICIES, wrong=st.sampled_from(["x", -1, 1.5, {"x": 1}, True]), word=st.sampled_from(COUNTED))
@settings(max_examples=60, deadline=None)
def test_what_python_refuses_is_refused_as_text_too(policy: dict[str, Any], wrong: Any, word: str) -> None:
    changed = {**policy, word: wrong}
    with pytest.raises(oh.Error):
        oh.Policy(**changed)
    assert "[OH59" in refused({"policy": changed})

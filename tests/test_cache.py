"""`cache=`: nothing is asked twice, and no answer is another than the server's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.model.caching import cache_of
from onnxhybrid.model.remote_spec import attributes_of
from tests.remotes import TOKEN, adder
from tests.servers.raw import RawServer, answer, raw_server
from tests.strategies import of_graph
from tests.test_batch import KINDS, feeds_of, same, sliced

HIDDEN = "another-t0ken"


def body_of(request: bytes) -> Any:
    return json.loads(request.partition(b"\r\n\r\n")[2])


def texts_of(server: RawServer) -> list[list[str]]:
    """The texts of each request, in the order in which they came."""
    return [body_of(request)["input"] for request in server.requests]


def embed(connection: socket.socket, request: bytes) -> None:
    """A vector of each text's length and first character; a text "bad" is refused."""
    texts = body_of(request)["input"]
    if "bad" in texts:
        return answer(b'{"error": {"message": "a bad text"}}', status="422 Unprocessable Content")(connection, request)
    data = [
        {"index": place, "embedding": [float(len(text)), float(ord(text[0])) if text else -1.0]}
        for place, text in enumerate(texts)
    ]
    return answer(json.dumps({"data": data}).encode())(connection, request)


def vectors(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), float(ord(text[0])) if text else -1.0] for text in texts]


def embeddings(server: RawServer, **options: Any) -> oh.Model:
    common = {"auth": None, "retries": 0, "encoding_format": "float", "cache": oh.Cache(), **options}
    return oh.remote.openai_embeddings("m", url=server.url + "/v1", **common)


def asked(session: Any, texts: list[str], **feeds: Any) -> list[list[float]]:
    result = session.run(None, {"text": np.array(texts, object), **feeds})[0]
    return [list(map(float, row)) for row in result]


def hits(session: oh.Session) -> int:
    (stats,) = session.stats().values()
    return stats.cache_hits


TEXTS = st.lists(st.sampled_from(["", "a", "b", "ab", "é", "e\u0301", "a ", " a", "A"]), max_size=12)


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(TEXTS, min_size=1, max_size=6), batch=st.sampled_from([None, 1, 3]), overlapped=st.booleans())
def test_each_distinct_text_is_asked_for_once_and_none_gets_another_ones_answer(
    batches: list[list[str]], batch: int | None, overlapped: bool
) -> None:
    with raw_server(embed) as server:
        model = embeddings(server, batch=batch)
        session = oh.Session(oh.overlap(model) if overlapped else model)
        known: set[str] = set()
        rows = 0
        for texts in batches:
            assert asked(session, texts) == vectors(texts)
            known.update(texts)
            rows += len(texts)
        counts = Counter(text for request in texts_of(server) for text in request)
        assert counts == dict.fromkeys(known, 1)
        assert all(len(request) <= (batch or 12) for request in texts_of(server))
        assert hits(session) == rows - len(known)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve({f"same_{dtype}": same(dtype) for dtype in KINDS}) as server:
        yield server.url


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(sorted(KINDS)),
    asked_for=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=5),
    rows=st.booleans(),
    batch=st.sampled_from([None, 2]),
)
def test_a_cache_gives_what_a_server_gives_whatever_the_dtype(
    url: str, dtype: str, asked_for: list[tuple[int, int]], rows: bool, batch: int | None
) -> None:
    ordinary, kept = (
        oh.Session(sliced(url, dtype, **more)) for more in ({}, {"cache": oh.Cache(rows=rows), "batch": batch})
    )
    for count, seed in asked_for:
        feeds = feeds_of(dtype, count, seed)
        for one, other in zip(ordinary.run(None, feeds), kept.run(None, feeds), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_texts_of_many_threads_are_asked_for_once() -> None:
    together = threading.Barrier(8, timeout=20)
    with raw_server(embed) as server:
        session = oh.Session(embeddings(server))

        def use(thread: int) -> None:
            together.wait()
            for step in range(20):
                texts = [str((thread + step * row) % 30) for row in range(10)]
                assert asked(session, texts) == vectors(texts)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, range(8)))
        counts = Counter(text for request in texts_of(server) for text in request)
        assert set(counts.values()) == {1}
        assert hits(session) == 8 * 20 * 10 - len(counts)


def test_a_plain_session_keeps_answers_and_shares_none_with_another() -> None:
    def plain(model: oh.Model) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.register_custom_ops_library(oh.library_path())
        return onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)

    with raw_server(embed) as server:
        sessions = [plain(embeddings(server)) for _ in range(2)]
        for _ in range(3):
            for session in sessions:
                assert asked(session, ["a", "b", "a"]) == vectors(["a", "b", "a"])
        assert texts_of(server) == [["a", "b"], ["a", "b"]]


def test_two_sessions_and_two_nodes_of_one_session_ask_each_for_themselves() -> None:
    with raw_server(embed) as server:
        both = oh.parallel(one=embeddings(server), other=embeddings(server))
        for session in (oh.Session(both), oh.Session(embeddings(server))):
            for _ in range(2):
                session.run(None, {"text": np.array(["a"])})
        assert len(server.requests) == 3


def test_another_credential_is_another_question_and_the_first_ones_answer_is_still_known() -> None:
    held = [TOKEN]
    with raw_server(embed) as server:
        host = server.url.partition("//")[2]
        session = oh.Session(
            embeddings(server, auth=oh.Credential("key")),
            credentials={"key": oh.Secret(lambda: held[0], hosts=[host])},
        )
        for token in (TOKEN, TOKEN, HIDDEN, HIDDEN, TOKEN):
            held[0] = token
            assert asked(session, ["a"]) == vectors(["a"])
        tokens = [TOKEN.encode() in request for request in server.requests]
        assert (tokens, hits(session)) == ([True, False], 3)


def test_a_provider_that_gives_no_credential_any_more_gives_no_answer_either() -> None:
    with raw_server(embed) as server:
        held = [TOKEN]
        session = oh.Session(
            embeddings(server, auth=oh.Credential("key")),
            credentials={"key": oh.Secret(held.pop, hosts=[server.url.partition("//")[2]])},
        )
        asked(session, ["a"])
        with pytest.raises(oh.CredentialError):
            asked(session, ["a"])
        assert len(server.requests) == 1


@pytest.mark.parametrize("kept_in", ["constant", "given", "credential"])
def test_another_header_is_another_question(kept_in: str) -> None:
    held = ["one"]
    header = {"constant": "one", "given": oh.Input("tenant"), "credential": oh.Credential("tenant")}[kept_in]
    with raw_server(embed) as server:
        credentials = {"tenant": oh.Secret(lambda: held[0], hosts=[server.url.partition("//")[2]])}
        session = oh.Session(
            embeddings(server, headers={"x-tenant": header}),
            credentials=credentials if kept_in == "credential" else None,
        )
        for value in ("one", "two", "one"):
            held[0] = value
            asked(session, ["a"], **({"tenant": np.array([value])} if kept_in == "given" else {}))
        assert len(server.requests) == (1 if kept_in == "constant" else 2)


def test_an_option_that_is_given_is_part_of_the_question() -> None:
    with raw_server(embed) as server:
        model = oh.remote.openai_embeddings(oh.Input("model"), url=server.url + "/v1", auth=None, cache=oh.Cache())
        session = oh.Session(model)
        for name in ("one", "two", "one"):
            session.run(None, {"text": np.array(["a"]), "model": np.array([name])})
        assert [body_of(request)["model"] for request in server.requests] == ["one", "two"]


def chats(connection: socket.socket, request: bytes) -> None:
    (message,) = body_of(request)["messages"]
    said = {"choices": [{"message": {"role": "assistant", "content": message["content"].upper()}}]}
    answer(json.dumps(said).encode())(connection, request)


def test_a_chat_is_asked_for_each_text_once() -> None:
    with raw_server(chats) as server:
        session = oh.Session(oh.remote.openai_chat("m", url=server.url + "/v1", auth=None, cache=oh.Cache()))
        for texts in (["b", "a", "b"], ["a", "c", "b"]):
            (said,) = session.run(None, {"prompt": np.array(texts)})
            assert said.tolist() == [text.upper() for text in texts]
        assert sorted(body_of(request)["messages"][0]["content"] for request in server.requests) == ["a", "b", "c"]


@pytest.mark.parametrize("on_error", ["raise", "flag"])
def test_no_failure_is_kept(on_error: str) -> None:
    with raw_server(embed) as server:
        session = oh.Session(embeddings(server, on_error=on_error))
        asked(session, ["a"])
        for _ in range(2):
            if on_error == "raise":
                with pytest.raises(oh.RemoteStatusError, match=r"row 1: .*a bad text"):
                    asked(session, ["a", "bad"])
            else:
                _, ok, status, error = session.run(None, {"text": np.array(["a", "bad", "a"])})
                assert (bool(ok), int(status)) == (False, 422)
                assert "a bad text" in str(error)
        assert texts_of(server) == [["a"], ["bad"], ["bad"]]
        if on_error == "flag":
            _, ok, status, error = session.run(None, {"text": np.array(["a", "a"])})
            assert (bool(ok), int(status), str(error)) == (True, 200, "")


def test_what_is_known_spends_nothing_of_the_budget() -> None:
    with raw_server(embed) as server:
        session = oh.Session(embeddings(server), policy=oh.Policy(budget={"calls": 1}))
        for _ in range(3):
            asked(session, ["a", "b"])
        with pytest.raises(oh.PolicyDenied, match="OH521"):
            asked(session, ["a", "c"])


def test_an_answer_that_is_too_old_is_asked_for_again() -> None:
    with raw_server(embed) as server:
        session = oh.Session(embeddings(server, cache=oh.Cache(ttl=0.001)))
        for _ in range(10_000):
            assert asked(session, ["a"]) == vectors(["a"])
            if len(server.requests) == 2:
                return
        pytest.fail("ten thousand calls within a millisecond")


def test_a_small_cache_keeps_what_was_used_last() -> None:
    with raw_server(embed) as server:
        session = oh.Session(embeddings(server, cache=oh.Cache(max_bytes=3000)))
        for number in range(50):
            asked(session, ["kept", str(number)])
        asked(session, ["kept", "49", "0"])
        counts = Counter(text for request in texts_of(server) for text in request)
        assert (counts["kept"], counts["49"], counts["0"]) == (1, 1, 2)


def test_a_record_has_each_call_be_it_answered_by_the_cache_or_not(tmp_path: Path) -> None:
    with raw_server(embed) as server:
        model = embeddings(server)
        session = oh.Session(model, record=tmp_path / "r.jsonl")
        for texts in (["a", "b"], ["b"], ["a", "b"]):
            asked(session, texts)
        assert len(server.requests) == 1
    replayed = oh.Session(model, replay=tmp_path / "r.jsonl")
    for texts in (["a", "b"], ["b"]):
        assert asked(replayed, texts) == vectors(texts)
    assert hits(replayed) == 0


def test_a_whole_call_is_the_question_where_rows_depend_on_one_another() -> None:
    def ranked(connection: socket.socket, request: bytes) -> None:
        count = len(body_of(request)["input"])
        data = [{"index": place, "embedding": [float(count)]} for place in range(count)]
        answer(json.dumps({"data": data}).encode())(connection, request)

    with raw_server(ranked) as server:
        session = oh.Session(embeddings(server, cache=oh.Cache(rows=False)))
        for texts in (["a", "b"], ["a"], ["a", "b"], ["b", "a"]):
            assert asked(session, texts) == [[float(len(texts))]] * len(texts)
        assert (len(server.requests), hits(session)) == (3, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_knows_the_answers_and_waits_for_no_thread_of_its_parent() -> None:
    program = """
        import os, sys, threading
        import numpy as np
        import onnxhybrid as oh
        from tests.test_cache import asked, embeddings, vectors

        class Server:
            url = sys.argv[1]

        session = oh.Session(embeddings(Server, timeout=60.0))
        asked(session, ["known"])
        waiting = threading.Thread(target=asked, args=(session, ["slow"]))
        waiting.start()
        input()  # the server has its request
        child = os.fork()
        if child == 0:
            try:
                assert asked(session, ["known"]) == vectors(["known"])
                assert asked(session, ["slow", "known"]) == vectors(["slow", "known"])
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        print("done", flush=True)
        waiting.join()
    """
    slow, go = threading.Event(), threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if body_of(request)["input"] == ["slow"] and not slow.is_set():
            slow.set()
            go.wait(60)
        embed(connection, request)

    root = Path(__file__).parent.parent
    with raw_server(behave) as server:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program), server.url],
            cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert slow.wait(60)
        process.stdin.write("\n")
        process.stdin.flush()
        said = process.stdout.readline()
        go.set()
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "done\n"), errors
        assert Counter(text for request in texts_of(server) for text in request) == {"known": 1, "slow": 2}


def test_a_file_says_what_it_keeps() -> None:
    model = adder("http://127.0.0.1:9", cache=oh.Cache(max_bytes=1000, ttl=1.5, rows=False))
    node = model.to_proto().graph.node[0]
    assert json.loads(attributes_of(node)["cache"]) == {"max_bytes": 1000, "ttl_ms": 1500, "rows": False}
    assert model.remotes[0].cache == (("max_bytes", 1000), ("ttl", 1.5), ("rows", False))
    kept = oh.parallel(one=model, other=adder("http://127.0.0.1:9"))
    told = [call.get("cache") for call in json.loads(kept.metadata["onnxhybrid.remotes"])]
    assert told == [{"max_bytes": 1000, "ttl": 1.5, "rows": False}, None]
    assert "cache" not in attributes_of(adder("http://127.0.0.1:9").to_proto().graph.node[0])


@pytest.mark.parametrize(
    "given",
    [
        {"max_bytes": 0}, {"max_bytes": -1}, {"max_bytes": 1.5}, {"max_bytes": True}, {"max_bytes": "1"},
        {"max_bytes": 2**63}, {"ttl": 0}, {"ttl": -1.0}, {"ttl": float("nan")}, {"ttl": float("inf")},
        {"ttl": "5"}, {"ttl": True}, {"ttl": 32_000_000}, {"rows": 1}, {"rows": None},
    ],
)  # fmt: skip
def test_a_cache_that_cannot_be_is_refused_at_the_line_that_made_it(given: dict[str, Any]) -> None:
    with pytest.raises(oh.ModelError, match=rf"OH304.*{next(iter(given))}"):
        oh.Cache(**given)


@pytest.mark.parametrize("cache", [True, {}, {"max_bytes": 1}, "64MB", oh.Cache])
def test_what_is_no_cache_is_refused(cache: object) -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*cache"):
        adder("http://127.0.0.1:9", cache=cache)


MALFORMED = [
    "true", "[]", "{", "null", '[["max_bytes", 5]]', "[5, 60000, true]", '{"bytes": 5}',
    '{"max_bytes": 0}', '{"max_bytes": -1}',
    '{"max_bytes": 1.5}', '{"max_bytes": 5.0}', '{"max_bytes": true}', '{"max_bytes": null}',
    '{"max_bytes": "5"}', '{"max_bytes": {}}',
    '{"max_bytes": 18446744073709551616}', '{"max_bytes": 5, "max_bytes": 5}', '{"ttl_ms": 0}', '{"ttl_ms": 1.5}',
    '{"ttl_ms": NaN}', '{"ttl_ms": 31536000001}', '{"rows": 1}', '{"rows": null}', '{"rows": "true"}', "{" * 9, " ",
]  # fmt: skip
WELL_FORMED = [
    "{}",
    "",
    ' {"rows" : false} ',
    '{"ttl_ms": null}',
    '{"ttl_ms": 1}',
    '{"max_bytes": 18446744073709551615}',
]


def with_cache(value: Any) -> oh.Model:
    proto = adder("http://127.0.0.1:9").to_proto()
    proto.graph.node[0].attribute.append(helper.make_attribute("cache", value))
    return oh.Model.from_proto(proto)


@pytest.mark.parametrize("value", [*MALFORMED, 5, 0.5])
def test_a_file_whose_cache_is_malformed_is_refused_by_validation_and_by_the_library(value: Any) -> None:
    model = with_cache(value)
    assert [finding.code for finding in oh.validate(model).errors] == ["OH301"]
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    with pytest.raises(Exception, match=r"OH301.*cache"):
        onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)


@pytest.mark.parametrize("value", WELL_FORMED)
def test_a_file_whose_cache_can_be_read_is_taken_by_validation_and_by_the_library(value: str) -> None:
    model = with_cache(value)
    assert not oh.validate(model).errors
    oh.Session(model)
    assert cache_of(value) == () or dict(cache_of(value)).keys() >= {"max_bytes", "rows"}


def test_rows_of_which_some_go_along_under_another_name_are_asked_for_together() -> None:
    """The same x with another w is another question, and no x goes without its w."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "w", "y")]
    graph = helper.make_graph([helper.make_node("Sub", ["x", "w"], ["y"])], "m", tensors[:2], tensors[2:])
    x, w, y = (oh.TensorSpec(name, "float32", (size, 2)) for name, size in {"x": "n", "w": "m", "y": "n"}.items())
    with serve({"m": of_graph(graph)}) as server:
        session = oh.Session(oh.remote.triton(server.url, "m", inputs=[x, w], outputs=[y], cache=oh.Cache()))
        feeds = {"x": np.ones((3, 2), np.float32), "w": np.arange(6, dtype=np.float32).reshape(3, 2)}
        for _ in range(2):
            (given,) = session.run(None, feeds)
            np.testing.assert_array_equal(given, feeds["x"] - feeds["w"])
            feeds["x"][0] = 5
        assert hits(session) == 0
        session.run(None, feeds)
        assert hits(session) == 1

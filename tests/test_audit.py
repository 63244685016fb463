"""`cascade(audit=)` and `Session.audit()`: the answer is local's, and what the remote would have said is counted."""

from __future__ import annotations

import concurrent.futures
import gc
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.model import audits
from onnxhybrid.model.dtypes import elem_type
from onnxhybrid.model.graphs import nodes_of
from tests.audits import (
    ALL,
    JUDGE,
    NODE,
    NONE,
    SOON,
    audited,
    differ,
    differing,
    eventually,
    found,
    passing,
    received,
    remote,
    rows_at,
)
from tests.remotes import TOKEN, reply
from tests.servers.raw import answer, raw_server, silence
from tests.strategies import Array, dense, of_graph, rows
from tests.test_async import needs_fork, require_peaceful_end, script
from tests.test_begin import Gate

X = rows(6, 3)
OTHERWISE = int((X[:, 0] < 0).sum())
"""How many rows of X the server answers otherwise."""


def same(one: list[Any], other: list[Any]) -> None:
    for ours, theirs in zip(one, other, strict=True):
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


@pytest.mark.parametrize("threshold", [-1e9, 0.5, 1e9])
@pytest.mark.parametrize("speculate", [False, True])
@pytest.mark.parametrize("report", [False, True])
@pytest.mark.parametrize("by_row", [False, True])
def test_what_comes_out_is_what_comes_out_without_an_audit(
    by_row: bool, report: bool, speculate: bool, threshold: float
) -> None:
    options = {"rows": by_row, "report": report, "speculate": speculate}
    feeds = {"x": X, "threshold": np.array([threshold], np.float32)}
    with raw_server(differ) as server:
        model = audited(server.url, **options)
        assert not oh.validate(model).findings
        onnx.checker.check_model(model.to_proto(), full_check=True)
        expected = oh.Session(oh.cascade(passing(), remote(server.url), JUDGE, **options)).run(None, feeds)
        same(oh.Session(model).run(None, feeds), expected)


def test_every_accepted_row_that_differs_is_counted_and_no_refused_one_is_asked_twice() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, rows=True))
        accepted = X.max(axis=1) >= 0.5
        session.run(None, {"x": X, "threshold": np.array([0.5], np.float32)})
        stats = found(session, int(accepted.sum()))
        assert 0 < accepted.sum() < len(X)
        assert (stats.audited, stats.differed) == (accepted.sum(), (X[accepted, 0] < 0).sum())
        assert (stats.failed, stats.dropped, stats.alarm, stats.promised) == (0, 0, False, None)
        sent = sorted(map(tuple, rows_at(server).tolist()))
        assert sent == sorted(map(tuple, X.tolist()))
        assert len(server.requests) == 2
        counted = session.stats()[NODE]
        assert (counted.calls, counted.audited, counted.differed) == (1, stats.audited, stats.differed)


def test_without_rows_a_run_counts_as_one() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url))
        for x in (X, np.abs(X), X[:1], np.abs(X[:1])):
            session.run(None, {"x": x})
        session.run(None, {"x": X, "threshold": NONE})
        stats = found(session, 4)
        assert (stats.audited, stats.differed) == (4, 1 + int(X[0, 0] < 0))
        assert session.stats()[NODE].calls == 4


def test_a_share_of_the_accepted_rows_is_drawn_each_by_itself() -> None:
    count, share = 20_000, 0.04  # fewer rows than a slice has, so that a draw is a request
    x = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, share, rows=True))
        for _ in range(2):
            session.run(None, {"x": x})
        eventually(lambda: session.audit()[NODE].audited == len(rows_at(server)) and len(server.requests) == 2)
        one, other = (set(received(request)[:, 0].tolist()) for request in server.requests)
    spread = 5 * (count * share * (1 - share)) ** 0.5
    for drawn in (one, other):
        assert abs(len(drawn) - count * share) < spread
    # Two draws have as many rows in common as chance gives them.
    assert abs(len(one & other) - count * share**2) < 5 * (count * share**2) ** 0.5


def test_runs_are_drawn_each_by_itself() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, 0.2))
        x = X[:1]
        for _ in range(2_000):
            session.run(None, {"x": x})
        eventually(lambda: session.audit()[NODE].audited == len(server.requests))
        stats = session.audit()[NODE]
    assert stats.audited > 0
    assert 300 < stats.audited + stats.dropped < 500


@settings(max_examples=15)
@given(st.sampled_from(["str", "bool", "int64", "uint8", "float16", "float32", "float64", "int8"]), st.data())
def test_rows_of_any_type_are_compared(dtype: str, data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=9)))
    x: Array = np.array(["grün", "日本"], object)[values] if dtype == "str" else values.astype(dtype)

    def of(nodes: list[Any], *outputs: str) -> oh.Model:
        kinds = {"x": elem_type(dtype), "y": elem_type(dtype), "score": TensorProto.FLOAT, "s": TensorProto.FLOAT}
        given = [name for name in ("x", "s") if any(name in node.input for node in nodes)]
        tensors = {name: helper.make_tensor_value_info(name, kinds[name], ["n"]) for name in (*given, *outputs)}
        fixed = [helper.make_tensor(name, TensorProto.INT64, [1], [value])
                 for name, value in {"last": -1, "end": -(1 << 62), "step": -1, "axis": 0}.items()]  # fmt: skip
        inputs, results = ([tensors[name] for name in names] for names in (given, outputs))
        return of_graph(helper.make_graph(nodes, "g", inputs, results, fixed), opset=18)

    local = of(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["s"], ["score"])], "y", "score"
    )
    reverse = of([helper.make_node("Slice", ["x", "last", "end", "axis", "step"], ["y"])], "y")
    with serve({"m": reverse}) as server:
        spec = [oh.TensorSpec(name, dtype, ("n",)) for name in "xy"]
        cloud = oh.remote.triton(server.url, "m", inputs=spec[:1], outputs=spec[1:])
        session = oh.Session(oh.cascade(local, cloud, oh.judge.value("score") >= 0, rows=True, audit=1.0))
        session.run(["y"], {"x": x, "s": np.zeros(len(x), np.float32)})
        stats = found(session, len(x))
    assert (stats.audited, stats.differed) == (len(x), int((x != x[::-1]).sum()))


@pytest.mark.parametrize(
    ("behave", "options"),
    [
        (answer(b'{"error": "no"}', status="400 Bad Request"), {}),
        (answer(b"nonsense"), {}),
        (answer(b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}'), {}),
        (silence, {"timeout": 0.2}),
        (answer(b'{"error": "no"}', status="400 Bad Request"), {"on_error": "flag"}),
        (differ, {"auth": oh.Credential("absent")}),
    ],
)  # fmt: skip
def test_an_audit_that_fails_is_counted_and_told_to_nobody_else(behave: Any, options: dict[str, Any]) -> None:
    with raw_server(behave) as server:
        session = oh.Session(audited(server.url, rows=True, **options))
        given = {"x": X}
        np.testing.assert_array_equal(session.run(["y"], given)[0], X)
        stats = found(session, len(X))
        assert (stats.audited, stats.failed, stats.low) == (0, len(X), 0.0)


def test_a_policy_and_a_budget_hold_for_audits_and_end_no_run() -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True)
        for policy, code, passed in [
            (oh.Policy(deny=["127.0.0.1"]), "OH520", 0),
            (oh.Policy(budget={"calls": 2}), "OH521", 2),
            (oh.Policy(max_response_bytes=10), "OH507", 0),
        ]:
            session = oh.Session(model, policy=policy)
            for _ in range(4):
                np.testing.assert_array_equal(session.run(["y"], {"x": X})[0], X)
            stats = found(session, 4 * len(X))
            assert (stats.audited, stats.failed) == (passed * len(X), (4 - passed) * len(X))
            assert session.stats()[NODE].errors == {code: 4 - passed}


def test_a_breaker_and_a_limit_of_concurrency_hold_for_audits() -> None:
    with raw_server(answer(b'{"error": "no"}', status="503 Service Unavailable")) as server:
        policy = oh.Policy(breaker={"failures": 2, "pause": 300.0})
        session = oh.Session(audited(server.url), policy=policy)
        for count in range(1, 5):
            session.run(None, {"x": X})
            found(session, count)
        assert session.stats()[NODE].errors == {"OH503": 2, "OH523": 2}
        assert len(server.requests) == 2
    with raw_server(silence) as server:
        session = oh.Session(audited(server.url, timeout=300.0), policy=oh.Policy(max_concurrency=1))
        for _ in range(17):
            session.run(None, {"x": X})
        eventually(lambda: bool(server.requests))
        assert session.audit()[NODE].dropped == 1
        assert len(server.requests) == 1


def test_a_credential_goes_to_its_hosts_alone() -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True, auth=oh.Credential("gpu"))
        session = oh.Session(model, credentials={"gpu": TOKEN})
        session.run(None, {"x": X})
        assert found(session, len(X)).audited == len(X)
        assert b"Bearer " + TOKEN.encode() in server.requests[0]
        elsewhere = oh.Session(model, credentials={"gpu": oh.Secret(TOKEN, hosts=["gpu.example"])})
        elsewhere.run(None, {"x": X})
        assert found(elsewhere, len(X)).failed == len(X)
        assert elsewhere.stats()[NODE].errors == {"OH511": 1}
        assert len(server.requests) == 1


def test_a_token_and_a_further_input_go_along() -> None:
    with raw_server(differ) as server:
        cloud = remote(server.url, auth=oh.Input("auth_token"), parameters={"priority": oh.Input(default=0)})
        model = oh.cascade(passing(), cloud, JUDGE, rows=True, audit=1.0)
        assert not oh.validate(model).errors
        with pytest.raises(oh.ModelError, match="OH303"):
            model.bind(auth_token="secret")
        session = oh.Session(model)
        session.run(None, {"x": X, "auth_token": np.array([TOKEN], object), "priority": np.array([7], np.int64)})
        stats = found(session, len(X))
    assert (stats.audited, stats.differed) == (len(X), OTHERWISE)
    assert b"Bearer " + TOKEN.encode() in server.requests[0]
    assert b'"priority":7' in server.requests[0]


def test_no_run_waits_for_a_server_that_never_answers_and_few_calls_are_under_way() -> None:
    with raw_server(silence) as server:
        session = oh.Session(audited(server.url, timeout=300.0))
        began = time.monotonic()
        for _ in range(100):
            session.run(None, {"x": X})
        assert time.monotonic() - began < SOON
        eventually(lambda: len(server.requests) == 16)
        assert session.audit()[NODE] == oh.AuditStats(dropped=84)


def test_a_session_that_goes_away_drops_its_audits() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = oh.Session(audited(server.url, timeout=300.0))
        session.run(None, {"x": X})
        assert gate.seen.wait(SOON)
        del session
        gc.collect()
        assert gate.gone.wait(SOON)


def test_a_process_ends_while_audits_are_under_way() -> None:
    program = """
    from tests.audits import audited
    from tests.test_plain_session import plain

    model = audited(sys.argv[1], timeout=300.0)
    sessions = [oh.Session(model), plain(model)]
    for session in sessions:
        for _ in range(5):
            session.run(None, {"x": X})
    oh.Session(adder(sys.argv[1], timeout=20.0)).run(None, {"x": X})
    sys.exit(7)
    """
    require_peaceful_end(program, 10, b"/adder")


@needs_fork
def test_a_forked_child_audits_and_leaves_its_parents_audits_alone() -> None:
    seen = threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if b"/adder" in request:
            assert seen.wait(SOON)
            answer(reply())(connection, request)
        elif seen.is_set():
            differ(connection, request)
        else:
            seen.set()
            connection.recv(1)

    program = """
    import os
    from tests.audits import audited, found
    session = oh.Session(audited(sys.argv[1], timeout=3.0))
    session.run(None, {"x": X})
    oh.Session(adder(sys.argv[1], timeout=20.0)).run(None, {"x": X})  # the audit is under way
    child = os.fork()
    if child == 0:
        status = 1
        try:
            both = [oh.Session(audited(sys.argv[1])), session]
            for each in both:
                each.run(None, {"x": X})
            status = 0 if [found(each, 1).audited for each in both] == [1, 1] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    session.run(None, {"x": X})
    stats = found(session, 2)
    assert (stats.audited, stats.failed) == (1, 1), stats
    print("done")
    """
    with raw_server(behave) as server:
        done = script(program, server.url)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@needs_fork
def test_a_process_forks_while_it_audits() -> None:
    program = """
    import os
    from tests.audits import audited, found
    model = audited(sys.argv[1], timeout=20.0)
    session = oh.Session(model)
    for turn in range(1, 31):
        session.run(None, {"x": X})
        child = os.fork()
        if child == 0:
            status = 1
            try:
                own = oh.Session(model)
                own.run(None, {"x": X})
                status = 0 if found(own, 1).audited == 1 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert found(session, 30).audited == 30, session.audit()
    print("done")
    """
    with raw_server(differ) as server:
        done = script(program, server.url)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_the_runs_of_many_threads_add_up() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, 0.5, rows=True))

        def work(number: int) -> None:
            for turn in range(25):
                x = rows(8, 3, 1000 * number + turn)
                np.testing.assert_array_equal(session.run(["y"], {"x": x})[0], x)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        eventually(lambda: session.audit()[NODE].audited == len(rows_at(server)))
        stats, sent = session.audit()[NODE], rows_at(server)
    assert stats.differed == int((sent[:, 0] < 0).sum())
    assert stats.audited + stats.dropped > 600


def test_rows_are_counted_in_the_order_in_which_they_were_drawn() -> None:
    let, held = threading.Event(), threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if not held.is_set():
            held.set()
            assert let.wait(SOON)
        differ(connection, request)

    with raw_server(behave) as server:
        session = oh.Session(audited(server.url, rows=True))
        session.run(None, {"x": X})
        assert held.wait(SOON)
        session.run(None, {"x": X})
        eventually(lambda: session.stats()[NODE].calls == 1)
        assert session.audit()[NODE].audited == 0
        let.set()
        assert found(session, 2 * len(X)).audited == 2 * len(X)


def test_nodes_before_the_call_are_part_of_the_audit() -> None:
    with raw_server(differ) as server:
        names = {"x": "image", "y": "x"}
        before = passing().rename(names)
        cloud = oh.chain(before, remote(server.url)).rename({"y": "z"})
        local = oh.chain(before, passing()).rename({"y": "z"})
        judge = oh.judge.logit_max("z") >= oh.Input("threshold", default=-1e9)
        for by_row in (False, True):
            session = oh.Session(oh.cascade(local, cloud, judge, rows=by_row, audit=1.0))
            np.testing.assert_array_equal(session.run(["z"], {"image": X})[0], X)
            stats = found(session, len(X) if by_row else 1)
            assert stats.differed == (OTHERWISE if by_row else 1)


def test_what_cannot_be_audited_is_refused_with_what_to_write() -> None:
    cloud = remote("http://127.0.0.1:1")
    after = oh.chain(cloud, passing().rename({"x": "y", "y": "z"})).rename({"y": "inner", "z": "y"})
    for other, words in [
        (oh.fallback(cloud, cloud.rename({})), "2 calls"),
        (after.select(["y"]), "behind the cascade"),
        (dense("other", "x", "y", (3, 3)), "no call"),
    ]:
        with pytest.raises(oh.ComposeError, match=rf"(?s)OH246.*{words}"):
            oh.cascade(passing(), other, JUDGE, audit=0.1)
        oh.cascade(passing(), other, JUDGE, audit=0.0)
    oh.cascade(passing(), cloud, JUDGE, audit=np.float32(0.1))  # type: ignore[arg-type]
    for share in (-0.1, 1.1, 2, float("nan"), True, "0.1", None):
        with pytest.raises(oh.ComposeError, match="OH247"):
            oh.cascade(passing(), cloud, JUDGE, audit=share)  # type: ignore[arg-type]


def test_nothing_of_an_audit_is_in_a_model_that_audits_nothing() -> None:
    cloud = remote("http://127.0.0.1:1")
    for options in ({}, {"rows": True}, {"rows": True, "speculate": True, "report": True}):
        plain = oh.cascade(passing(), cloud, JUDGE, **options)
        assert oh.cascade(passing(), cloud, JUDGE, audit=0.0, **options).to_proto() == plain.to_proto()
        assert b"Audit" not in plain.to_proto().SerializeToString()


@pytest.mark.parametrize("by_row", [False, True])
def test_what_is_read_of_a_cascade_can_be_read_without_its_audit(by_row: bool) -> None:
    with raw_server(differ) as server:
        inner = audited(server.url, rows=by_row)
        for model in (
            inner,
            oh.switch("which", then=inner, else_=passing()),
            oh.chain(inner, passing().rename({"x": "y", "y": "z"})),
        ):
            plain = oh.Model(audits.without(model.skeleton), model.weights)
            assert not oh.validate(plain).errors
            assert [spec.node for spec in plain.remotes] == [spec.node for spec in model.remotes if not spec.audits]
            assert b"Draw" not in plain.to_proto().SerializeToString()
            which = {"which": np.array(True)} if len(model.inputs) > 2 else {}
            for threshold in (ALL, NONE):
                feeds = {"x": X, "threshold": threshold, **which}
                same(oh.Session(plain).run(None, feeds), oh.Session(model).run(None, feeds))
    other = oh.cascade(passing(), remote("http://127.0.0.1:1"), JUDGE).skeleton
    assert audits.without(other) is other


def test_a_record_holds_no_audit_and_a_replay_asks_for_none(tmp_path: Path) -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True)
        session = oh.Session(model, record=tmp_path / "tape")
        for threshold in (ALL, NONE):
            session.run(None, {"x": X, "threshold": threshold})
        assert found(session, len(X)).audited == len(X)
    replayed = oh.Session(model, replay=tmp_path / "tape")
    np.testing.assert_array_equal(replayed.run(["y"], {"x": X})[0], X)
    np.testing.assert_array_equal(replayed.run(["y"], {"x": X, "threshold": NONE})[0], differing(X))
    assert replayed.audit()[NODE] == oh.AuditStats()
    assert (tmp_path / "tape").read_text("utf-8").count('"y"') <= 2


def test_a_model_says_whom_it_audits_by_and_can_be_moved(tmp_path: Path) -> None:
    with raw_server(differ) as server:
        model = audited("http://127.0.0.1:1", rows=True)
        assert {spec.node: spec.audits for spec in model.remotes} == {"remote/m": False, NODE: True}
        calls = json.loads(model.metadata["onnxhybrid.remotes"])
        assert {call["node"]: call.get("audits", False) for call in calls} == {"remote/m": False, NODE: True}
        assert NODE.split("/")[0] in model.metadata["onnxhybrid.parts"]
        moved = model.retarget({"http://127.0.0.1:1": server.url}).prefix("a/", inputs=False, outputs=False)
        assert {spec.endpoint for spec in moved.remotes} == {server.url}
        assert oh.overlap(moved).to_proto() == moved.to_proto()
        moved.save(tmp_path / "m.onnx")
        session = oh.Session(oh.chain(oh.load(tmp_path / "m.onnx"), passing().rename({"x": "y", "y": "z"})))
        session.run(None, {"x": X})
        eventually(lambda: next(iter(session.audit().values())).audited == len(X))
        (stats,) = session.audit().values()
        assert stats.differed == OTHERWISE


def test_an_audit_outlives_select_a_fallback_and_a_run_for_one_output() -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True, report=True)
        for each in (model, model.select(["y"])):
            session = oh.Session(each)
            options = onnxruntime.RunOptions()
            options.only_execute_path_to_fetches = True
            session.run(["y"], {"x": X}, options)
            assert found(session, len(X)).differed == OTHERWISE
        backed = oh.Session(oh.fallback(model.select(["y"]), dense("backup", "x", "y", (3, 3))))
        backed.run(["y"], {"x": X, "threshold": ALL})
        eventually(lambda: sum(stats.audited for stats in backed.audit().values()) == len(X))


def test_what_is_compared_is_not_sent(tmp_path: Path) -> None:
    dense("local", "x", "y", (3, 3)).save(tmp_path / "own.onnx", external_data=True)
    proto = oh.load(tmp_path / "own.onnx").to_proto()
    (tmp_path / "notes.txt").write_bytes(proto.graph.initializer[0].raw_data)
    place = proto.graph.initializer[0]
    place.ClearField("raw_data")
    place.data_location = TensorProto.EXTERNAL
    place.external_data.add(key="location", value="notes.txt")
    (tmp_path / "local.onnx").write_bytes(proto.SerializeToString())
    for share in (0.0, 1.0):
        local = oh.load(tmp_path / "local.onnx")
        model = oh.cascade(local, remote("http://127.0.0.1:1"), JUDGE, audit=share)
        assert {finding.code for finding in oh.validate(model).findings} == {"OH320"}
        session = oh.Session(model)
        session.run(None, {"x": X})
    assert found(session, 1).failed == 1


@pytest.mark.parametrize(
    ("operator", "changes"),
    [
        ("Draw", {"share": 1.5}),
        ("Draw", {"share": float("nan")}),
        ("Draw", {"share": None}),
        ("Audit", {"answers": '["other"]'}),
        ("Audit", {"answers": '["y", "y"]'}),
        ("Audit", {"answers": '["y", "z", "x", "w"]'}),
        ("Audit", {"answers": "["}),
        ("Audit", {"answers": None}),
        ("Audit", {"compared": '["x"]'}),
        ("Audit", {"compared": "7"}),
        ("Audit", {"by_row": 2}),
        ("Audit", {"promised": "many"}),
        ("Audit", {"promised": "1.5"}),
        ("Audit", {"output_types": '["float3"]'}),
        ("Audit", {"endpoint": "nowhere"}),
    ],
)
def test_a_malformed_node_is_told_when_the_session_opens(operator: str, changes: dict[str, Any]) -> None:
    proto = audited("http://127.0.0.1:1", rows=True).to_proto()
    node = next(node for node in nodes_of(proto.graph.node) if node.op_type == operator)
    kept = [attribute for attribute in node.attribute if attribute.name not in changes]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in changes.items() if value is not None)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    with pytest.raises(Exception, match="OH301"):
        onnxruntime.InferenceSession(proto.SerializeToString(), options)


def test_an_input_that_is_no_bool_is_told_when_the_node_runs() -> None:
    nodes = [helper.make_node("Draw", ["x"], ["y"], name="draw", domain="ai.onnxhybrid", share=1.0)]
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])]
    values.append(helper.make_tensor_value_info("y", TensorProto.INT64, None))
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
    session = oh.Session(of_graph(graph, opset_imports=imports))
    with pytest.raises(oh.Error, match=r"OH301.*no bool"):
        session.run(None, {"x": np.zeros(3, np.float32)})


def test_an_audit_beside_other_calls_waits_for_none_of_them() -> None:
    with raw_server(differ) as server:
        both = oh.parallel(one=audited(server.url, rows=True), other=remote(server.url))
        assert oh.overlap(both).to_proto() == both.to_proto()
        session = oh.Session(both)
        one, other = session.run(["one/y", "other/y"], {"x": X})
        np.testing.assert_array_equal(one, X)
        np.testing.assert_array_equal(other, differing(X))
        eventually(lambda: sum(stats.audited for stats in session.audit().values()) == len(X))


def test_the_old_operators_audit_nothing_and_say_so() -> None:
    with pytest.raises(oh.ModelError, match=r"OH403.*audit="):
        oh.legacy.export(audited("http://127.0.0.1:1"))
